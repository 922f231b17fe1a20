"""List the variables of MATLAB's `.mat` files of version 7.3, which are HDF5, and read the values of numeric ones.

MATLAB's axes are in the opposite order there. A file may refer to other files, load code (filters), and have chunks of
any size; such data raise ValueError before HDF5 reads them.

Source: MathWorks, "MAT-File Versions"; the attributes MATLAB_class and MATLAB_empty as MATLAB writes them.
"""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsam.images.arrays import StoredArray
from sparsam.images.matlab import is_real

FILTERS = {1, 2, 3}
"""HDF5's numbers of the filters that need no plugin: deflate, shuffle, checksum."""

LARGEST_CHUNK = 1 << 28
"""Bytes; MATLAB writes chunks of about a megabyte."""


def list_variables(file: Path) -> list[StoredArray]:
    """Read the headers of all variables.

    Parameters
    ----------
    file : Path
        A file of version 7.3.

    Returns
    -------
    variables : list of StoredArray
        In the order of their names.

    Raises
    ------
    Exception
        Any exception if the file is damaged; ValueError without h5py.
    """
    content = _open(file)  # closed when the last of its variables is garbage collected
    return [
        _describe(content, name)
        for name in sorted(content)
        if not name.startswith("#") and _is_hard_link(content, name)  # "#refs#" contains the cells
    ]


def _open(file: Path) -> Any:
    """Open the file; without h5py raise ValueError with advice."""
    try:
        import h5py
    except ImportError:
        raise ValueError(
            "MATLAB's version 7.3 (HDF5) needs h5py: pip install 'sparsam[matlab]'; or save the file again in MATLAB "
            "with the option -v7"
        ) from None
    return h5py.File(file, "r", locking=False)


def _is_hard_link(content: Any, name: str) -> bool:
    """Return whether a name refers to an object in this file, rather than in another."""
    import h5py

    return isinstance(content.get(name, getlink=True), h5py.HardLink)


def _describe(content: Any, place: Any) -> StoredArray:
    """Read the header of a variable, given by its name, or of a cell, given by a reference."""
    import h5py

    name, node = place if isinstance(place, str) else "", content[place]
    kind = bytes(node.attrs.get("MATLAB_class", b"?")).decode("latin-1")
    if not isinstance(node, h5py.Dataset) or node.attrs.get("MATLAB_empty", 0):
        return StoredArray(name, kind, (), False, partial(np.empty, 0))
    shape = node.shape[::-1]
    if kind == "cell":
        return StoredArray(name, kind, shape, False, partial(np.empty, 0), partial(_read_cells, content, place))
    real = is_real(kind) and node.dtype.kind in "buif"
    if is_real(kind) and not real:
        kind = f"complex {kind}"
    return StoredArray(name, kind, shape, real, partial(_read_numbers, content, place))


def _read_numbers(content: Any, place: Any) -> npt.NDArray[Any]:
    return np.asarray(_checked(content[place])[()]).T


def _read_cells(content: Any, place: Any, limit: int) -> Iterator[StoredArray]:
    """Yield the headers of the cells in MATLAB's order."""
    for reference in np.ravel(_checked(content[place])[()]):
        yield _describe(content, reference)


def _checked(dataset: Any) -> Any:
    """Return a dataset; raise ValueError if its data are in another file, or need more memory than its shape."""
    if dataset.external or dataset.is_virtual:
        raise ValueError("the numbers are stored in another file; save them in this one")
    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(k)[0] for k in range(plist.get_nfilters())}
    if not filters <= FILTERS:
        raise ValueError(
            f"the numbers are compressed by the HDF5 filters {sorted(filters - FILTERS)}, which are not supported; "
            "save them without compression, or with gzip"
        )
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > LARGEST_CHUNK:
        raise ValueError(f"chunks of {dataset.chunks} numbers are too large; save it with chunks of a megabyte")
    return dataset
