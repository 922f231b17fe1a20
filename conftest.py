"""Settings of every test, doctests included."""

import os

# No windows; before Matplotlib is imported for the first time.
os.environ.setdefault("MPLBACKEND", "Agg")
