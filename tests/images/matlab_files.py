"""Write `.mat` files of version 7.3 like MATLAB: HDF5 after a header of 512 bytes, axes in the opposite order."""

import h5py
import numpy as np

CLASSES = {"float64": "double", "float32": "single", "bool": "logical"}


def save_hdf5(path, variables, **options):
    """Save arrays, lists of arrays (cell arrays with one row), dicts (structures) and texts."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _write(file, file, name, value, options)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def _write(file, group, name, value, options):
    if isinstance(value, dict):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, field in value.items():
            _write(file, inner, key, field, options)
        return
    if isinstance(value, list):
        references = np.empty((len(value), 1), h5py.ref_dtype)
        for k, cell in enumerate(value):
            _write(file, file.require_group("#refs#"), f"{name}{k}", cell, options)
            references[k, 0] = file["#refs#"][f"{name}{k}"].ref
        dataset, kind = group.create_dataset(name, data=references), "cell"
    elif isinstance(value, str):
        dataset, kind = group.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16)), "char"
    elif value.size == 0:
        dataset, kind = group.create_dataset(name, data=np.array(value.shape, np.uint64)), "double"
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        kind = CLASSES.get(str(value.dtype), str(value.dtype))
        if np.iscomplexobj(value):
            pairs = np.stack([value.real, value.imag], axis=-1).astype(float)
            kind, value = "double", pairs.view([("real", "f8"), ("imag", "f8")])[..., 0]
        stored = value.astype(np.uint8) if kind == "logical" else value
        dataset = group.create_dataset(name, data=stored.T, **options)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
