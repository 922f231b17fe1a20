"""Make the training rows of an autoencoder: patches of images, or rows of a table or an array, scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsam.cli.console import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sparsam.io.tables import CsvFormat

RANGE = (0.1, 0.9)  # of scaled rows; logistic units reach 0 and 1 only at infinity


@dataclass(frozen=True)
class TrainingRows:
    """Scaled rows and their origin.

    Attributes
    ----------
    X : array or DataFrame of shape (n_samples, n_features)
        The scaled rows; a DataFrame if the columns have names.
    scaler : PatchNormalizer, Whitening or MinMaxScaler
        The scaler, fitted on the unscaled rows.
    origin : dict
        The settings to make them again, for metrics.json.
    description : str
        A description for the user.
    names : list of str or None
        Names of the rows, if a file has them.
    """

    X: Any
    scaler: Any
    origin: dict[str, Any]
    description: str
    names: list[str] | None = None

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """Shape of the rows if they are images, otherwise None."""
        shape = self.origin["image_shape"]
        return None if shape is None else tuple(shape)

    def drawn_filters(self, filters: Any) -> Any:
        """Return filters of the scaled rows as they are drawn: filters of whitened rows as those of the rows."""
        return filters_to_draw(self.scaler, filters)

    def drawn_rows(self, rows: Any) -> Any:
        """Return scaled rows as they are drawn: whitened ones as they were, within [0, 1]."""
        if not whitens(self.scaler):
            return rows
        return self.scaler.inverse_transform(rows).clip(0, 1)


def whitens(scaler: Any) -> bool:
    """Return whether a scaler whitens, so that pictures undo it."""
    return hasattr(scaler, "input_filters")


def filters_to_draw(scaler: Any, filters: Any) -> Any:
    """Express filters of whitened rows as filters of the rows; other filters stay as they are."""
    return scaler.input_filters(filters) if whitens(scaler) else filters


def unfitted_scaler(whitening: str, epsilon: float) -> Any:
    """Make the scaler of patches that the options ask for."""
    from sparsam.preprocessing import PatchNormalizer, Whitening

    return PatchNormalizer() if whitening == "none" else Whitening(whitening, epsilon=epsilon)


def cut_patches(
    images: dict[str, NDArray[np.float64]],
    origin: dict[str, Any],
    n_patches: int,
    patch_size: int,
    random_state: int | np.random.RandomState,
    scaler: Any = None,
) -> TrainingRows:
    """Cut random patches from images, and scale them.

    An unfitted scaler is fitted on the patches; None is a `PatchNormalizer`.
    """
    from sparsam.images import sample_patches
    from sparsam.preprocessing import PatchNormalizer

    patches = sample_patches(images, n_patches, patch_size, random_state, border=origin["border"])
    scaler = PatchNormalizer() if scaler is None else scaler
    if not hasattr(scaler, "n_features_in_"):
        scaler.fit(patches)
    shape = [patch_size, patch_size, *next(iter(images.values())).shape[2:]]
    described = f"{n_patches} patches of {patch_size} x {patch_size} pixels from {len(images)} images"
    cut = {"n_patches": n_patches, "patch_size": patch_size, "image_shape": shape}
    return TrainingRows(scaler.transform(patches), scaler, origin | cut, described)


def read_rows(
    path: Path,
    csv_format: CsvFormat,
    image_shape: tuple[int, ...] | None,
    scaler: Any = None,
    names: list[str] | None = None,
    ignore: Sequence[str] = (),
) -> TrainingRows:
    """Read rows of numbers, drop rows with missing values, and scale the columns with a fitted scaler or to [0.1, 0.9].

    ``names`` has a name for each row of the file; those of dropped rows are dropped with them. ``ignore`` are columns
    to leave out.

    Raises
    ------
    ValueError
        If there are no complete rows, `image_shape` or the number of names does not fit, or there is no such column
        to ignore.
    """
    import numpy as np
    from sklearn.preprocessing import MinMaxScaler

    rows = read_numbers(path, csv_format, ignore)
    if names is not None and len(names) != len(rows):
        raise ValueError(
            f"--names has {len(names):,} lines, but {path} has {len(rows):,} rows: the file of names needs one line "
            "for each row, in the same order, and no heading"
        )
    complete = np.isfinite(np.asarray(rows)).all(axis=1)
    if not complete.all():
        say(f"Left out: {int((~complete).sum())} rows with missing or infinite values")
        rows = rows[complete]
        names = None if names is None else [name for name, kept in zip(names, complete, strict=True) if kept]
    if len(rows) == 0:
        raise ValueError(f"{path}: every row has a missing or infinite value")
    if image_shape is not None and np.prod(image_shape) != rows.shape[1]:
        raise ValueError(
            f"--image-shape {','.join(map(str, image_shape))} does not fit rows of {rows.shape[1]} numbers"
        )
    if scaler is None:
        scaler = MinMaxScaler(RANGE).set_output(transform="pandas" if hasattr(rows, "columns") else None).fit(rows)
    origin = {
        "rows": str(path.absolute()),
        "csv_format": asdict(csv_format),
        "n_rows": len(rows),
        "image_shape": None if image_shape is None else list(image_shape),
    } | ({} if names is None else {"has_names": True})
    origin |= {"ignored": list(ignore)} if ignore else {}
    return TrainingRows(scaler.transform(rows), scaler, origin, f"{len(rows)} rows of {rows.shape[1]} numbers", names)


def read_numbers(path: Path, csv_format: CsvFormat, ignore: Sequence[str] = ()) -> Any:
    """Read rows of numbers: an array from a .npy file, otherwise a DataFrame of a table's numeric columns."""
    if path.suffix.lower() == ".npy":
        if ignore:
            raise ValueError(f"--ignore names columns of a table, but {path} is an array")
        from sparsam.engine import map_rows

        return map_rows(path)
    from sparsam.io.columns import numeric_columns
    from sparsam.io.tables import has_header, read_table, take_columns

    table = read_table(path, say, csv_format=csv_format, needs_header=False)
    table = table.drop(columns=take_columns(table, ignore))
    numbers, columns = numeric_columns(table, csv_format)
    for column in columns:
        if column.remark:
            say(f"  {column}")
    return numbers if has_header(table) else numbers.to_numpy()
