"""Parameter studies: a network fitted at every setting of a grid, and what became of it."""

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
from sparsam.estimators._progress.displays import Lines
from sparsam.studies.grid import Setting, check_estimator, checked_seeds, settings_of
from sparsam.studies.metrics import HeldOut, measured, parameters_of
from sparsam.studies.storage import StudyFolder
from sparsam.studies.tables import SEED, study_table, write_table
from sparsam.studies.training import Group, fit_group, groups_of

__all__ = ["TABLE", "parameter_study"]

PROGRESS_INTERVAL = 10.0  # between two lines that say how far a group is

TABLE = "study.csv"


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
    """Fit a network at every setting of a grid, from several seeds, and tabulate what became of it.

    Autoencoders of one size are trained together, on data that are brought to the device once, and
    settings of them that differ in ``max_iter`` alone are one training, looked at on the way. Where that cannot be
    (other estimators, and with ``polish``, ``time_budget``, ``warm_start``, ``checkpoint``, ``callback``, ``verbose``
    or rows that are read in pieces) each setting is a fit of its own, one to a core at a time, with its checkpoints in
    a folder of its own within ``checkpoint``. The results are those of separate fits in either case.

    Parameters
    ----------
    estimator : SparseAutoencoder, MultivariateNormalRegressor or NoisyLabelClassifier
        Its hyperparameters hold for all settings, except for those of the grid; it is not fitted itself.
    grid : dict of str to list
        Values of hyperparameters, all combinations of which are fitted: ``{"rho": [0.01, 0.05], "alpha": [0, 1e-4]}``.
    X : array-like of shape (n_samples, n_features)
    y : array-like, optional
        Targets, for the estimators that need them.
    sample_weight : array-like of shape (n_samples,), optional
    X_held_out, y_held_out : array-like, optional
        Rows to score the models on.
    held_out : float, default 0
        In place of them the share of X to hold out, in (0, 1), the same rows for all settings; 0 is none.
    seeds : int or sequence of int, default 1
        How many random_state, from 0 on, to fit each setting from; or which. Different minima are different filters, so
        that a difference between settings is one if it is greater than that between seeds.
    out : path, optional
        Folder for what is done: ``study.csv``, and in ``models/`` a file for each setting (`sparsam.load`), written as
        soon as it is there. Default: nothing is written.
    resume : bool, default False
        Whether to go on with the study that the folder holds: what is done of it is not done again. If False, a folder
        with a study is refused. Values may not be added on the way: that is another study.
    progress : callable, optional
        Told a line for each group of settings, and for each of those that are fitted by themselves, and every ten
        seconds how many are done; `print` for example.

    Returns
    -------
    pandas.DataFrame
        A row a setting and seed, in the order of the grid, the seeds running fastest, with ::

            the axes, all other hyperparameters that influence a fit, seed    tuples and arrays as text
            J, and each term of it                            at the end of the training
            held_out_error                   of autoencoders the mean of E_n on the rows held out, 1/2 |y_n - x_n|^2
            held_out_score, held_out_log_likelihood   of the others ``score`` and ``mean_log_likelihood`` on these rows
            explained_variance_ratio         share of the training data's variance that reconstructions explain, R^2
            rho_hat_mean, rho_hat_std        mean and spread of the hidden units' mean activations
            dead, saturated                  shares of the hidden units, see `unit_statistics`
            weakness                         "unexplained" where less than 0.01 of the variance is, "uninformative"
                                             where more than half of the units are dead, saturated or constant
            quality                          share of the filters that are like oriented Gabor functions (R^2 > 0.7),
                                             see `fit_gabors`; NaN where inputs are no square patches, and where there
                                             is a weakness
            iterations, evaluations, gradient_norm, stop_reason
            seconds                          from the beginning of the training, while others were trained beside it
            model                            the model's file within ``out``

        What there is not is NaN. Where J was not finite, ``stop_reason`` is "not_finite", and the study goes on.

    Raises
    ------
    ValueError, TypeError
        If the grid names what is no hyperparameter, or a combination or the data cannot be used: before anything is
        fitted. Or if the folder holds another study: the error names the difference.
    FileExistsError
        If the folder holds a study, and ``resume`` is False.
    KeyboardInterrupt
        On Ctrl-C, once what is done is written.

    See Also
    --------
    compare_studies : Two studies of the same settings, side by side.
    sparsam.studies.draw_study : The filters of all settings on a page.

    Examples
    --------
    >>> from sparsam import SparseAutoencoder, parameter_study
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(200, 2)) @ np.full((2, 16), 0.5)
    >>> table = parameter_study(SparseAutoencoder(4, tol=1e-3), {"beta": [0.0, 3.0], "rho": [0.05, 0.2]}, X)
    >>> table[["beta", "rho", "seed"]].values.tolist()
    [[0.0, 0.05, 0.0], [0.0, 0.2, 0.0], [3.0, 0.05, 0.0], [3.0, 0.2, 0.0]]
    >>> table.rho_hat_mean.round(2).tolist()[2:]  # where there is a penalty the mean activation is rho
    [0.05, 0.2]
    """
    check_estimator(estimator)
    chosen = checked_seeds(seeds)
    settings = settings_of(estimator, grid, chosen)
    # The axes come first, as a reader looks for them.
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
        raise ValueError("resume=True needs the folder of the study: give out")
    if folder is not None:
        folder.begin(identity, resume=resume)

    rows = [None if folder is None else folder.read_row(number) for number in range(len(settings))]

    def done(number: int, model: Any, seconds: float) -> None:
        row = measured(model, seconds, X, unseen)
        rows[number] = row if folder is None else folder.write_row(number, row, model)
        if number in alone:
            say(f"{settings[number]}, seed {settings[number].seed}: {model.stop_reason_}, {seconds:.1f} s")
        else:
            n_done = sum(row is not None for row in rows)
            lines.count("settings are done", n_done, len(settings), every=PROGRESS_INTERVAL)

    groups = groups_of(estimator, settings, [number for number, row in enumerate(rows) if row is None], X)
    fit_params = {} if sample_weight is None else {"sample_weight": sample_weight}
    say = progress or (lambda line: None)
    lines = Lines(say)
    alone = {n for group in groups if not group.together for training in group.numbers for n in training.values()}
    n_before = sum(row is not None for row in rows)
    if n_before:
        say(f"{n_before} of {len(settings)} settings are done already")
    signals = StopSignals()
    try:
        with signals.deferred(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # why each stopped is in the table
            for count, group in enumerate(groups, start=1):
                start = time.perf_counter()
                fit_group(group, estimator, settings, X, y, fit_params, done, lambda: bool(signals.received))
                if signals.received:
                    raise KeyboardInterrupt
                seconds = time.perf_counter() - start
                say(f"group {count} of {len(groups)}: {_group_title(group, settings)}, {seconds:.1f} s")
    finally:
        n_done = sum(row is not None for row in rows)
        if folder is not None and n_done:
            finished = [(before, row) for before, row in zip(parameters, rows, strict=True) if row is not None]
            write_table(study_table(*zip(*finished, strict=True)), folder.path / TABLE)
        elif folder is not None:
            folder.release()
        if n_done < len(settings):
            say(f"{n_done} of {len(settings)} settings are done" + (f", in {out}" if folder is not None else ""))
    return study_table(parameters, rows)  # type: ignore[arg-type]


def _group_title(group: Group, settings: list[Setting]) -> str:
    """Describe a group by what its settings have in common."""
    values = [settings[number].values for training in group.numbers for number in training.values()]
    common = [f"{name} = {value!r}" for name, value in values[0].items() if all(row[name] == value for row in values)]
    return ", ".join([*common, f"{len(values)} settings by {len(group.numbers)} trainings"])


def _digest(*parts: Any) -> int:
    return array_digest(*(None if part is None else np.asarray(part) for part in parts))


def _split(
    X: Any, y: Any, sample_weight: Any, X_held_out: Any, y_held_out: Any, share: float
) -> tuple[Any, Any, Any, HeldOut | None]:
    """Hold out what is asked for, and check it."""
    if np.ndim(X) != 2:
        raise ValueError(
            f"X must be of shape (n_samples, n_features), got {np.shape(X)}: a study needs an array, "
            "in memory or mapped"
        )
    if not 0 <= share < 1:
        raise ValueError(f"held_out must be in [0, 1), got {share!r}")
    if X_held_out is not None:
        if share:
            raise ValueError("held_out takes a share of X, and X_held_out is given as well: leave one out")
        if np.ndim(X_held_out) != 2 or np.shape(X_held_out)[1] != np.shape(X)[1]:
            raise ValueError(
                f"X_held_out is {np.shape(X_held_out)}, and X is {np.shape(X)}: they need the same features"
            )
        if (y is None) != (y_held_out is None):
            raise ValueError("y and y_held_out go together: give both or neither")
        check_array(X_held_out, input_name="X_held_out")
        return X, y, sample_weight, HeldOut(X_held_out, y_held_out)
    if y_held_out is not None:
        raise ValueError("y_held_out is given without X_held_out")
    if share == 0:
        return X, y, sample_weight, None
    training, unseen = train_test_split(np.arange(np.shape(X)[0]), test_size=share, random_state=0)
    parts = [None if part is None else (_rows(part, training), _rows(part, unseen)) for part in (X, y, sample_weight)]
    (X, X_unseen), (y, y_unseen), (sample_weight, _) = [part or (None, None) for part in parts]
    return X, y, sample_weight, HeldOut(X_unseen, y_unseen)


def _rows(part: Any, which: Any) -> Any:
    which = np.sort(which)
    return part.iloc[which] if hasattr(part, "iloc") else np.asarray(part)[which]
