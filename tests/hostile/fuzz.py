"""Load thousands of damaged files, check the result of each, and print a summary.

Run as ``python fuzz.py FOLDER N_FILES SEED``. Of files that are whole, one of each kind, copies are made and mutated:
bits and bytes, lengths and counts, pieces cut out, repeated or put in from another file. Of model files,
checkpoints, pipelines and cfg.json some values are exchanged and the digest made right, so that more than the digest is
tried.
"""

import gzip
import io
import json
import os
import resource
import shutil
import signal
import struct
import sys
import time
import warnings
import zipfile
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy
import scipy.io
import tifffile
import zarr
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sparsam import (
    Checkpoint,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    from_sae_folder,
    load,
    save,
    to_sae_folder,
)
from sparsam._utils.checksummed_file import checksummed
from sparsam.engine.data import sources
from sparsam.engine.data.sources import map_rows
from sparsam.engine.training import checkpoints
from sparsam.estimators._data.streamed import load_dataset
from sparsam.estimators._validation import check_unit_range
from sparsam.images import load_images
from sparsam.io import persistence
from sparsam.io.pipelines import TableModel, load_pipeline, save_pipeline
from sparsam.preprocessing import PatchNormalizer, Whitening

SECONDS = 60  # limit for each file
EXTREMES = [
    b"\x00" * 4,
    b"\xff" * 4,
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x01\x00\x00\x00",
    b"\x00\x00\x01\x00",
]
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "socket.connect",
)

events, watching, folder = Counter(), False, Path()


def watch(event, arguments):
    """Count forbidden actions of loaders: start programs, unpickle, connect, run the file's code, write elsewhere."""
    if not watching:
        return
    if event in FORBIDDEN or (event == "exec" and arguments[0].co_filename in ("<string>", "<stdin>")):
        events[event] += 1
    if event == "open" and isinstance(arguments[1], str) and set("wax+") & set(arguments[1]):
        where = os.path.realpath(os.fspath(arguments[0])) if not isinstance(arguments[0], int) else ""
        if where and not where.startswith(str(folder)):
            events[f"writes {where}"] += 1


def whole_files(folder):
    """Write one file of each kind; return the loader of each."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (40, 4))
    settings = {"max_iter": 3, "random_state": 0}
    models = {
        "autoencoder": SparseAutoencoder(2, checkpoint=Checkpoint(folder / "run", every=0), **settings).fit(X),
        "regressor": MultivariateNormalRegressor((2,), early_stopping=True, cv=None, **settings).fit(X, X[:, :2]),
        "classifier": NoisyLabelClassifier((2,), epsilon=0.1, **settings).fit(
            X, np.array(["a", "b"])[(X[:, 0] > 0.5) * 1]
        ),
    }
    models |= {
        "normalizer": PatchNormalizer().fit(X),
        "scaler": MinMaxScaler().fit(X),
        "whitening": Whitening("pca").fit(X),
    }
    files = {}
    for name, model in models.items():
        save(model, folder / f"{name}.safetensors")
        files[folder / f"{name}.safetensors"] = load
    files[next((folder / "run").iterdir())] = checkpoints._read
    pipeline = make_pipeline(StandardScaler(), models["classifier"])
    pipeline[0].fit(X)
    save_pipeline(TableModel(pipeline, list("abcd"), ["label"]), folder / "model.skops")
    files[folder / "model.skops"] = load_pipeline
    files |= sae_folder(folder / "sae", X)
    files |= dict.fromkeys(whole_images(folder, rng), load_images)
    np.save(folder / "rows.npy", X.astype(np.float32))
    files[folder / "rows.npy"] = read_rows
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=(7, 4), compression="gzip", fletcher32=True)
    files[folder / "rows.h5"] = read_hdf5
    with zarr.storage.ZipStore(folder / "rows.zip", mode="w") as store:
        zarr.create_array(store, shape=X.shape, chunks=(7, 4), dtype=X.dtype)[:] = X
    files[folder / "rows.zip"] = read_zarr
    sources.HELD_BYTES = 0  # small files are streamed too
    sources.PAUSES = ()  # between tries
    return files


def sae_folder(sae, X):
    """Write a folder in SAELens' layout; return the loader of each of its two files, the other of which is whole."""
    relu = {"sparsity": "l1", "hidden_activation": "relu", "output_activation": "identity", "max_iter": 3}
    to_sae_folder(SparseAutoencoder(2, random_state=0, **relu).fit(X), sae)
    mutant = sae.with_name("mutant_sae")
    shutil.copytree(sae, mutant)

    def load_with(file, name):
        shutil.copy(file, mutant / name)
        try:
            return from_sae_folder(mutant)
        finally:
            shutil.copy(sae / name, mutant / name)

    return {path: partial(load_with, name=path.name) for path in sorted(sae.iterdir())}


