"""Make a page from a fitted estimator and its data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sparsam._utils.atomic_write import atomic_write
from sparsam.display.estimator_access import drawable_network
from sparsam.reports.drawn_inputs import DrawnInputs
from sparsam.reports.page import Page, render, require_libraries
from sparsam.reports.row_names import check_row_names
from sparsam.reports.rows import Rows

__all__ = ["report"]


def report(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    test: tuple[Any, Any] | None = None,
    names: Sequence[str] | None = None,
    image_shape: tuple[int, ...] | None = None,
    title: str | None = None,
    remarks: list[str] | None = None,
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> str:
    """Make a page about a fitted estimator: HTML in one file, which needs no network and no server.

    The page shows the training history and warnings. For an autoencoder it also shows the filters, to sort and click
    for details of each unit, and reconstructions by the strongest units, or with ``names`` of the rows, units described
    by the rows on which they are strongest, and a search for rows; for a regression the noise covariance, and a
    test of it on the residuals; for a classification the label noise, and the labels that are probably wrong; for an
    outlier detector the rows that fit least, and why.

    Parameters
    ----------
    model : estimator
        A fitted SparseAutoencoder, StackedAutoencoder, MultivariateNormalRegressor, NoisyLabelClassifier or
        AutoencoderOutlierDetector; or a pipeline (`TangentPipeline` too) that ends with it, or a search for it.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The training data. For an autoencoder, at most 10,000 rows are used, and more where they have names.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets of a regression, or given labels of a classification.
    test : (X, y), optional
        Held-out rows. Residuals and probabilities are then evaluated on these, which is more honest: on the training
        data both look too good.
    names : sequence of str, optional
        Of an autoencoder or an outlier detector: a name for each row of X, such as the words of word vectors. They may
        repeat. The page of an autoencoder then names each unit's strongest rows, its density, coherence and
        contribution, and nearest units, and has a search that rebuilds a row from its k strongest units. It takes as
        many rows as fit into five megabytes, some 40,000, and of more rows as many at random. Default: rows have no
        names, or in a detector the labels of a DataFrame.
        Of a regression: the names of the targets, preferably with units. Default: the columns of y, or "output 0",
        "output 1", ... A classification takes none: its rows have the labels of a DataFrame.
        Features have the names of a DataFrame's columns, in all of them.
    image_shape : (height, width) or (height, width, 3), optional
        Shape of rows that are images, gray or RGB. Default: rows are not images, and are shown with their feature names
        (``feature_names_in_``) or, without names, as curves: 64 numbers may be sound as well as pixels.
    title : str, optional
        Heading of the page. Default: the estimator's class.
    remarks : list of str, optional
        Notes to add to the page's findings.
    path : path, optional
        File to write, completely or not at all.
    overwrite : bool, default False
        Whether an existing file may be replaced.

    Returns
    -------
    html : str
        The page.

    Raises
    ------
    TypeError
        If the model is not one of these.
    NotFittedError
        If it is not fitted.
    ValueError
        If the data do not fit the model, y is missing, or there is not one name for each row (or target).
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ImportError
        If Altair or vl-convert is missing: ``pip install 'sparsam[report]'``.

    Notes
    -----
    The page contains the rows that it shows (patches, labels that are probably wrong, residuals): consider this before
    you publish it.

    Examples
    --------
    >>> import numpy as np
    >>> import sparsam
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(100, 16))
    >>> model = sparsam.SparseAutoencoder(n_components=3, rho=0.1, tol=1e-2, random_state=0).fit(X)
    >>> html = sparsam.report(model, X, title="Noise")
    >>> "<h1>Noise</h1>" in html, len(html) < 3_000_000
    (True, True)

    Rows with names:

    >>> html = sparsam.report(model, X, names=[f"sample {row}" for row in range(100)])
    >>> "Find a row" in html, "sample 42" in html
    (True, True)
    """
    require_libraries()
    if path is not None and os.path.lexists(path) and not overwrite:
        raise FileExistsError(f"{os.fspath(path)} exists: name another file, or replace it with overwrite=True")
    network = drawable_network(model, "report", ("coefs_", "offset_"), "the weights of a sparsam estimator")
    if hasattr(network, "offset_") and hasattr(network, "explain"):
        from sparsam.reports.detector import detector_page

        row_names = None if names is None else check_row_names(names, len(X))
        page = detector_page(model, network, X, _network_inputs(model, X), image_shape, row_names)
    elif hasattr(network, "inverse_transform"):
        row_names = None if names is None else check_row_names(names, len(X))
        page = _autoencoder_page(model, network, X, image_shape, row_names)
    elif hasattr(network, "transition_matrix_") or hasattr(network, "covariance_"):
        page = _supervised_page(model, network, X, y, test, names, image_shape)
    else:
        raise TypeError(f"report takes estimators of sparsam, not {type(network).__name__}")
    page.title = title or type(network).__name__
    page.remarks = remarks or []
    html = render(page)
    if path is not None:
        with atomic_write(path, overwrite=overwrite) as file:
            file.write(html.encode(errors="replace"))  # a folder's name may hold bytes that are not text
    return html


def _autoencoder_page(model: Any, network: Any, X: Any, image_shape: Any, row_names: list[str] | None) -> Page:
    from sparsam.reports.autoencoder import autoencoder_page

    drawn = DrawnInputs.of(model)
    features = _feature_names(model, network) if drawn.steps is None else _names_of_inputs(model)
    return autoencoder_page(network, _network_inputs(model, X), features, image_shape, drawn, row_names)


def _supervised_page(
    model: Any, network: Any, X: Any, y: Any, test: tuple[Any, Any] | None, names: Any, image_shape: Any
) -> Page:
    if y is None:
        raise ValueError(f"a report on a {type(network).__name__} needs the targets: report(model, X, y)")
    training = Rows("training", X, _network_inputs(model, X), y)
    held_out = None if test is None else Rows("held-out", test[0], _network_inputs(model, test[0]), test[1])
    if hasattr(network, "classes_"):
        if names is not None:
            raise ValueError("a report on a classification takes no names: the labels of a DataFrame X name its rows")
        from sparsam.reports.classifier import classifier_page

        return classifier_page(network, training, held_out, image_shape)
    from sparsam.reports.regressor import regressor_page

    return regressor_page(network, training, held_out, names)


def _names_of_inputs(model: Any) -> list[str] | None:
    """Return the names of the inputs of a pipeline, if they have any."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _feature_names(model: Any, network: Any) -> list[str] | None:
    """Return the names of the network's inputs: its own, or those that the transformers before it make."""
    if hasattr(network, "feature_names_in_"):
        return [str(name) for name in network.feature_names_in_]
    if hasattr(model, "best_estimator_"):
        return _feature_names(model.best_estimator_, network)
    transformers: Any = model[:-1] if len(getattr(model, "steps", ())) > 1 else getattr(model, "transformer_", None)
    if not hasattr(transformers, "feature_names_in_") or not hasattr(transformers, "get_feature_names_out"):
        return None
    return [str(name) for name in transformers.get_feature_names_out()]


def _network_inputs(model: Any, X: Any) -> Any:
    """Transform X by all transformers before the network (`unwrap_estimator`), in nested pipelines too."""
    if hasattr(model, "best_estimator_"):
        return _network_inputs(model.best_estimator_, X)
    if hasattr(model, "steps"):
        return _network_inputs(model[-1], model[:-1].transform(X) if len(model) > 1 else X)
    if hasattr(model, "transformer_") and hasattr(model, "estimator_"):
        return _network_inputs(model.estimator_, model.transformer_.transform(X))
    return X
