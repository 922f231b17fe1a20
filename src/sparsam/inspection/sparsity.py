"""Report of a sparse code on rows that the model has not seen: how sparse, how faithful, how coherent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sparsam.inspection.coherence import mean_cosine_of_pairs, summed_directions, unit_vectors
from sparsam.inspection.row_batches import RowBatches
from sparsam.inspection.strongest_rows import StrongestRows
from sparsam.inspection.units import ends_of

__all__ = ["SparsityReport", "active_above", "sparsity_report"]

Array = NDArray[np.float64]

CAN_BE_ZERO = ("relu", "satlin")
"""Activations that are exactly 0 over a range of inputs."""


@dataclass(frozen=True, repr=False)
class SparsityReport:
    """Sparsity of a code and quality of its reconstructions, as `sparsity_report` measures them.

    Attributes
    ----------
    n_samples : int
    threshold : float
        A unit is active on a row if its activation is greater.
    active : float
        Mean number of active units of a row, "L0"; the sum of the densities.
    density : array of shape (n_units,)
        Share of the rows on which the unit is active.
    explained_variance : float
        1 - sum_n |x_n - y_n|^2 / sum_n |x_n - m|^2, m the mean row; NaN if all rows are the same.
    cosine : float
        Mean over the rows of the cosine between x_n - m and y_n - m.
    norm_ratio : float
        Mean over the rows of |y_n - m| / |x_n - m|: below 1 where the penalty shrinks reconstructions.
    coherence : array of shape (n_units,)
        Mean cosine between pairs of the rows x_n - m on which the unit is strongest; NaN for units that are active on
        fewer than two rows.
    coherence_of_random_rows : float
        The same for rows drawn at random: its expectation, the mean over all pairs of rows.
    strongest_rows : integer array of shape (n_units, n_strongest)
        Numbers of the rows on which the unit is strongest, the strongest first; -1 where it is active on fewer.
    """

    n_samples: int
    threshold: float
    active: float
    density: Array
    explained_variance: float
    cosine: float
    norm_ratio: float
    coherence: Array
    coherence_of_random_rows: float
    strongest_rows: NDArray[np.intp]

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Mask of the units that are active on no row."""
        return self.density == 0

    @property
    def dead_share(self) -> float:
        """Share of the units that are active on no row."""
        return float(np.mean(self.dead))

    @property
    def summary(self) -> str:
        """The numbers about the whole code, a line each."""
        n_units, coherence = len(self.density), self.coherence[np.isfinite(self.coherence)]
        lines = [
            ("rows, units", f"{self.n_samples:,}, {n_units:,}"),
            ("active units of a row (L0)", f"{self.active:.4g}"),
            ("dead units", f"{int(self.dead.sum()):,} ({100 * self.dead_share:.3g} %)"),
            ("density of a unit, median", f"{float(np.median(self.density)):.3g}"),
            ("explained variance", f"{self.explained_variance:.4f}"),
            ("cosine of reconstructions", f"{self.cosine:.4f}"),
            ("norm ratio", f"{self.norm_ratio:.4f}"),
        ]
        if len(coherence):
            random = f"{self.coherence_of_random_rows:.3f}"
            lines.append(("coherence of a unit, median", f"{np.median(coherence):.3f} (of random rows {random})"))
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)

    def __repr__(self) -> str:
        return f"SparsityReport\n{self.summary}"

    def to_frame(self) -> pd.DataFrame:
        """Make a table with a row for each unit: density, dead, coherence."""
        columns = {"density": self.density, "dead": self.dead, "coherence": self.coherence}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.density), name="unit"))