def whole_images(folder, rng):
    """Write one file of each kind of pictures and arrays; return their paths."""
    folder = folder / "images"
    folder.mkdir()
    gray, color, deep = (
        (255 * rng.uniform(size=(12, 10))).astype(np.uint8),
        (255 * rng.uniform(size=(9, 8, 3))).astype(np.uint8),
        (65535 * rng.uniform(size=(20, 21, 3))).astype(np.uint16),
    )
    for name in ("gray.png", "gray.tiff", "gray.gif", "gray.bmp", "gray.webp"):
        Image.fromarray(gray).save(folder / name)
    for name in ("color.png", "color.jpg", "color.gif", "color.bmp", "color.webp"):
        Image.fromarray(color).save(folder / name)
    Image.fromarray(color).save(folder / "packed.tiff", compression="tiff_lzw")
    Image.fromarray(color).save(folder / "jpeg.tiff", compression="jpeg")
    Image.fromarray(gray > 99).save(folder / "fax.tiff", compression="group4")
    Image.fromarray(gray).quantize(8).save(folder / "palette.png")
    Image.fromarray(gray).quantize(8).save(folder / "palette.tiff")
    tifffile.imwrite(folder / "tiles.tiff", deep, tile=(16, 16), compression="zlib", predictor=True)
    tifffile.imwrite(folder / "stack.tiff", deep[:, :, 0].reshape(5, 4, 21), imagej=True, truncate=True)
    planes = np.moveaxis(deep / 7, 2, 0)
    options = {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 3, "bigtiff": True}
    tifffile.imwrite(folder / "doubles.tiff", planes, **options)
    scipy.io.savemat(folder / "four.mat", {"IMAGES": gray}, format="4")
    scipy.io.savemat(folder / "five.mat", {"IMAGES": gray / 7, "note": "text"})
    scipy.io.savemat(folder / "packed.mat", {"IMAGES": gray, "c": np.array([1, "a"], object)}, do_compression=True)
    cells = np.empty((1, 2), object)
    cells[0] = [gray, color]
    scipy.io.savemat(folder / "cells.mat", {"cells": cells}, do_compression=True)
    save_mat_of_version_7_3(folder / "seven.mat", gray, color)
    np.save(folder / "images.npy", rng.normal(size=(3, 10, 11)))
    np.savez(folder / "images.npz", gray, labels=np.arange(5))
    np.savez_compressed(folder / "packed.npz", gray, labels=np.arange(5))
    idx = struct.pack(">HBB3I", 0, 8, 3, 4, 3, 10) + gray.tobytes()
    (folder / "digits.idx").write_bytes(idx)
    (folder / "digits.idx.gz").write_bytes(gzip.compress(idx))
    return sorted(folder.iterdir())


def save_mat_of_version_7_3(path, gray, color):
    """Save an array and a cell array."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("numbers", data=gray, chunks=(5, 5), compression="gzip")
        file["#refs#/a"], file["#refs#/b"] = gray, color.T
        file["IMAGES"] = np.array([[file["#refs#"][name].ref] for name in "ab"], h5py.ref_dtype)
        for name, kind in {"numbers": "uint8", "#refs#/a": "uint8", "#refs#/b": "uint8", "IMAGES": "cell"}.items():
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def read_rows(path):
    """Read a mapped file like the beginning of a fit."""
    return fit_begins(map_rows(path))


def fit_begins(X):
    def in_range(rows, row):
        check_unit_range(rows.inputs, row)
        return rows

    return load_dataset(SparseAutoencoder(), X, None, in_range).n_features


def read_hdf5(path):
    """Read a file that h5py can open; users open it themselves, so errors of opening do not count."""
    with opened(lambda: h5py.File(path)) as file, opened(lambda: file["X"], lambda dataset: None) as dataset:
        return read_through(dataset)


def read_zarr(path):
    """Read a store that Zarr can open."""
    # A store that cannot be opened cannot be closed either.
    store = opened(lambda: zarr.storage.ZipStore(path, mode="r"), lambda store: store._is_open and store.close())
    with store as zipped, opened(lambda: zarr.open_array(zipped, mode="r"), lambda array: None) as array:
        return read_through(array)


@contextmanager
def opened(begin, end=lambda file: file.close()):
    try:
        file = begin()
    except Exception as error:
        raise ValueError("cannot be opened") from error
    try:
        yield file
    finally:
        end(file)


def read_through(stored):
    """Read like the beginning of a fit; an error of a library becomes one of reading, which names chunk and rows."""
    try:
        return fit_begins(stored)
    except OSError as error:
        if "cannot be read, tried 1 times" not in str(error):
            raise
        raise ValueError(str(error)) from error


def mutated(content, others, rng):
    """Copy a file with one to four random mutations."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not content:
            break
        at, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
        if rng.uniform() < 0.5:
            at = min(at, int(rng.integers(1, 400)), len(content) - 1)  # where headers are
        match rng.integers(8):
            case 0:
                content[at] ^= 1 << int(rng.integers(8))
            case 1:
                content[at] = int(rng.integers(256))
            case 2:
                content[at : at + 4] = EXTREMES[rng.integers(len(EXTREMES))]
            case 3:
                del content[at:]
            case 4:
                del content[at : at + length]
            case 5:
                content[at:at] = content[at : at + length]
            case 6:
                content[at:at] = rng.bytes(length)
            case 7:
                other = others[rng.integers(len(others))]
                start = int(rng.integers(len(other)))
                content[at : at + length] = other[start : start + length]
    return bytes(content)


