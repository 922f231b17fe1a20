"""The data of all rows, each read once, and a smaller part of them for quick runs."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Data", "Digits"]


class Digits(NamedTuple):
    """Images of digits in rows, with pixels in [0, 1], in the order of the files."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


class Data:
    """The data, and how much of them to use.

    Parameters
    ----------
    folder : Path or None
        Where mnist.npz and abalone.csv are.
    pictures : Path
        Where rows write their pictures.
    quick : bool
        Whether to use small parts and few iterations, to test that everything runs.
    """

    def __init__(self, folder: Path | None, pictures: Path, quick: bool = False) -> None:
        self.folder, self.pictures, self.quick = folder, pictures, quick

    def has(self, files: tuple[str, ...]) -> bool:
        """Return whether these files exist."""
        return not files or (self.folder is not None and all((self.folder / file).exists() for file in files))

    def at_most(self, n: int, quick: int = 10) -> int:
        """Return a number of iterations, units or rows; a small one in quick runs."""
        return min(n, quick) if self.quick else n

    def picture(self, row: str) -> Path:
        """Return the file of the picture of a row."""
        return self.pictures / f"published-{row}.png"

    @cached_property
    def digits(self) -> Digits:
        """MNIST."""
        with np.load(self._folder() / "mnist.npz") as file:
            X, X_test = (file[name].reshape(len(file[name]), -1) for name in ("x_train", "x_test"))
            y, y_test = (file[name].astype(np.int64) for name in ("y_train", "y_test"))
        n, n_test = self.at_most(len(X), 1000), self.at_most(len(X_test), 300)
        X, X_test = (images.astype(np.float32) / 255 for images in (X[:n], X_test[:n_test]))
        return Digits(X, y[:n], X_test, y_test[:n_test])

    @cached_property
    def abalone(self) -> NDArray[np.float64]:
        """The eight inputs of abalone; sex is 1 (M), 2 (F), 3 (I), as MathWorks lists them."""
        table = pd.read_csv(self._folder() / "abalone.csv")
        sex = table.iloc[:, 0].map({"M": 1.0, "F": 2.0, "I": 3.0})
        return np.column_stack([sex, table.iloc[:, 1:8].to_numpy(np.float64)])

    def _folder(self) -> Path:
        if self.folder is None:
            raise ValueError("the variable SPARSAM_DATA does not name a folder of data")
        return self.folder
