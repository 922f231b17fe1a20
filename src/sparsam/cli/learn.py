"""``sparsam learn``: from photographs to edge filters."""

from __future__ import annotations

import json
import time
import warnings
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import image_options
from sparsam.cli.console import INTERRUPTED, print_json, progress_shown, say
from sparsam.cli.distributed import Processes
from sparsam.cli.hyperparameters import hyperparameter_options
from sparsam.cli.image_options import Border, Images, NPatches, PatchSize, Whiten
from sparsam.cli.models import load_autoencoder
from sparsam.cli.output import AsJson, Out, Overwrite, Verbose, check_output_folder
from sparsam.cli.panels import SEVERAL, TRAINING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sparsam.estimators.autoencoder import SparseAutoencoder

MODEL_FILE, METRICS_FILE = "model.safetensors", "metrics.json"
PICTURES = ("filters.png", "patches.png", "reconstructions.png", "cost.png")


CURES = {
    "max_iter": "increase --max-iter",
    "time_budget": "increase --time-budget",
    "precision": "use --dtype float64 or a larger --tol",
}

SHOWN_PATCHES = 100
SHOWN_RECONSTRUCTIONS = 20


@hyperparameter_options("SparseAutoencoder", help={"random_state": "Seed of the patches and of the initial weights."})
def learn(
    images: Images = None,
    n_patches: NPatches = 10_000,
    patch_size: PatchSize = 8,
    border: Border = None,
    whiten: Whiten = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            help="A saved model whose weights to go on from.", show_default="random weights", rich_help_panel=TRAINING
        ),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT at which process 0 of several meets the others.",
            show_default="none",
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    num_processes: Annotated[
        int | None, typer.Option(help="How many processes there are.", show_default="1", rich_help_panel=SEVERAL)
    ] = None,
    process_id: Annotated[
        int | None,
        typer.Option(help="Which of them this is, from 0 on; 0 writes.", show_default="0", rich_help_panel=SEVERAL),
    ] = None,
    verbose: Verbose = 1,
    out: Out = Path("sparsam-out"),
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    **hyperparameters: Any,
) -> None:
    """Learn features from images with a sparse autoencoder.

    Cuts patches from the images, normalizes them to [0.1, 0.9], minimizes squared error + weight decay + KL sparsity
    (CS294A) until the gradient vanishes, and writes into the output folder: filters.png, patches.png,
    reconstructions.png, cost.png, model.safetensors, metrics.json. Ctrl-C ends the training and keeps the model so far.

    With --checkpoint a training that was killed, or is to be longer, goes on with --resume. With --coordinator,
    --num-processes and --process-id each of several processes, started with the same other flags, trains on its part of
    the patches.
    """
    processes = Processes.of_flags(coordinator, num_processes, process_id)
    if processes.is_first:
        check_output_folder(out, (*PICTURES, MODEL_FILE, METRICS_FILE), overwrite)
    processes.watch()
    mesh = processes.join()
    from sklearn.exceptions import ConvergenceWarning

    from sparsam.estimators._progress.displays import summary_line
    from sparsam.estimators.autoencoder import SparseAutoencoder
    from sparsam.images import normalize_patches, sample_patches
    from sparsam.inspection.weak_fit import examine_fit

    model = SparseAutoencoder(**hyperparameters, mesh=mesh)
    quiet = verbose == 0 or not processes.is_first
    with processes.together(), progress_shown(quiet=quiet) as display:
        model.check_hyperparameters()
        if warm_start is not None:
            _start_from(model, warm_start, n_features=patch_size**2)
        loaded, data = image_options.load(images, whiten, border, display)
        seed, rim = hyperparameters["random_state"], data["border"]
        patches = normalize_patches(sample_patches(loaded, n_patches, patch_size, seed, border=rim))
        say(f"{n_patches} patches of {patch_size} x {patch_size} pixels from {len(loaded)} images; compiling")
        if processes.is_first:
            out.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # why it stopped is said below
            warnings.filterwarnings("ignore", message="Training interrupted")
            model.fit(processes.share(patches))
    if not processes.is_first:
        raise typer.Exit(INTERRUPTED if model.stop_reason_ == "interrupted" else 0)
    # What follows is about the model alone.
    model.set_params(mesh=None, checkpoint=None)
    seconds = time.perf_counter() - start
    say(f"Stopped: {summary_line(model)}, {seconds:.1f} s")

    if model.stop_reason_ in CURES:
        say(f"Not converged; {CURES[model.stop_reason_]}, or go on with --warm-start {out / MODEL_FILE} --out ANOTHER")

    weak = examine_fit(model, patches)
    if weak is not None and weak.at_minimum:
        say(f"Warning: {weak.text}")
    metrics = _metrics(model, patches, seconds, data | {"n_patches": n_patches, "patch_size": patch_size})
    _write(model, patches, metrics, out, overwrite)
    say(f"Wrote {', '.join((*PICTURES, MODEL_FILE, METRICS_FILE))} to {out}")
    if as_json:
        print_json(metrics)
    if model.stop_reason_ == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _start_from(model: SparseAutoencoder, path: Path, n_features: int) -> None:
    start = load_autoencoder(path)
    if start.coefs_[0].shape != (n_features, model.n_components):
        features, units = start.coefs_[0].shape
        raise ValueError(
            f"--warm-start {path}: that model has {features} features and {units} hidden units; choose --patch-size "
            f"and --n-components {units} to match"
        )
    model.set_params(warm_start=True)
    model.coefs_, model.intercepts_ = start.coefs_, start.intercepts_


def _metrics(
    model: SparseAutoencoder, patches: NDArray[np.float64], seconds: float, data: dict[str, Any]
) -> dict[str, Any]:
    parameters = {name: value for name, value in model.get_params().items() if name != "callback"}
    return {
        "data": data,
        "parameters": parameters,
        "J": model.cost_,
        "J_float64": model.cost(patches),
        "terms": model.terms_,
        "explained_variance_ratio": None if isnan(model.explained_variance_ratio_) else model.explained_variance_ratio_,
        "mean_activation": [float(value) for value in model.mean_activation_],
        "gradient_norm": model.gradient_norm_,
        "n_iter": model.n_iter_,
        "n_evaluations": model.n_evaluations_,
        "stop_reason": model.stop_reason_,
        "seconds": seconds,
    }


def _write(
    model: SparseAutoencoder, patches: NDArray[np.float64], metrics: dict[str, Any], out: Path, overwrite: bool
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from sparsam import display
    from sparsam._utils.atomic_write import atomic_write
    from sparsam.io.persistence import save

    save(model, out / MODEL_FILE, overwrite=overwrite)
    with atomic_write(out / METRICS_FILE, overwrite=overwrite) as file:
        file.write(json.dumps(metrics, indent=2, allow_nan=False).encode())
    some = patches[:SHOWN_RECONSTRUCTIONS]
    filters, originals, reconstructions, cost = (out / name for name in PICTURES)
    display.plot_filters(model.components_, normalize_each=True, save=filters)
    display.plot_filters(patches[:SHOWN_PATCHES], normalize_all=False, border_color="white", save=originals)
    display.plot_reconstructions(some, model.predict(some), n_patches=len(some), save=reconstructions)
    display.plot_cost_curve(model.history_, save=cost)
    plt.close("all")
