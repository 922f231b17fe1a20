"""Plot J and its terms over a training run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from sparsam.display.figure_io import escape_mathtext, figure_format, finish_figure, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["plot_cost_curve"]


class History(Protocol):
    """A pandas.DataFrame, or a dict of columns."""

    def keys(self) -> Iterable[Any]:
        """Return the names of the columns."""

    def __getitem__(self, name: Any, /) -> Any:
        """Return one column."""


X_LABELS = {
    "iteration": "iteration",
    "evaluations": r"evaluations of $J$ and $\nabla J$",
    "seconds": "time / s",
}
NO_TERMS = {*X_LABELS, "J", "gradient_norm", "resumed"}


class Style(NamedTuple):
    """Line style of a term; a term has the same color in every figure."""

    color: str
    dashes: str | tuple[int, tuple[float, ...]]
    symbol: str = ""


# Okabe and Ito's colors, which color-blind readers can distinguish; the dashes are for print without color.
# The sum is written as a Greek letter: Matplotlib puts the limits of a true sum below it, and the lines of a
# legend would move apart.
MEAN_ERROR = Style("#0072B2", "--", r"$\Sigma_n s_n E_n / S$")
STYLES = {
    "squared_error": MEAN_ERROR,
    "cross_entropy": MEAN_ERROR,
    "noisy_cross_entropy": MEAN_ERROR,
    "gaussian_error": MEAN_ERROR._replace(symbol=""),  # with an unknown covariance it is not a mean of E_n
    "weight_decay": Style("#E69F00", "-.", r"$\alpha/2 \;\Sigma_l\, |W_l|^2$"),
    "sparsity": Style("#009E73", ":", r"$\beta \;\Sigma_j\, \mathrm{KL}(\rho\,\|\,\hat\rho_j)$"),
    "l1_sparsity": Style("#009E73", ":", r"$\beta \;\Sigma_n s_n \Sigma_j z_{nj} |w_{2j}| / S$"),
    "tangent_propagation": Style("#CC79A7", (0, (4, 1, 1, 1, 1, 1)), r"tangent_weight $\Sigma_n s_n \Omega_n / S$"),
}
OTHER_STYLES = (
    Style("#D55E00", (0, (6, 1))),
    Style("#56B4E9", (0, (2, 1))),
    Style("#0072B2", (0, (8, 2, 1, 2))),
)


def plot_cost_curve(
    history: History,
    *,
    x: Literal["iteration", "evaluations", "seconds"] = "iteration",
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Axes:
    """Plot the objective J and each of its terms over a training run.

    Parameters
    ----------
    history : pandas.DataFrame or dict of columns, all of length n_rows >= 1
        `history_` of an estimator: the columns "J" and `x`, and possibly "iteration", "evaluations", "seconds" and
        "gradient_norm"; every other column is a term of J, multiplied by its weight.
    x : {"iteration", "evaluations", "seconds"}, default="iteration"
        The horizontal axis. Evaluations measure the cost of training on any machine; seconds are the time on this one,
        counted from the first row: compiling and training in folds come before it, and would push the curve aside.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in. Default: a new pyplot figure, as wide as a page's text (6.5 inches), with the legend
        beside the curves. In given axes the legend lies inside, where there is most room, with names but no symbols.
    show : bool, default=False
        Whether to open a window at once.
    save : str or path-like, optional
        File to write, in the format of its suffix (".pdf" for a paper); written in one step.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The axes, for further changes.

    Raises
    ------
    ValueError
        If a column is missing, the history is empty or not numeric, or `x` or the suffix of `save` is
        unknown.
    TypeError
        If `ax` is not an Axes, or `history` not a table.

    Notes
    -----
    J = 1/S sum_n s_n E_n + alpha/2 sum_l |W_l|^2 + beta sum_j KL(rho || rho_hat_j) + ...

    The values span orders of magnitude, so their axis is logarithmic; it is linear if a value is negative (the
    logarithm of a determinant can be). A term that is always 0 appears in the legend only. Zeros and values that are
    not finite leave gaps.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> history = {"iteration": [0, 1, 2], "J": [9.0, 2.0, 0.5], "squared_error": [8.0, 1.9, 0.4]}
    >>> ax = plot_cost_curve(history)
    >>> ax.get_yscale(), [line.get_ydata().tolist() for line in ax.lines]
    ('log', [[9.0, 2.0, 0.5], [8.0, 1.9, 0.4]])
    >>> plt.close(ax.figure)
    """
    from matplotlib.ticker import MaxNLocator

    if x not in X_LABELS:
        raise ValueError(f"x must be one of {', '.join(X_LABELS)}; got {x!r}")
    figure_format(save)  # before anything is drawn
    columns = _columns(history, x)
    position = columns[x] - columns[x][0] if x == "seconds" else columns[x]
    drawn = {name: values for name, values in columns.items() if name not in NO_TERMS or name == "J"}
    logarithmic = not any((values < 0).any() for values in drawn.values())

    def new_axes() -> Axes:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=(6.5, 3.4), layout="constrained").add_subplot()

    with given_or_new(ax, new_axes) as axes:
        others = cycle(OTHER_STYLES)
        for name, values in drawn.items():
            visible = np.isfinite(values) & ((values > 0) | (not logarithmic))
            style = Style("black", "-") if name == "J" else STYLES.get(name) or next(others)
            axes.plot(
                position,
                np.where(visible, values, np.nan),
                color=style.color,
                linestyle=style.dashes,
                linewidth=2.0 if name == "J" else 1.5,
                marker="o" if visible.sum() == 1 else "",  # a single point has no line
                markersize=4,
                label=_label(name, style.symbol if ax is None else "", values),
            )
        if logarithmic:
            axes.set_yscale("log")
        if x != "seconds":
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.margins(x=0.02)
        axes.set_xlabel(X_LABELS[x])
        axes.set_ylabel("$J$ and its terms" if len(drawn) > 1 else "$J$")
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        if ax is None:
            # Beside the axes a legend covers no curve; in a grid of axes it would cover a neighbor.
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
        else:
            axes.legend(fontsize="x-small", handlelength=1.5, borderpad=0.3, labelspacing=0.3)
        finish_figure(axes, save=save, show=show)
    return axes


def _columns(history: History, x: str) -> dict[str, NDArray[np.float64]]:
    """Check the table and return its columns as floats, J first."""
    if not hasattr(history, "keys"):
        raise TypeError(f"history must be a DataFrame or a dict of columns; got {type(history)!r}")
    names = list(history.keys())
    for name in ("J", x):
        if name not in names:
            raise ValueError(f'history has no column "{name}"; it has {", ".join(map(str, names))}')
    columns = {}
    for name in sorted(names, key=lambda name: name != "J"):  # stable: the others keep their order
        try:
            columns[str(name)] = np.asarray(history[name], dtype=np.float64).reshape(-1)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'column "{name}" of history is not numeric; every column except '
                f"{', '.join(sorted(NO_TERMS))} is plotted as a term of J: drop it ({error})"
            ) from error
    lengths = {len(values) for values in columns.values()}
    if lengths == {0}:
        raise ValueError("history has no rows, so there is nothing to plot")
    if len(lengths) > 1:
        raise ValueError(f"the columns of history have different lengths: {sorted(lengths)}")
    return columns


def _label(name: str, symbol: str, values: NDArray[np.float64]) -> str:
    # Matplotlib leaves labels that begin with "_" out of the legend.
    plain = escape_mathtext(name.replace("_", " ")).strip()
    words = "$J$" if name == "J" else f"{plain}\n{symbol}".strip()
    if not np.isfinite(values).any():
        return f"{words} (not finite)"
    if not values.any():
        return f"{words} = 0"
    return words