def forged(content, rng):
    """Replace a value in the header of a file, or an array, and correct the digest."""
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    key = next(key for key in (persistence.HEADER_KEY, checkpoints.HEADER_KEY) if key in metadata)
    header, arrays = json.loads(metadata[key]), safetensors.numpy.load(content)
    if rng.uniform() < 0.7 or not arrays:
        exchange(header, rng)
    else:
        name = list(arrays)[rng.integers(len(arrays))]
        values = arrays[name]
        others = [np.array([]), values.astype(np.int8), values.ravel()[:1], np.full(3, np.nan), np.zeros((0, 7))]
        arrays[name] = others[rng.integers(len(others))]
    return checksummed(key, header, arrays)


def forged_archive(content, rng):
    """Replace a value in the schema of a pipeline's archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    exchange(schema, rng)
    forgery = io.BytesIO()
    with zipfile.ZipFile(forgery, "w") as archive:
        for name, member in (members | {"schema.json": json.dumps(schema)}).items():
            archive.writestr(name, member)
    return forgery.getvalue()


def forged_config(content, rng):
    """Replace a value in cfg.json."""
    config = json.loads(content)
    exchange(config, rng)
    return json.dumps(config).encode()


def exchange(tree, rng):
    """Replace one value in nested objects and lists."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not keys:
        return
    key = keys[rng.integers(len(keys))]
    if isinstance(tree[key], dict | list) and rng.uniform() < 0.8:
        exchange(tree[key], rng)
        return
    values = [None, -1, 10**30, 1e308, "", "os.system", [], {}, [[]] * 3, True, {"array": [[1], [2, 3]]}, {"tuple": 3}]
    tree[key] = values[rng.integers(len(values))]


FORGE = {".safetensors": forged, ".skops": forged_archive, ".json": forged_config}


def main(n_files, seed):
    global watching
    rng = np.random.default_rng(seed)
    warnings.simplefilter("ignore")
    files = whole_files(folder)
    contents = {path: path.read_bytes() for path in files}
    for path, loader in files.items():
        loader(path)  # so that late imports are done
    Image.init()
    outcomes, failures, slowest = Counter(), [], (0.0, "")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names_before = {path.name for path in Path.cwd().iterdir()}
    sys.addaudithook(watch)

    def too_long(number, frame):
        raise BaseException("hangs")

    signal.signal(signal.SIGALRM, too_long)
    paths = list(files)
    for k in range(n_files):
        path = paths[k % len(paths)]
        content = contents[path]
        forge = None if path.name == "sae_weights.safetensors" else FORGE.get(path.suffix)
        forges = forge is not None and rng.uniform() < 0.6
        content = forge(content, rng) if forges else mutated(content, list(contents.values()), rng)
        file = folder / f"mutant{path.suffix}"
        file.write_bytes(content)
        signal.alarm(SECONDS)
        start, watching = time.process_time(), True
        try:
            files[path](file)
            outcomes["loaded"] += 1
        except ValueError:
            outcomes["refused"] += 1
        except BaseException as error:
            failures.append(f"{path.name}, mutant {k}: {type(error).__name__}: {error}"[:300])
        finally:
            watching = False
            signal.alarm(0)
        slowest = max(slowest, (time.process_time() - start, path.name))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    strays = sorted({path.name for path in Path.cwd().iterdir()} - names_before)
    summary = {"slowest": slowest, "grown_mib": grown, "failures": failures, "events": dict(events), "strays": strays}
    print(json.dumps(dict(outcomes) | summary))


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    main(int(sys.argv[2]), int(sys.argv[3]))
