"""``sparsam learn``: learn features from images or rows with a sparse autoencoder."""

from __future__ import annotations

import json
import time
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import image_options, table_options
from sparsam.cli.console import print_json, progress_shown, require_paths, say
from sparsam.cli.convergence import convergence_advice, library_advice_ignored
from sparsam.cli.distributed import Processes
from sparsam.cli.hyperparameters import comma_separated, hyperparameter_options, refuse_given
from sparsam.cli.image_options import (
    Border,
    Color,
    Images,
    NPatches,
    PatchSize,
    Whiten,
    WhiteningEpsilon,
    WhiteningKind,
)
from sparsam.cli.interrupts import INTERRUPTED
from sparsam.cli.models import MODEL_FILE, SCALER_FILE, load_autoencoder, model_file_of, parameters_of
from sparsam.cli.output import AsJson, Out, Overwrite, Verbose, check_output_folder
from sparsam.cli.panels import DATA, MODEL, SEVERAL, TRAINING
from sparsam.cli.row_names import NAMES_FILE, format_names, read_names
from sparsam.cli.row_options import ImageShape, Rows, only_file
from sparsam.cli.table_options import METRICS_FILE
from sparsam.cli.training_rows import TrainingRows, cut_patches, read_rows, unfitted_scaler

if TYPE_CHECKING:
    from sparsam.estimators.autoencoder import SparseAutoencoder
    from sparsam.estimators.stacked_autoencoder import StackedAutoencoder

FILTERS, PATCHES, RECONSTRUCTIONS, COST = "filters.png", "patches.png", "reconstructions.png", "cost.png"
RUN_FILES = (FILTERS, PATCHES, RECONSTRUCTIONS, COST, MODEL_FILE, SCALER_FILE, METRICS_FILE)
FILES = (*RUN_FILES, NAMES_FILE)


IMAGE_OPTIONS = ("n_patches", "patch_size", "border", "whiten", "color", "whitening", "whitening_epsilon")
ROW_OPTIONS = ("ignore", "image_shape", "names", "sep", "decimal", "thousands", "encoding")
SHOWN_PATCHES = 100
SHOWN_RECONSTRUCTIONS = 20


