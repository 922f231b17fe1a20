"""``sparsam encode``: compute hidden activations of a saved model for rows of numbers or patches of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from sparsam.cli import image_options, table_options
from sparsam.cli.console import require_paths, say
from sparsam.cli.models import LearnedModel, load_learned, whiten_of
from sparsam.cli.pooled_features import pooled_features, write_features
from sparsam.cli.training_rows import RANGE, read_numbers, whitens

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 2**16

FORMATS = (".npy", ".csv")


def encode(
    model: Annotated[Path, typer.Argument(help="Folder of a run of `sparsam learn`, or a model file.")],
    data: Annotated[
        Path,
        typer.Argument(
            help="Rows to encode: .npy (n_samples, n_features), .csv, .tsv or .parquet; or images, a file or a "
            "folder, as for `sparsam learn`."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the activations: .npy or .csv.")],
    scale: Annotated[
        bool, typer.Option(help="Scale the rows as in training; --no-scale if they are scaled already.")
    ] = True,
    sep: table_options.Sep = None,
    decimal: table_options.Decimal = ".",
    thousands: table_options.Thousands = None,
    encoding: table_options.Encoding = "utf-8",
    pool: Annotated[
        int | None,
        typer.Option(
            help="Encode every patch of an image, and pool the activations over so many regions along its height and "
            "its width, 2 for quadrants: one row per image. Needs a run of `sparsam learn --whitening zca "
            "--output-activation identity`.",
            show_default="adjacent patches, one row each",
            min=1,
        ),
    ] = None,
    pool_kind: Annotated[
        Literal["mean", "max"], typer.Option(help="What --pool keeps of a unit's activations in a region.")
    ] = "mean",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Encode data: write the activations of a model's hidden units, one row per sample.

    Rows are in the units of the training data, and are scaled by the scaler of the model's run. A model file outside
    its run has no scaler and needs scaled rows. A .npy file is read and written in chunks, so it may be larger than
    memory.

    Images are whitened as in training and cut into adjacent patches, from left to right and from top to bottom; a .csv
    file lists the image of each patch and the position of its upper left pixel. With --pool, every patch counts, and a
    row has the activations of a whole image.
    """
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"{out}: unknown format; use one of {', '.join(FORMATS)}")
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists: name another file, or replace it with --overwrite")
    require_paths(model, data)
    from sparsam._utils.atomic_write import atomic_write

    learned = load_learned(model)
    is_rows = holds_rows(data) or ("rows" in learned.origin and data.suffix.lower() == ".npz")
    if pool is not None:
        if is_rows:
            raise ValueError(f"--pool applies to images, but {data} holds rows of numbers")
        features = pooled_features(learned, _load_images(learned, data), pool, pool_kind)
        with atomic_write(out, overwrite=overwrite) as file:
            write_features(features, file, out.suffix.lower())
        say(f"Wrote {features.shape[1]} features of {len(features)} images to {out}")
        return
    if is_rows:
        csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
        rows: Any = read_numbers(data, csv_format, _ignored_numbers(learned, data))
        places = None
    else:
        rows, places = _cut(learned, data)
    encoder = Encoder(learned, scale)
    with atomic_write(out, overwrite=overwrite) as file:
        try:
            write = _write_npy if out.suffix.lower() == ".npy" else _write_csv
            write(encoder, rows, places, file)
        except (ValueError, TypeError) as error:  # the estimator's message names X, not the file
            raise ValueError(f"{data}: {error}") from error
    if encoder.n_far:
        say(
            f"Warning: {encoder.n_far / len(rows):.1%} of the rows lie outside the range of the training data by more "
            "than its width: are they in other units?"
        )
    say(f"Wrote {len(rows)} rows of {len(learned.autoencoder.get_feature_names_out())} activations to {out}")
    if learned.scaler is None and scale:
        say("The rows were not scaled: there is no scaler beside the model, so they should be scaled already")


def _ignored_numbers(learned: LearnedModel, data: Path) -> list[str]:
    """Return the columns that the training ignored, if the table has no names to choose the others by."""
    if data.suffix.lower() == ".npy" or hasattr(learned.autoencoder, "feature_names_in_"):
        return []
    return list(learned.origin.get("ignored", []))


def holds_rows(path: Path) -> bool:
    """Return whether a file holds rows of numbers, not images."""
    if path.suffix.lower() != ".npy":
        return path.suffix.lower() in table_options.TABLES
    import numpy as np

    try:
        return np.lib.format.open_memmap(path, mode="r").ndim <= 2
    except Exception:  # a damaged header can raise anything; reading the rows then reports the file
        return True


