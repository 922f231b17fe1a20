"""Programs to run as whole processes, from the command line to the written weights."""
