"""``sparsam check``: the gradient certificate."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.console import FAILED, print_json, say
from sparsam.cli.hyperparameters import hyperparameter_options
from sparsam.cli.image_options import PatchSize
from sparsam.cli.output import AsJson
from sparsam.cli.panels import DATA

if TYPE_CHECKING:
    from sparsam.verification.certificate import Comparison

HEADINGS = {
    "notes_step": "by hand\nnumerical\nstep 1e-4",
    "hand_numerical": "by hand\nnumerical\n4th order",
    "autodiff_numerical": "autodiff\nnumerical\n4th order",
    "autodiff_hand": "autodiff\nby hand\nfloat64",
    "float32_hand": "autodiff\nby hand\nfloat32",
}

NARROWEST = 82  # in a narrower table, the last column would not fit


@hyperparameter_options("SparseAutoencoder", only=("n_components", "rho", "beta", "alpha"))
def check(
    n_patches: Annotated[int, typer.Option(help="Number of patches, at most 100.", max=100, rich_help_panel=DATA)] = 50,
    patch_size: PatchSize = 8,
    random_state: Annotated[
        int, typer.Option(help="Seed of the patches and of the weights.", min=0, max=2**32 - 1, rich_help_panel=DATA)
    ] = 0,
    as_json: AsJson = False,
    **hyperparameters: Any,
) -> None:
    """Verify the gradients: compare derivation by hand, automatic differentiation and numerical differences.

    Each number is a relative difference |g - h| / |g + h|. The first column is the check of the notes, central
    differences with step 1e-4, on the whole gradient (its bound is twice the formula's own truncation error if that is
    larger). The other columns check each weight matrix and bias separately, with fourth-order differences of step 1e-3
    as the numerical gradient, and show the largest. The exit status is 1 if a number exceeds its bound.

    Most of the time goes into compiling. The programs are kept for the next time.
    """
    from sparsam.estimators.autoencoder import DEFAULT_BETA, SparseAutoencoder
    from sparsam.images import natural_images, normalize_patches, sample_patches
    from sparsam.verification.certificate import BOUNDS, certify

    if hyperparameters["beta"] is None:
        hyperparameters["beta"] = DEFAULT_BETA["kl"]
    if not (hyperparameters["alpha"] > 0 and hyperparameters["beta"] > 0):
        raise ValueError("--alpha and --beta must be positive: a term with weight 0 has no gradient to verify")
    SparseAutoencoder(**hyperparameters).check_hyperparameters()
    patches = normalize_patches(sample_patches(natural_images(), n_patches, patch_size, random_state))
    comparisons = []
    for comparison in certify(patches, random_state=random_state, **hyperparameters):
        comparisons.append(comparison)
        say(f"{comparison.name}: {'exceeds its bound' if comparison.exceeded else 'verified'}")

    if as_json:
        rows = [dataclasses.asdict(comparison) | {"exceeded": comparison.exceeded} for comparison in comparisons]
        print_json({"bounds": BOUNDS, "comparisons": rows})
    else:
        _print_table(comparisons, BOUNDS)
    if any(comparison.exceeded for comparison in comparisons):
        raise typer.Exit(FAILED)


def _print_table(comparisons: list[Comparison], bounds: dict[str, float]) -> None:
    from rich.box import SIMPLE_HEAVY
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="Gradient certificate: relative differences",
        title_justify="left",
        show_footer=True,
        box=SIMPLE_HEAVY,
        padding=(0, 1, 0, 0),
    )
    table.add_column("gradient of", footer="largest allowed", min_width=19)
    for column, heading in HEADINGS.items():
        table.add_column(heading, justify="right", footer=f"{bounds[column]:.0e}", no_wrap=True)
    table.add_column("", footer="", min_width=6)
    for comparison in comparisons:
        values = [getattr(comparison, column) for column in HEADINGS]
        figures = ["" if value is None else f"{value:.1e}" for value in values]
        if comparison.notes_step is not None:
            figures[0] = f"{comparison.notes_step:.4e}"  # with as many digits as the notes
        mark = "[red]FAILED[/red]" if comparison.exceeded else "[green]ok[/green]"
        table.add_row(comparison.name, *figures, mark)
    Console(width=max(Console().width, NARROWEST)).print(table)
