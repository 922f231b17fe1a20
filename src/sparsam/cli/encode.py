"""``sparsam encode``: hidden activations of a saved model for the rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.console import say
from sparsam.cli.models import load_autoencoder

if TYPE_CHECKING:
    from typing import BinaryIO

    from sparsam.estimators.autoencoder import SparseAutoencoder

ROWS_AT_ONCE = 2**16

FORMATS = (".npy", ".csv")


def encode(
    model: Annotated[Path, typer.Argument(help="A model file that `sparsam learn` or sparsam.save wrote.")],
    data: Annotated[Path, typer.Argument(help="Rows to encode: .npy (n_samples, n_features), or .csv with a header.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the activations: .npy or .csv.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Encode data: write the activations of a model's hidden units, a row a sample.

    The rows must be scaled as those that the model was trained on (for image patches,
    sparsam.images.normalize_patches). Rows of a .npy file are read and written a piece at a time, so that it may be
    larger than memory.
    """
    for path in (data, out):
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"{path}: unknown format; use one of {', '.join(FORMATS)}")
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists: name another file, or replace it with --overwrite")
    from sparsam._utils.atomic_write import atomic_write

    estimator = load_autoencoder(model)
    rows = _read(data)
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"{data}: a table (n_samples, n_features) with rows is needed, not an array {rows.shape}")
    if not hasattr(estimator, "feature_names_in_"):
        rows = getattr(rows, "values", rows)  # of a data frame; without names there is nothing to compare its with
    write = _write_npy if out.suffix.lower() == ".npy" else _write_csv
    with atomic_write(out, overwrite=overwrite) as file:
        try:
            write(estimator, rows, file)
        except (ValueError, TypeError) as error:  # the estimator speaks of X
            raise ValueError(f"{data}: {error}") from error
    say(f"Wrote {len(rows)} rows of {len(estimator.get_feature_names_out())} activations to {out}")


def _read(path: Path) -> Any:
    """Open the table: a memory-mapped array, or a data frame."""
    if path.suffix.lower() == ".npy":
        from sparsam.engine.data.sources import map_rows

        return map_rows(path)
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        return pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error


def _pieces(rows: Any) -> Any:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def _write_npy(estimator: SparseAutoencoder, rows: Any, file: BinaryIO) -> None:
    import numpy as np

    for index, piece in enumerate(_pieces(rows)):
        codes = np.ascontiguousarray(estimator.transform(piece))
        if index == 0:
            header = {"descr": codes.dtype.str, "fortran_order": False, "shape": (len(rows), codes.shape[1])}
            np.lib.format.write_array_header_2_0(file, header)
        file.write(codes.tobytes())


def _write_csv(estimator: SparseAutoencoder, rows: Any, file: BinaryIO) -> None:
    import pandas as pd

    names = estimator.get_feature_names_out()
    for index, piece in enumerate(_pieces(rows)):
        frame = pd.DataFrame(estimator.transform(piece), columns=names)
        frame.to_csv(file, index=False, header=index == 0)
