"""Plot the likelihood of noisy labels against the probability that they are wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sparsam.display.figure_io import figure_format, finish_figure, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_likelihood_profile"]

HELD_OUT = "#0072B2"


def plot_likelihood_profile(
    profile: Any,
    *,
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Axes:
    """Plot the likelihood of held-out labels at each probability that a label is wrong.

    The labels are those of which the network is most certain. The probabilities of the true labels are predicted by
    networks that were not trained on these labels.

    Parameters
    ----------
    profile : LikelihoodProfile
        ``likelihood_profile_`` of a `NoisyLabelClassifier` that estimated epsilon, or the matrix.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in. Default: a new pyplot figure.
    show : bool, default=False
        Whether to open a window at once.
    save : str or path-like, optional
        File to write, in the format of its suffix; written in one step.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If there is no profile.
    """
    figure_format(save)  # before anything is drawn
    if not hasattr(profile, "held_out"):
        raise TypeError(
            f"profile must be the likelihood_profile_ of a classifier fitted with epsilon='estimate', got {profile!r}"
        )
    best = profile.best
    low, high = profile.interval
    shown = profile.near_best

    def new_axes() -> Axes:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=(5.5, 3.4), layout="constrained").add_subplot()

    with given_or_new(ax, new_axes) as axes:
        axes.axvspan(low, high, color=HELD_OUT, alpha=0.15, linewidth=0, label=f"95 %: {low:.3f} to {high:.3f}")
        axes.plot(profile.epsilon[shown], profile.held_out[shown], color=HELD_OUT)
        axes.axvline(best, color=HELD_OUT, linewidth=0.8, label=rf"$\hat\epsilon$ = {best:.3f}")
        axes.set_xlabel(r"$\epsilon$, probability that a label is wrong")
        axes.set_ylabel("mean log-likelihood / nats")
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(fontsize="small", framealpha=1.0, edgecolor="none")  # opaque, so that no line crosses the words
        finish_figure(axes, save=save, show=show)
    return axes
