"""``sparsam export``: write a saved model for other programs, as an ONNX graph or as a folder for SAELens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sparsam.cli import table_options
from sparsam.cli.console import require_paths, say
from sparsam.cli.models import load_learned

SUFFIX = ".onnx"


def export(
    model: Annotated[
        Path, typer.Argument(help="Folder of a run of learn, regress, classify or anomalies, or its model file.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File for the graph: .onnx. With --format saelens, a folder.")
    ],
    form: Annotated[
        Literal["onnx", "saelens"],
        typer.Option(
            "--format",
            help="An ONNX graph; or a folder in SAELens' layout, of an autoencoder with ReLU units and linear outputs.",
        ),
    ] = "onnx",
    dtype: Annotated[
        Literal["float32", "float64"],
        typer.Option(help="Precision of the graph. Float64 is for inputs with more than seven digits that matter."),
    ] = "float32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Export a model for other programs.

    The default is an ONNX graph, which runs in C++, C#, Java, JavaScript, and in a browser.

    The graph includes the scaling, imputing and encoding of the run. A run of learn has one input, X, rows in the units
    of the training; other runs have an input for each column of the table, numbers or text. Needs the extra "onnx".

    With --format saelens it is a folder that SAELens reads. It takes rows in the units of the training, too: the scaler
    of the run is part of its weights.
    """
    if form == "saelens":
        _export_folder(model, out, dtype, overwrite)
        return
    if out.suffix.lower() != SUFFIX:
        raise ValueError(f"{out}: expected a name that ends with {SUFFIX}")
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists: name another file, or replace it with --overwrite")
    require_paths(model)
    from sparsam.io.onnx.export import to_onnx

    try:
        graph = to_onnx(_load(model), dtype=dtype, path=out, overwrite=overwrite).graph
    except ImportError as error:
        raise ValueError(str(error)) from error
    inputs, outputs = ([value.name for value in values] for values in (graph.input, graph.output))
    say(f"Wrote {out}: {_listed('input', inputs)}; {_listed('output', outputs)}")


def _export_folder(model: Path, out: Path, dtype: str, overwrite: bool) -> None:
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]) and not overwrite:
        raise FileExistsError(f"{out} exists: name another folder, or replace its files with --overwrite")
    require_paths(model)
    from sparsam.io.sae_lens.export import to_sae_folder

    try:
        to_sae_folder(_learned(model), out, dtype=dtype, overwrite=overwrite)
    except TypeError as error:
        raise ValueError(str(error)) from error
    say(f"Wrote {out}")


def _load(path: Path) -> Any:
    """Load the pipeline of a run for a table, or the autoencoder of a run of learn behind its scaler."""
    of_table = table_options.model_file(path)
    if of_table.suffix == Path(table_options.MODEL_FILE).suffix and of_table.is_file():
        from sparsam.io.pipelines import load_pipeline

        return load_pipeline(of_table).pipeline
    return _learned(path)


def _learned(path: Path) -> Any:
    """Load the autoencoder of a run of learn, behind its scaler if there is one."""
    from sklearn.pipeline import make_pipeline

    learned = load_learned(path)
    return learned.autoencoder if learned.scaler is None else make_pipeline(learned.scaler, learned.autoencoder)


def _listed(kind: str, names: list[str]) -> str:
    from sparsam._utils.listed import listed

    return f"{kind}{'s' if len(names) > 1 else ''} {listed(names)}"
