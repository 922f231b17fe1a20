"""MATLAB's `.mat` files of version 7.3, which are HDF5: what variables they hold, and the values of numeric ones.

MATLAB's axes are in the opposite order there. A file may point to others, ask for code that is loaded (filters), and
promise chunks of any size: such data are refused before HDF5 reads them.

Source: MathWorks, "MAT-File Versions"; the attributes MATLAB_class and MATLAB_empty are as MATLAB writes them.
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
"""HDF5's numbers of those that need no plugin: deflate, shuffle, checksum."""

LARGEST_CHUNK = 1 << 28
"""Bytes; MATLAB writes chunks of about a megabyte."""


def list_variables(file: Path) -> list[StoredArray]:
    """Read the headers of all variables.

    Parameters
    ----------
    file : Path
        Of version 7.3.

    Returns
    -------
    variables : list of StoredArray
        In the order of their names.

    Raises
    ------
    Exception
        Of any kind, where the file is damaged; ValueError without h5py.
    """
    content = _opened(file)  # closes when the last variable of it is forgotten
    return [
        _describe(content, name)
        for name in sorted(content)
        if not name.startswith("#") and _is_here(content, name)  # "#refs#" holds the cells
    ]


def _opened(file: Path) -> Any:
    """Open the file, or say how it can be read."""
    try:
        import h5py
    except ImportError:
        raise ValueError(
            "MATLAB's version 7.3 (HDF5) needs h5py: pip install 'sparsam[matlab]'; or save the file again in MATLAB "
            "with the option -v7"
        ) from None
    return h5py.File(file, "r", locking=False)


def _is_here(content: Any, name: str) -> bool:
    """Whether a name stands for something in this file, rather than in another."""
    import h5py

    return isinstance(content.get(name, getlink=True), h5py.HardLink)


def _describe(content: Any, place: Any) -> StoredArray:
    """Read the header of a variable, or of a cell, that is found by its name or by a reference."""
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
    """Read the headers of the cells, one after the other, in MATLAB's order."""
    for reference in np.ravel(_checked(content[place])[()]):
        yield _describe(content, reference)


def _checked(dataset: Any) -> Any:
    """Refuse what is kept elsewhere, or would take more than its shape says."""
    if dataset.external or dataset.is_virtual:
        raise ValueError("the numbers stand in another file; save them in this one")
    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(k)[0] for k in range(plist.get_nfilters())}
    if not filters <= FILTERS:
        raise ValueError(f"the numbers are packed by filters of HDF5 ({sorted(filters - FILTERS)}) that are not read")
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > LARGEST_CHUNK:
        raise ValueError(f"chunks of {dataset.chunks} numbers are too large")
    return dataset