@hyperparameter_options("SparseAutoencoder", help={"random_state": "Seed of the patches and of the initial weights."})
def learn(
    context: typer.Context,
    images: Images = None,
    n_patches: NPatches = 10_000,
    patch_size: PatchSize = 8,
    border: Border = None,
    whiten: Whiten = None,
    color: Color = False,
    whitening: WhiteningKind = "none",
    whitening_epsilon: WhiteningEpsilon = 0.1,
    rows: Rows = False,
    ignore: table_options.Ignore = None,
    image_shape: ImageShape = None,
    names: Annotated[
        Path | None,
        typer.Option(
            help="Text file, UTF-8, with a name for each row, one a line, such as the words of word vectors; for the "
            "run's report.",
            show_default="rows have no names",
            rich_help_panel=DATA,
        ),
    ] = None,
    sep: table_options.Sep = None,
    decimal: table_options.Decimal = ".",
    thousands: table_options.Thousands = None,
    encoding: table_options.Encoding = "utf-8",
    stack: Annotated[
        str | None,
        typer.Option(
            help="Numbers of units of further autoencoders, comma-separated: each learns from the code of the one "
            "before it, and then all are trained together.",
            show_default="none",
            rich_help_panel=MODEL,
        ),
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(help="Saved model to start from.", show_default="random weights", rich_help_panel=TRAINING),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of process 0, at which the processes connect.",
            show_default="none",
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    num_processes: Annotated[
        int | None, typer.Option(help="Number of processes.", show_default="1", rich_help_panel=SEVERAL)
    ] = None,
    process_id: Annotated[
        int | None,
        typer.Option(
            help="Number of this process, from 0 on; process 0 writes the results.",
            show_default="0",
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    verbose: Verbose = 1,
    out: Out = Path("sparsam-out"),
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    **hyperparameters: Any,
) -> None:
    """Learn features from images, or from rows of numbers, with a sparse autoencoder.

    Cuts patches from the images, normalizes them to [0.1, 0.9], minimizes squared error + weight decay + KL sparsity
    (CS294A) until the gradient vanishes, and writes to the output folder: filters.png, patches.png,
    reconstructions.png, cost.png, model.safetensors, scaler.safetensors (the scale of the patches), metrics.json.
    Ctrl-C stops the training and saves the current model.

    With --stack, further autoencoders learn from its code, and all are trained together; the pictures show the filters
    of the first.

    With --whitening, the patches are whitened instead, as is usual for color: `sparsam learn --color --whitening zca
    --output-activation identity --n-components 100 --rho 0.035 --beta 5 --alpha 3e-3` learns edges and opponent colors.

    With --rows, it learns from rows of numbers instead of patches: rows with missing values are left out, and each
    column is scaled to [0.1, 0.9]. With --names, it also writes row_names.txt, so that `sparsam report` names the rows
    on which each unit is strongest.

    With --checkpoint, a training that was killed, or should run longer, continues with --resume. With --coordinator,
    --num-processes and --process-id, each of several processes, started with otherwise equal options, trains on its
    part of the patches.
    """
    processes = Processes.of_flags(coordinator, num_processes, process_id)
    if processes.is_first:
        check_output_folder(out, FILES, overwrite)
    sizes = [] if stack is None else comma_separated("--stack", stack, int, "50,20")
    if sizes and warm_start is not None:
        raise ValueError("--warm-start starts a single autoencoder, not a --stack: leave one of them out")
    start_file = None if warm_start is None else model_file_of(warm_start)
    shape = None if image_shape is None else image_options.shape_of(image_shape)
    row_names = None
    if rows:
        refuse_given(context, IMAGE_OPTIONS, "applies to images, not to --rows")
        path = only_file(images, missing_is_error=not processes.are_several)
        if names is not None:
            row_names = read_names(names)
        csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
    else:
        refuse_given(context, ROW_OPTIONS, "applies to rows: add --rows")
        if whitening != "none" and hyperparameters["output_activation"] != "identity":
            raise ValueError(
                "--whitening: whitened patches have values of both signs, which logistic outputs cannot reach: add "
                "--output-activation identity"
            )
        if not processes.are_several:  # several processes check later, so that one that fails tells the others
            require_paths(*(images or []))
    processes.watch()
    mesh = processes.join()
    from sparsam._utils.atomic_write import atomic_write
    from sparsam.estimators._progress.displays import summary_line
    from sparsam.estimators.autoencoder import SparseAutoencoder

    model: Any = SparseAutoencoder(**hyperparameters, mesh=mesh)
    if sizes:
        model = _stacked(model, sizes)
    quiet = verbose == 0 or not processes.is_first
    with processes.together(), progress_shown(quiet=quiet) as display:
        model.check_hyperparameters()
        if rows:
            data = read_rows(path, csv_format, shape, names=row_names, ignore=ignore or [])
        else:
            whiten = False if whitening != "none" and whiten is None else whiten
            loaded, origin = image_options.load(images, whiten, border, patch_size, display, color=color)
            scaler = unfitted_scaler(whitening, whitening_epsilon)
            data = cut_patches(loaded, origin, n_patches, patch_size, hyperparameters["random_state"], scaler)
        say(f"{data.description}; compiling")
        if start_file is not None:
            _start_from(model, start_file, data.X.shape[1])
        if processes.is_first:
            out.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        with library_advice_ignored():  # given below, with options of the command line
            model.fit(processes.share(data.X) if processes.are_several else data.X)
    if not processes.is_first:
        raise typer.Exit(INTERRUPTED if model.stop_reason_ == "interrupted" else 0)
    model_file = None if sizes else str(out / MODEL_FILE)
    advice = convergence_advice(model, has_checkpoint=model.checkpoint is not None, model_file=model_file)
    model.set_params(mesh=None, checkpoint=None)  # not part of the model
    seconds = time.perf_counter() - start
    say(f"Stopped: {summary_line(model)}, {seconds:.1f} s")
    if advice is not None:
        say(f"Not converged: {advice}")

    if not isnan(model.explained_variance_ratio_):
        explained = round(model.explained_variance_ratio_, 3) + 0.0  # never -0.0 %
        say(f"Reconstructions explain {explained:.1%} of the variance of the inputs")
    metrics = _metrics(model, data, seconds)
    written = _write(model, data, metrics, out, overwrite)
    if row_names is not None:
        with atomic_write(out / NAMES_FILE, overwrite=overwrite) as file:
            file.write(format_names(row_names))  # of all rows of the file, those with missing values too
        written.append(NAMES_FILE)
    say(f"Wrote {', '.join(written)} to {out}")
    if as_json:
        print_json(metrics)
    if model.stop_reason_ == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _stacked(first: SparseAutoencoder, sizes: list[int]) -> StackedAutoencoder:
    """Stack autoencoders of these sizes, with the hyperparameters of the first, on it."""
    from sklearn.base import clone

    from sparsam.estimators.stacked_autoencoder import StackedAutoencoder

    # A code of logistic or satlin units is in [0, 1], like the outputs that reconstruct it; others are not bounded.
    output = "logistic" if first.hidden_activation in ("logistic", "satlin") else "identity"
    further = [clone(first).set_params(n_components=size, output_activation=output) for size in sizes]
    for autoencoder in further:
        autoencoder.set_params(error="squared", corruption=0.0)
    own = StackedAutoencoder().get_params(deep=False).keys() - {"autoencoders", "fine_tune"}
    shared = {name: value for name, value in first.get_params(deep=False).items() if name in own}
    parts = [clone(part).set_params(random_state=None) for part in (first, *further)]
    return StackedAutoencoder(parts, **shared)


def _start_from(model: SparseAutoencoder, path: Path, n_features: int) -> None:
    start = load_autoencoder(path)
    if len(start.coefs_) != 2:
        raise ValueError(f"--warm-start {path} holds a stack of autoencoders; a single one is needed")
    if start.coefs_[0].shape != (n_features, model.n_components):
        features, units = start.coefs_[0].shape
        raise ValueError(
            f"--warm-start {path}: the model has {features} features and {units} hidden units, but the data have "
            f"{n_features} features and --n-components is {model.n_components}: use data with {features} features "
            f"(--patch-size) and --n-components {units}"
        )
    model.set_params(warm_start=True)
    model.coefs_, model.intercepts_ = start.coefs_, start.intercepts_


def _metrics(model: SparseAutoencoder | StackedAutoencoder, data: TrainingRows, seconds: float) -> dict[str, Any]:
    parameters = {name: value for name, value in parameters_of(model).items() if name != "callback"}
    return {
        "data": data.origin,
        "parameters": parameters,
        "J": model.loss_,
        "J_float64": model.cost(data.X),
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
    model: SparseAutoencoder | StackedAutoencoder,
    data: TrainingRows,
    metrics: dict[str, Any],
    out: Path,
    overwrite: bool,
) -> list[str]:
    """Write the files of the run; return their names."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from sparsam import display
    from sparsam._utils.atomic_write import atomic_write
    from sparsam.io.persistence import save

    save(model, out / MODEL_FILE, overwrite=overwrite)
    save(data.scaler, out / SCALER_FILE, overwrite=overwrite)
    with atomic_write(out / METRICS_FILE, overwrite=overwrite) as file:
        file.write(json.dumps(metrics, indent=2, allow_nan=False).encode())
    if data.image_shape is None:
        names = getattr(data.X, "columns", None)
        display.plot_weights(model.components_, names=names, save=out / FILTERS)
    else:
        _draw_pictures(model, data, data.image_shape, out)
    display.plot_cost_curve(model.history_, save=out / COST)
    plt.close("all")
    return [name for name in RUN_FILES if data.image_shape is not None or name not in (PATCHES, RECONSTRUCTIONS)]


def _draw_pictures(
    model: SparseAutoencoder | StackedAutoencoder, data: TrainingRows, shape: tuple[int, ...], out: Path
) -> None:
    import numpy as np

    from sparsam import display
    from sparsam.display.filter_display import as_images

    display.plot_filters(as_images(data.drawn_filters(model.components_), shape), save=out / FILTERS)
    shown = data.X[:SHOWN_PATCHES]
    patches = as_images(data.drawn_rows(np.asarray(shown)), shape)
    display.plot_filters(patches, normalize_each=False, normalize_all=False, border_color="white", save=out / PATCHES)
    originals = patches[:SHOWN_RECONSTRUCTIONS]
    reconstructions = as_images(data.drawn_rows(model.predict(shown[:SHOWN_RECONSTRUCTIONS])), shape)
    display.plot_reconstructions(originals, reconstructions, n_patches=len(originals), save=out / RECONSTRUCTIONS)
