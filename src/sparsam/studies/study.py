"""Parameter studies: fit a network at every setting of a grid, and tabulate the results."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array

from sparsam._utils.digests import array_digest
from sparsam._utils.stop_signals import StopSignals
from sparsam.studies.grid import Setting, check_estimator, checked_seeds, settings_of
from sparsam.studies.metrics import HeldOut, parameters_of
from sparsam.studies.results import Results
from sparsam.studies.storage import StudyFolder
from sparsam.studies.tables import SEED, study_table
from sparsam.studies.training import Group, fit_group, groups_of

__all__ = ["parameter_study"]


def parameter_study(
    estimator: BaseEstimator,
    grid: Mapping[str, Iterable[Any]],
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    X_held_out: ArrayLike | None = None,
    y_held_out: ArrayLike | None = None,
    held_out: float = 0.0,
    seeds: int | Iterable[int] = 1,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Fit a network at every setting of a grid, with several seeds, and tabulate the results.

    Autoencoders of the same size are trained together, on data that are copied to the device once. Settings that differ
    only in ``max_iter`` share one training, which is measured at each of these iterations. All other fits (other
    estimators; ``polish``, ``time_budget``, ``warm_start``, ``checkpoint``, ``callback`` or ``verbose``; rows that are
    read in chunks) run separately, one per core, with checkpoints in separate folders in ``checkpoint``. In all cases
    the results are those of separate fits.

    Parameters
    ----------
    estimator : SparseAutoencoder, StackedAutoencoder, MultivariateNormalRegressor or NoisyLabelClassifier
        Its hyperparameters hold for all settings, except for those in the grid. The estimator itself is not fitted.
    grid : dict of str to list
        Values of hyperparameters: ``{"rho": [0.01, 0.05], "alpha": [0, 1e-4]}``. All combinations are fitted.
    X : array-like of shape (n_samples, n_features)
    y : array-like, optional
        Targets, for estimators that need them.
    sample_weight : array-like of shape (n_samples,), optional
    X_held_out, y_held_out : array-like, optional
        Rows to score the models on.
    held_out : float, default 0
        Share of X to hold out instead, in (0, 1), the same rows for all settings; 0 for none.
    seeds : int or sequence of int, default 1
        Number of seeds (random_state 0, 1, ...) per setting, or the seeds. Different seeds find different minima with
        different filters, so only a difference between settings that exceeds the one between seeds counts.
    out : path, optional
        Folder for the results: ``study.csv``, and a file for each setting in ``models/`` (see `sparsam.load`), written
        as soon as the setting is done. Default: nothing is written.
    resume : bool, default False
        Whether to continue the study in the folder: settings that are done are not fitted again. If False, a folder
        with a study is an error. Values cannot be added to a study: with them it is another study.
    progress : callable, optional
        Called with a line of text for each group of settings and each separate fit, and every ten seconds with the
        number of settings done; for example `print`.

    Returns
    -------
    pandas.DataFrame
        One row per setting and seed, in the order of the grid, with the seeds varying fastest ::

            the axes, all other hyperparameters that influence a fit, seed    tuples and arrays as text
            J, and each term of it           at the end of the training; that of the KL sparsity is kl_sparsity
            held_out_error                   autoencoders: mean of E_n = 1/2 |y_n - x_n|^2 on the held-out rows
            held_out_explained_variance      share of their variance that is explained, see `sparsity_report`
            held_out_active                  mean number of active units of a held-out row (L0), see there
            held_out_score, held_out_log_likelihood   others: ``score`` and ``mean_log_likelihood`` on these rows
            explained_variance_ratio         share of the training data's variance explained by reconstructions, R^2
            rho_hat_mean, rho_hat_std        mean and standard deviation of the hidden units' mean activations
            dead, saturated                  shares of the hidden units, see `unit_statistics`
            weakness                         "unexplained" if less than 0.01 of the variance is explained,
                                             "uninformative" if more than half of the units are dead, saturated or
                                             constant
            quality                          share of the filters similar to oriented Gabor functions (R^2 > 0.7), see
                                             `fit_gabors`; NaN if inputs are not square patches, or with a weakness
            iterations, evaluations, gradient_norm, stop_reason
            seconds                          since the start of the training, while others ran beside it
            model                            the model's file within ``out``

        Missing values are NaN. If J was not finite, ``stop_reason`` is "not_finite", and the study continues.

    Raises
    ------
    ValueError, TypeError
        Before anything is fitted, if a name in the grid is not a hyperparameter, or a combination or the data cannot be
        used; or if the folder holds another study. The error names the difference.
    FileExistsError
        If the folder holds a study and ``resume`` is False.
    KeyboardInterrupt
        On Ctrl-C, after all results are written.

    See Also
    --------
    compare_studies : Compare two studies of the same settings.
    sparsam.studies.draw_study : Draw the filters of all settings on a page.
    sparsam.studies.draw_frontier : Draw the explained variance of sparse codes against the number of active units.

    Examples
    --------
    >>> from sparsam import SparseAutoencoder, parameter_study
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(200, 2)) @ np.full((2, 16), 0.5)
    >>> table = parameter_study(SparseAutoencoder(4, tol=1e-3), {"beta": [0.0, 3.0], "rho": [0.05, 0.2]}, X)
    >>> table[["beta", "rho", "seed"]].values.tolist()
    [[0.0, 0.05, 0.0], [0.0, 0.2, 0.0], [3.0, 0.05, 0.0], [3.0, 0.2, 0.0]]
    >>> table.rho_hat_mean.round(2).tolist()[2:]  # with the penalty, the mean activation is rho
    [0.05, 0.2]
    """
    check_estimator(estimator)
    chosen = checked_seeds(seeds)
    settings = settings_of(estimator, grid, chosen)
    # The axes come first, for the reader.
    parameters = [
        {**dict.fromkeys(grid), **parameters_of(setting.estimator(estimator)), SEED: setting.seed}
        for setting in settings
    ]
    identity = {
        "estimator": type(estimator).__name__,
        "sparsam": version("sparsam"),
        "parameters": {name: value for name, value in parameters_of(estimator).items() if name not in grid},
        "grid": {name: list(dict.fromkeys(row[name] for row in parameters)) for name in grid},
        "seeds": chosen,
        "data": _digest(X, y, sample_weight),
        "held_out": [held_out, _digest(X_held_out, y_held_out)],
        "settings": parameters,
    }
    X, y, sample_weight, unseen = _split(X, y, sample_weight, X_held_out, y_held_out, held_out)
    folder = None if out is None else StudyFolder(Path(out))
    if folder is None and resume:
        raise ValueError("resume=True needs the folder of the study: pass it as out")
    if folder is not None:
        folder.begin(identity, resume=resume)

    say = progress or (lambda line: None)
    results = Results(settings, parameters, folder, X, unseen, say)
    groups = groups_of(estimator, settings, results.missing, X)
    results.alone = {n for group in groups if not group.together for each in group.numbers for n in each.values()}
    fit_params = {} if sample_weight is None else {"sample_weight": sample_weight}
    if results.n_done:
        say(f"{results.n_done} of {len(settings)} settings are done already")
    signals = StopSignals()
    try:
        with signals.deferred(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the table has the stop reasons
            for count, group in enumerate(groups, start=1):
                start = time.perf_counter()
                fit_group(group, estimator, settings, X, y, fit_params, results.add, lambda: bool(signals.received))
                if signals.received:
                    raise KeyboardInterrupt
                seconds = time.perf_counter() - start
                say(f"group {count} of {len(groups)}: {_group_title(group, settings)}, {seconds:.1f} s")
    finally:
        results.write()
        if results.missing:
            where = f", in {out}" if folder is not None else ""
            say(f"{results.n_done} of {len(settings)} settings are done{where}")
    return study_table(parameters, results.rows)  # type: ignore[arg-type]


def _group_title(group: Group, settings: list[Setting]) -> str:
    """Describe a group by the values that its settings share."""
    values = [settings[number].values for training in group.numbers for number in training.values()]
    common = [f"{name} = {value!r}" for name, value in values[0].items() if all(row[name] == value for row in values)]
    return ", ".join([*common, f"{len(values)} settings in {len(group.numbers)} trainings"])


def _digest(*parts: Any) -> int:
    return array_digest(*(None if part is None else np.asarray(part) for part in parts))


def _split(
    X: Any, y: Any, sample_weight: Any, X_held_out: Any, y_held_out: Any, share: float
) -> tuple[Any, Any, Any, HeldOut | None]:
    """Split off the held-out rows, and check them."""
    if np.ndim(X) != 2:
        raise ValueError(
            f"X must have the shape (n_samples, n_features), got {np.shape(X)}: a study needs an array, "
            "in memory or memory-mapped"
        )
    if not 0 <= share < 1:
        raise ValueError(f"held_out must be in [0, 1), got {share!r}")
    if X_held_out is not None:
        if share:
            raise ValueError("held_out and X_held_out are both given: drop one of them")
        if np.ndim(X_held_out) != 2 or np.shape(X_held_out)[1] != np.shape(X)[1]:
            raise ValueError(
                f"X_held_out has the shape {np.shape(X_held_out)} and X {np.shape(X)}: they need the same features"
            )
        if (y is None) != (y_held_out is None):
            raise ValueError("only one of y and y_held_out is given: pass both or neither")
        check_array(X_held_out, input_name="X_held_out")
        return X, y, sample_weight, HeldOut(X_held_out, y_held_out)
    if y_held_out is not None:
        raise ValueError("y_held_out is given without X_held_out: pass both")
    if share == 0:
        return X, y, sample_weight, None
    training, unseen = train_test_split(np.arange(np.shape(X)[0]), test_size=share, random_state=0)
    parts = [None if part is None else (_rows(part, training), _rows(part, unseen)) for part in (X, y, sample_weight)]
    (X, X_unseen), (y, y_unseen), (sample_weight, _) = [part or (None, None) for part in parts]
    return X, y, sample_weight, HeldOut(X_unseen, y_unseen)


def _rows(part: Any, which: Any) -> Any:
    which = np.sort(which)
    return part.iloc[which] if hasattr(part, "iloc") else np.asarray(part)[which]