def sparsity_report(
    model: Any, X: ArrayLike | Any, *, threshold: float | None = None, n_strongest: int = 10
) -> SparsityReport:
    """Measure on rows that the model has not seen how sparse its code is, and how well it reconstructs.

    Parameters
    ----------
    model : SparseAutoencoder or StackedAutoencoder
        A fitted model; for a stack, the innermost code is measured.
    X : array-like of shape (n_samples, n_features), or an iterable of such batches
        Preferably rows that were not used in the fit. An array on disk, or an object whose ``__iter__`` yields batches
        of rows, is read a batch at a time, three times.
    threshold : float, optional
        A unit is active where its activation is greater. Default: 0 for ReLU and satlin units, which are exactly 0
        elsewhere. Logistic and tanh units are never at the end of their range, so that being active is a matter of
        convention: for these it means to be above the lowest 1 % of the range, as in `unit_statistics`. Compare the
        numbers of active units only for one kind of unit and one threshold.
    n_strongest : int, default 10
        Number of rows for the coherence of a unit. Fewer than 2 leave it out, and with it one reading of X.

    Returns
    -------
    SparsityReport
        Its ``repr`` is a summary, and ``to_frame()`` has a row for each unit.

    Raises
    ------
    TypeError
        If the model is not an autoencoder, or X can be read only once.
    NotFittedError
        If the model is not fitted.
    ValueError
        If X has no rows, has NaN, or has another number of features than the model; or if an option cannot be used.

    See Also
    --------
    sparsam.inspection.dictionary_agreement : Whether models with other seeds have the same units.
    unit_statistics : Dead, saturated and constant units.

    Notes
    -----
    With m = 1/N sum_n x_n, the mean of these rows ::

        active              1/N sum_n #{j : z_nj > threshold}
        explained variance  1 - sum_n |x_n - y_n|^2 / sum_n |x_n - m|^2
        cosine              1/N sum_n cos(x_n - m, y_n - m)
        norm ratio          1/N sum_n |y_n - m| / |x_n - m|
        coherence of j      the mean of cos(x_a - m, x_b - m) over all pairs of its strongest rows

    The sums of the explained variance are divided once: a mean of ratios of batches would be another number, which
    depends on the batches. Cosines and norms are those of rows about their mean, since an autoencoder with linear
    outputs does not depend on the origin. About the origin itself all rows of embeddings have much in common, cosines
    are near 1 whatever the code, and shrinkage hardly shows; SAELens' evaluation reports that version. Rows at the mean
    have no direction and do not count; a reconstruction at the mean has the cosine 0.

    References
    ----------
    T. Bricken et al., "Towards monosemanticity: decomposing language models with dictionary learning", Transformer
    Circuits Thread, 2023 (L0, density, dead units).

    S. Rajamanoharan et al., "Improving dictionary learning with gated sparse autoencoders", NeurIPS 2024 (shrinkage,
    the frontier of fidelity against L0).

    Examples
    --------
    Rows that are sums of few of 12 directions:

    >>> import numpy as np
    >>> from sparsam import SparseAutoencoder, sparsity_report
    >>> rng = np.random.default_rng(0)
    >>> directions = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    >>> X = (rng.random((600, 12)) < 0.1) * rng.uniform(1, 2, (600, 12)) @ directions
    >>> relu = {"hidden_activation": "relu", "output_activation": "identity"}
    >>> model = SparseAutoencoder(12, sparsity="l1", beta=0.05, random_state=0, **relu).fit(X[:500])
    >>> report = sparsity_report(model, X[500:])
    >>> bool(report.explained_variance > 0.9), bool(report.active < 3)
    (True, True)
    >>> list(report.to_frame())
    ['density', 'dead', 'coherence']
    """
    hidden_activation = _hidden_activation_of(model)
    if threshold is None:
        threshold = active_above(hidden_activation)
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be a finite number, got {threshold!r}")
    if not isinstance(n_strongest, int | np.integer) or n_strongest < 0:
        raise ValueError(f"n_strongest must be an integer, 0 or greater, got {n_strongest!r}")
    n_strongest = int(n_strongest) if n_strongest >= 2 else 0
    n_units = _n_units(model)
    batches = RowBatches(X, width=int(model.n_features_in_) + n_units)
    mean, n_samples, variation = _mean_and_variation(batches)
    density, strongest = np.zeros(n_units), StrongestRows(n_units, n_strongest)
    sums = _Sums()
    for batch in batches:
        x = np.asarray(batch, dtype=np.float64)
        z = np.asarray(model.transform(batch))
        density += np.count_nonzero(z > threshold, axis=0)
        sums = sums.plus(x - mean, np.asarray(model.predict(batch), dtype=np.float64) - mean)
        strongest.update(np.where(z > threshold, z, -np.inf))
    density /= n_samples
    coherence, of_random_rows = np.full(n_units, np.nan), np.nan
    if n_strongest:
        directions, total, n_directions = summed_directions(strongest.rows, (x - mean for x in batches.numbers()))
        coherence = mean_cosine_of_pairs(*directions)
        of_random_rows = float(mean_cosine_of_pairs(total[None], np.array([n_directions]))[0])
    return SparsityReport(
        n_samples=n_samples,
        threshold=float(threshold),
        active=float(density.sum()),
        density=density,
        explained_variance=1 - sums.error / variation if variation > 0 else float("nan"),
        cosine=sums.cosine / sums.n_rows if sums.n_rows else float("nan"),
        norm_ratio=sums.norm_ratio / sums.n_rows if sums.n_rows else float("nan"),
        coherence=coherence,
        coherence_of_random_rows=of_random_rows,
        strongest_rows=strongest.rows,
    )


