"""The command: ``python -m benchmarks.pretraining``."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from benchmarks import machine
from benchmarks.problems import data_folder
from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.report.markdown import table
from sparsam import NoisyLabelClassifier, SparseAutoencoder, StackedAutoencoder

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

Array = NDArray[np.float32]

SIZES = (200, 200)
LAYER = {"rho": 0.1, "beta": 3.0, "alpha": 3e-3, "tol": 1e-4}  # of UFLDL's exercise "stacked autoencoders"
ALPHAS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)  # to choose from, by held-out labels of the draw alone
N_FEW, N_DRAWS = 1000, 5


@app.command()
def main(
    cores: Annotated[int, typer.Option(min=1, help="Number of cores to use.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="2,000 digits, in benchmarks/quick/.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Classify MNIST's digits from 60,000 and from 1,000 labels, with and without pretraining; write PRETRAINING.md.

    Results are saved in pretraining.jsonl; an interrupted benchmark continues where it stopped.
    """
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    folder.mkdir(exist_ok=True)
    records = Records(folder / "pretraining.jsonl")
    if not render_only:
        used = machine.use_cores(cores)
        if "machine" not in records:
            records.add("machine", section="machine", **machine.describe(used))
        measure(records, 2000 if quick else 60_000)
    page = folder / "PRETRAINING.md"
    page.write_text(report(records))
    say(f"wrote {page}")


def measure(records: Records, n: int) -> None:
    """Fit all models that are not in the records."""
    home = data_folder()
    if home is None:
        raise typer.BadParameter("MNIST is missing: set SPARSAM_DATA to the folder of mnist.npz")
    with np.load(home / "mnist.npz") as mnist:
        X, X_test = (mnist[name].reshape(-1, 784).astype(np.float32) / 255 for name in ("x_train", "x_test"))
        y, y_test = mnist["y_train"], mnist["y_test"]
    X, y = X[:n], y[:n]
    warnings.simplefilter("ignore")  # trainings that stop early by intention
    stack = _timed(lambda: _stack().fit(X))
    add_stack(records, stack)
    frozen = FrozenEstimator(stack[0])
    for name, pretraining in (("pretrained", frozen), ("not pretrained", None)):
        if f"all/{name}" not in records:
            fitted = _timed(lambda pretraining=pretraining: _classifier(pretraining, 3e-5, 100).fit(X, y))
            _add(records, f"all/{name}", fitted, X_test, y_test, labels=len(y), pretrained=name)
    for draw in range(N_DRAWS):
        few = np.random.default_rng(draw).choice(len(y), N_FEW, replace=False)
        for name, pretraining in (("pretrained", frozen), ("not pretrained", None)):
            key = f"few/{draw}/{name}"
            if key not in records:
                fitted = _timed(lambda few=few, pretraining=pretraining: _tuned(pretraining, X[few], y[few]))
                _add(records, key, fitted, X_test, y_test, labels=N_FEW, pretrained=name, draw=draw)


def _stack() -> StackedAutoencoder:
    layers = [SparseAutoencoder(size, **LAYER) for size in SIZES]
    return StackedAutoencoder(layers, fine_tune=False, random_state=0, verbose=1)


def _classifier(pretraining: Any, alpha: float, max_iter: int) -> NoisyLabelClassifier:
    sizes: tuple[int, ...] = () if pretraining is not None else SIZES
    return NoisyLabelClassifier(
        sizes,
        epsilon=0.0,
        alpha=alpha,
        hidden_activation="logistic",
        pretraining=pretraining,
        max_iter=max_iter,
        random_state=0,
        verbose=1,
    )


def _tuned(pretraining: Any, X: Array, y: NDArray[Any]) -> NoisyLabelClassifier:
    """Fit with the alpha of the fewest errors on a fifth of the labels, then on all labels."""
    parts = np.arange(len(y)) % 5 == 0
    scores = {
        alpha: _classifier(pretraining, alpha, 200).fit(X[~parts], y[~parts]).score(X[parts], y[parts])
        for alpha in ALPHAS
    }
    best = max(scores, key=lambda alpha: scores[alpha])
    return _classifier(pretraining, best, 200).fit(X, y)