@dataclass
class Encoder:
    """Computes activations for rows, in chunks.

    Attributes
    ----------
    learned : LearnedModel
    scale : bool
        Whether to scale the rows.
    n_far : int
        Number of rows so far that lie outside the range of the training data by more than its width.
    """

    learned: LearnedModel
    scale: bool
    n_far: int = 0

    def chunks(self, rows: Any) -> Iterator[Any]:
        """Yield the activations of consecutive rows, in chunks."""
        for start in range(0, len(rows), ROWS_AT_ONCE):
            yield self._codes(rows[start : start + ROWS_AT_ONCE])

    def _codes(self, rows: Any) -> Any:
        import numpy as np

        scaler, autoencoder = self.learned.scaler, self.learned.autoencoder
        names = list(getattr(autoencoder, "feature_names_in_", []))
        rows = _with_names(rows, names, autoencoder.n_features_in_)
        if scaler is not None and self.scale:
            rows = scaler.transform(rows)
            if whitens(scaler):
                return np.ascontiguousarray(autoencoder.transform(rows))
            width = RANGE[1] - RANGE[0]
            values = np.asarray(rows)
            self.n_far += int(((values < RANGE[0] - width) | (values > RANGE[1] + width)).any(axis=1).sum())
        return np.ascontiguousarray(autoencoder.transform(rows))


def _with_names(rows: Any, names: list[str], n_features: int) -> Any:
    """Return the columns used in training, in the same order, checked for missing values; an array must have them."""
    if not (names and hasattr(rows, "columns")):
        import pandas as pd

        from sparsam._utils.listed import listed

        if rows.shape[1] != n_features:
            named = f": {listed(names)}" if names else ""
            raise ValueError(f"rows have {rows.shape[1]} numbers, but the model takes {n_features}{named}")
        return pd.DataFrame(rows, columns=names) if names else getattr(rows, "values", rows)
    missing = [name for name in names if name not in rows]
    if missing:
        raise ValueError(f"the column {missing[0]!r} is missing or does not hold numbers")
    rows = rows[names]
    gaps = rows.isna()
    if gaps.to_numpy().any():
        name = gaps.any().idxmax()
        raise ValueError(
            f"the column {name!r} has no value in row {gaps[name].idxmax()} (the first row is 0): "
            "encode needs all values; complete or remove such rows"
        )
    return rows


def _load_images(learned: LearnedModel, path: Path) -> dict[str, Any]:
    """Load images as for the training.

    Raises
    ------
    ValueError
        If the model was not trained on patches.
    """
    origin = learned.origin
    if "patch_size" not in origin or learned.scaler is None:
        reason = "it was trained on rows" if "rows" in origin else "the scale of its patches is unknown"
        n_features = learned.autoencoder.n_features_in_
        raise ValueError(f"{path}: the model cannot encode images, since {reason}: use rows of {n_features} numbers")
    size, border, whiten = origin["patch_size"], origin["border"], whiten_of(origin)
    return image_options.load([path], whiten, border, size, color=origin.get("color", False))[0]


def _cut(learned: LearnedModel, path: Path) -> tuple[Any, pd.DataFrame]:
    """Cut images into adjacent patches; return the patches and a table of their positions."""
    import numpy as np
    import pandas as pd

    from sparsam.images import tile_patches

    patches, places = [], []
    for name, image in _load_images(learned, path).items():
        cut, positions = tile_patches(image, learned.origin["patch_size"], border=learned.origin["border"])
        patches.append(cut)
        places.append(pd.DataFrame({"image": name, "row": positions[:, 0], "column": positions[:, 1]}))
    return np.concatenate(patches), pd.concat(places, ignore_index=True)


def _write_npy(encoder: Encoder, rows: Any, places: pd.DataFrame | None, file: BinaryIO) -> None:
    import numpy as np

    for index, codes in enumerate(encoder.chunks(rows)):
        if index == 0:
            header = {"descr": codes.dtype.str, "fortran_order": False, "shape": (len(rows), codes.shape[1])}
            np.lib.format.write_array_header_2_0(file, header)
        file.write(codes.tobytes())


def _write_csv(encoder: Encoder, rows: Any, places: pd.DataFrame | None, file: BinaryIO) -> None:
    import pandas as pd

    names, start = encoder.learned.autoencoder.get_feature_names_out(), 0
    for codes in encoder.chunks(rows):
        frame = pd.DataFrame(codes, columns=names)
        if places is not None:
            frame = pd.concat([places.iloc[start : start + len(codes)].reset_index(drop=True), frame], axis=1)
        frame.to_csv(file, index=False, header=start == 0)
        start += len(codes)