def active_above(hidden_activation: str) -> float:
    """Return the activation above which a unit counts as active: 0, or the end of the range of logistic and tanh."""
    return 0.0 if hidden_activation in CAN_BE_ZERO else float(ends_of(hidden_activation)[0])


def _hidden_activation_of(model: Any) -> str:
    """Return the activation of the units of the code.

    Raises
    ------
    TypeError
        If the model is not an autoencoder.
    NotFittedError
        If it is not fitted.
    """
    from sklearn.utils.validation import check_is_fitted

    if not all(hasattr(model, name) for name in ("transform", "predict", "inverse_transform")) or not (
        hasattr(model, "hidden_activation") or hasattr(model, "autoencoders")
    ):
        advice = ": pass pipe[-1], and pipe[:-1].transform(X)" if hasattr(model, "steps") else ""
        raise TypeError(f"sparsity_report takes a fitted autoencoder, got {type(model).__name__}{advice}")
    check_is_fitted(model)
    return str(getattr(model, "autoencoders_", [model])[-1].hidden_activation)


def _n_units(model: Any) -> int:
    return len(model.mean_activation_)


def _mean_and_variation(batches: RowBatches) -> tuple[Array, int, float]:
    """Compute the mean row, the number of rows, and sum_n |x_n - m|^2.

    Batches are combined as in Chan, Golub and LeVeque (1983), about the first row, which is precise for any origin.
    """
    n, first, mean, variation = 0, np.zeros(0), np.zeros(0), 0.0
    for x in batches.numbers():
        if n == 0 and len(x):
            first, mean = x[0], np.zeros(x.shape[1])
        if x.shape[1] != len(mean):
            raise ValueError(f"X has batches of {len(mean)} and of {x.shape[1]} features")
        offsets = x - first  # exactly 0 if all rows are the same
        m, batch_mean = len(x), offsets.mean(axis=0)
        difference = batch_mean - mean
        variation += float(np.sum((offsets - batch_mean) ** 2) + difference @ difference * n * m / (n + m))
        mean = mean + difference * m / (n + m)
        n += m
    if n == 0:
        raise ValueError("X has no rows")
    return first + mean, n, variation


class _Sums(NamedTuple):
    """Sums over rows: |x - y|^2 of all, cosine and norm ratio of those that are not at the mean, and their number."""

    error: float = 0.0
    cosine: float = 0.0
    norm_ratio: float = 0.0
    n_rows: int = 0

    def plus(self, x: Array, y: Array) -> _Sums:
        """Add rows and their reconstructions, both about the mean."""
        directed = np.any(x, axis=1)
        lengths, of_reconstructions = (np.linalg.norm(part[directed], axis=1) for part in (x, y))
        return _Sums(
            self.error + float(np.sum((x - y) ** 2)),
            self.cosine + float(np.sum(unit_vectors(x[directed]) * unit_vectors(y[directed]))),
            self.norm_ratio + float(np.sum(of_reconstructions / lengths)),
            self.n_rows + int(directed.sum()),
        )