def _timed(fit: Any) -> tuple[Any, float, float]:
    load, start = os.getloadavg()[0], time.perf_counter()
    return fit(), time.perf_counter() - start, load


def add_stack(records: Records, timed: tuple[Any, float, float]) -> None:
    """Record the pretraining."""
    stack, seconds, load = timed
    if "stack" not in records:
        layers = [
            {"n_iter": layer.n_iter_, "explained": layer.explained_variance_ratio_, "stop": layer.stop_reason_}
            for layer in stack.autoencoders_
        ]
        records.add("stack", section="stack", seconds=seconds, load=round(load, 2), layers=layers)


def _add(
    records: Records, key: str, timed: tuple[Any, float, float], X_test: Array, y_test: NDArray[Any], **about: Any
) -> None:
    model, seconds, load = timed
    correct = float(model.score(X_test, y_test))
    say(f"{key}: {correct:.2%} correct, {seconds:.0f} s")
    records.add(
        key,
        section="fits",
        correct=correct,
        seconds=seconds,
        load=round(load, 2),
        alpha=float(model.alpha_),
        n_iter=model.n_iter_,
        **about,
    )


def report(records: Records) -> str:
    """Return PRETRAINING.md."""
    about, fits = records.rows["machine"], records.of("fits")
    rows = []
    for n in sorted({fit["labels"] for fit in fits}, reverse=True):
        for name in ("pretrained", "not pretrained"):
            runs = [fit for fit in fits if fit["labels"] == n and fit["pretrained"] == name]
            correct = [run["correct"] for run in runs]
            rows.append(
                [
                    f"{n:,}",
                    name,
                    str(len(runs)),
                    f"{median(correct):.2%} ({min(correct):.2%} ... {max(correct):.2%})".replace("%", " %"),
                    f"{median(run['seconds'] for run in runs):.0f} s",
                ]
            )
    few = {name: _by_draw(fits, name) for name in ("pretrained", "not pretrained")}
    ahead = sum(few["pretrained"][draw] > few["not pretrained"][draw] for draw in few["pretrained"])
    stack = records.rows["stack"]
    layers = "; ".join(
        f"{size} units {layer['explained']:.1%} of the variance after {layer['n_iter']} iterations".replace("%", " %")
        for size, layer in zip(SIZES, stack["layers"], strict=True)
    )
    return PAGE.format(
        cores=about["cores_used"],
        processor=about["processor"],
        rows=table(["labels", "encoder", "fits", "test digits classified correctly: median (range)", "time"], rows),
        ahead=ahead,
        n=len(few["pretrained"]),
        seconds=f"{stack['seconds']:.0f}",
        layers=layers,
    )


def _by_draw(fits: list[dict[str, Any]], name: str) -> dict[int, float]:
    return {fit["draw"]: fit["correct"] for fit in fits if fit.get("draw") is not None and fit["pretrained"] == name}


PAGE = """# Pretraining

Generated by `python -m benchmarks.pretraining`; do not edit.

MNIST's 60,000 training digits, pixels in [0, 1], and its 10,000 test digits. A network 784-200-200-10 of logistic units
starts from the encoder of a stack of two autoencoders (rho 0.1, beta 3, alpha 3e-3, as in UFLDL's exercise, which
reports 97.6 %), fitted on all training digits without their labels, or from random weights. All layers are then trained
on the labels: on 60,000 with alpha 3e-5, 100 iterations; on 1,000, drawn at random, with the best of five alphas by a
fifth of these labels, 200 iterations. On {cores} cores of {processor}.

{rows}

With 1,000 labels the pretrained network is ahead in {ahead} of {n} draws. The pretraining took {seconds} s
({layers}), which is not in the times of the table.
"""


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.pretraining")
