"""Regression on several outputs whose noise is correlated (PRML exercise 5.3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator

from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions.heteroscedastic import n_covariance_outputs
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.estimators import _validation as validation
from sparsam.estimators._autoencoder_base import AutoencoderBase
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.odd_units import odd_units_warning
from sparsam.estimators._data.splits import Split, check_all_held_out, folds_of_rows, hold_out, split_by_shares
from sparsam.estimators._linear_inference import LinearInference
from sparsam.estimators._pretraining import (
    SHARE,
    check_fitted_pretraining,
    check_pretraining,
    draws_rows,
    fit_pretraining,
    hidden_layers,
)
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
from sparsam.estimators._regression.coefficient_mask import check_mask, check_mask_names
from sparsam.estimators._regression.dependent_targets import DependentTargets
from sparsam.estimators._regression.fit_diagnosis import FitDiagnosis
from sparsam.estimators._regression.given_folds import Folds, check_folds, fold_shares, rows_of_folds
from sparsam.estimators._regression.noise_covariance import (
    OF_INPUT,
    check_covariance,
    check_fitted_covariance,
    check_prior,
    has_one_variance,
    refuse_unknown_pairs,
)
from sparsam.estimators._regression.prediction_region import Calibration, check_calibration
from sparsam.estimators._regression.regression_data import RegressionData
from sparsam.estimators._regression.target_scale import TargetScale
from sparsam.estimators._regression.targets import TargetCheck, observed_patterns, with_table
from sparsam.estimators._regression_trainers.calibration import cross_calibrate, hold_out_calibration
from sparsam.estimators._regression_trainers.cross_fitting import cross_fit
from sparsam.estimators._regression_trainers.means import MeanTrainer
from sparsam.estimators._tangents import (
    Tangents,
    check_tangent_hyperparameters,
    prepare_tangents,
)
from sparsam.estimators._training.fit_checkpoints import checkpointer_of
from sparsam.estimators._training.fitted_attributes import validation_attributes
from sparsam.estimators._training.initial_weights import check_warm_start
from sparsam.estimators._training.part_of_fit import PartOfFit
from sparsam.estimators._training.supervised import draw_weights_and_seed, load_with_targets
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import TrainingProblem
from sparsam.estimators.checkpoint import Checkpoint

__all__ = ["MultivariateNormalRegressor"]

Array = NDArray[np.float64]

MAX_ALPHA, ALPHA_TIMES_SAMPLES, LINEAR_ALPHA = 0.03, 20.0, 1e-3
"""Default weight decay: 20/n for networks and n samples, but at most 0.03; 1e-3 for linear models. J is a mean over
samples, so that alpha = 20/n is the same prior for any n. On smooth curves, Friedman's functions and diabetes, 100 to
2,000 rows, no fixed alpha has a much smaller test error (benchmarks/VALIDITY.md)."""


class MultivariateNormalRegressor(LinearInference):
    """Network whose outputs are the mean of a multivariate normal distribution with correlated noise.

    It minimizes minus the mean log-likelihood of t_n = y(x_n) + noise, noise ~ N(0, C), plus weight decay ::

        J = 1/2 [1/S sum_n s_n r_n' C^-1 r_n + ln|C| + K ln 2 pi]  +  alpha/2 sum_l |W_l|^2,        r_n = y_n - t_n

    over the weights and, if C is unknown, over C. The optimal C for given weights is C = 1/S sum_n s_n r_n r_n', so J
    becomes the profile 1/2 ln|C(w)| (PRML exercise 5.3): outputs with correlated errors help each other. Targets may
    be missing (NaN): the likelihood is then that of each sample's observed targets, which is exact.

    Residuals on the training data are smaller than on new data. ``predictive_covariance_`` estimates the covariance for
    new data, and all predictions use it; ``covariance_`` is the maximum-likelihood estimate.

    Targets are scaled internally to zero mean and unit variance (with "spherical" all by one number, to a mean variance
    of 1), and J and alpha refer to scaled targets; weights, covariances, predictions and likelihoods are reported in
    the units of y. The columns of X are centered and scaled for the minimizer only: with alpha = 0 their units make no
    difference, and otherwise alpha refers to weights in the units of X.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (50,)
        Number of units in each hidden layer. () is linear regression: ordinary least squares for alpha = 0 and complete
        targets, whatever C is; with ``mask`` it is iterated seemingly unrelated regression (SUR), for which
        `fit_linear_system` has restrictions and other options.
    covariance : {"full", "diag", "spherical", "input"} or array of shape (n_outputs, n_outputs), default "full"
        Structure of the noise covariance C, in the units of y: unrestricted, diagonal, sigma^2 I, or a C(x) that
        depends on the input. All outputs share sigma^2, so "spherical" is for outputs of one kind: an output in a small
        unit hardly counts. For "input" see the notes. An array is the known C.
    covariance_alpha : float or None, default None
        Weight decay of the outputs that give C(x), also of their biases, with ``covariance="input"``: the greater it
        is, the closer is C(x) to a constant. None is 1, 0.1, 0.01 or 0.001, in this order until the likelihood of the
        held-out folds falls; 0.1 without folds.
    covariance_prior : (nu, Psi) or None, default None
        Inverse-Wishart prior on an unknown C, whose density is proportional to
        |C|^(-(nu + K + 1)/2) exp(-tr(Psi C^-1)/2): it counts as about nu observations, with Psi their sum of r r'. Psi
        is an array (n_outputs, n_outputs) in the units of y, or a number for that multiple of the identity. With a
        prior J is bounded below, however flexible the network is.
    mask : array or DataFrame of shape (n_features, n_outputs) or None, default None
        True where an output may depend on an input, for ``hidden_layer_sizes=()``; None for all. The names of a frame
        must be those of X and y.
    alpha : float or None, default None
        Weight decay; biases do not decay. None is 20/n_samples with hidden layers, but at most 0.03, and 1e-3 for a
        linear model. That is the best, or nearly, for smooth functions; few rows with many inputs may need 0.1, fine
        structure less: if a fold explains less than a tenth of the targets' variance, a tenth of alpha is also
        tried, and the better one used. alpha is meant for inputs of unit variance: standardize others.
    hidden_activation : {"tanh", "logistic", "relu"}, default "tanh"
        Activation function h of the hidden units. tanh is smooth, which helps the solver, and has zero mean.
    pretraining : SparseAutoencoder, StackedAutoencoder, FrozenEstimator or None, default None
        Autoencoder whose encoder gives the first hidden layers, at the start of the training; those of
        ``hidden_layer_sizes`` follow. It is cloned and fitted on X, with the settings of the computation (``dtype``,
        ``mesh``, ...) of this estimator. A fitted one in scikit-learn's ``FrozenEstimator`` is used as it is: fit it
        on many more rows than those with targets. All layers are then trained. With ``warm_start``
        it has no influence.
    tangents : callable X -> array (n_samples, n_tangents, n_features), or None, default None
        Directions at each sample along which the outputs should not change (PRML section 5.5.4, exercise 5.26): for
        images `functools.partial(sparsam.images.image_tangents, image_shape=...)`. It is called with rows of the X
        passed to `fit`, in any number and order, and must compute each sample's tangents from its row only. Pass an
        array of tangents to `fit` instead.
    tangent_weight : float or None, default None
        Weight of 1/S sum_n s_n 1/2 sum_tau |Jac_n tau|^2, where Jac is the Jacobian of the outputs, for scaled
        targets, with respect to the inputs. None is 1e-3 if there are tangents. 0 switches them off.
    normalize_tangents : bool, default True
        Whether to scale the tangents, with one factor for the first tangents of all samples, one for the second, and so
        on, to the root-mean-square length of X's deviation from its mean, so that tangent_weight means the same in any
        unit and at any image size.
    early_stopping : bool or "auto", default "auto"
        Whether to stop the training where held-out residuals are the smallest. "auto" does so with hidden layers and an
        unknown covariance: such a network can fit its targets exactly, and the likelihood then has no maximum. With
        folds (``cv``) the final network is trained on all data, up to the iteration that was the best for the folds
        together; without folds a part of the data is held out, and the weights of the greatest held-out likelihood are
        used.
    cv : int, splitter, iterable of (train, test) or None, default 5
        Number of folds that estimate ``predictive_covariance_`` for hidden layers, and with early stopping the number
        of iterations: a network is trained without each fold. For a number the folds are drawn at random, with copies
        of a row in the same fold. If rows belong together, such as those of one patient, pass row numbers,
        ``list(GroupKFold(5).split(X, groups=patients))``, or a splitter of scikit-learn. For streamed data one part is
        held out, and cv must be a number. None skips the folds: ``predictive_covariance_`` is then ``covariance_``,
        whose intervals are too narrow.
    validation_fraction : float, default 0.1
        Part of the data to hold out, in (0, 1). A sample with an integer weight counts as that many copies, some of
        which may be held out and the others not.
    calibration_fraction : float, "cross-fitted" or None, default None
        Part of the data, in (0, 1), that the fit leaves out, to calibrate prediction regions; at least 40 samples. It
        serves `predict_region`. cv must then be a number or None. "cross-fitted" leaves out none: each row counts with
        its distance from the prediction of a network trained without its fold of ``cv``. That is for few rows. Coverage
        is then approximate, since the regions are those of another network.
    n_iter_no_change : int, default 50
        Number of iterations without a new best after which early stopping ends the training. Held-out errors fall in
        steps: with 20 the best fit to 100 rows of ten inputs is missed.
    max_iter : int, default 5000
        Maximum number of iterations. With less noise finer structure is fitted, which takes more iterations.
    dtype : {"float32", "float64"}, default "float64"
        Precision of the training. C^-1 magnifies rounding: if noise is a hundredth of the targets' variance, or
        correlations are high, float32 ends at gradients of 1e-4 to 1e-2.
    warm_start : bool, default False
        Whether `fit` starts from the fitted weights, if there are any. It has no influence, and a warning says so, if
        folds choose the number of iterations: this number counts from new weights, so the final network starts from new
        weights, too.
    solver, tol, time_budget, chunk_size, polish, start_on_sample
        As for `SparseAutoencoder`; trainings that held-out rows stop do not begin on a sample.
    random_state, mesh, checkpoint, callback, verbose
        As for `SparseAutoencoder`. ``random_state`` also draws the folds or the held-out part: for an integer, from a
        random stream of their own. ``time_budget`` limits all trainings together, including those of the folds.

    Attributes
    ----------
    pretraining_ : SparseAutoencoder, StackedAutoencoder or None
        The fitted autoencoder whose encoder the training started from.
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        Weights of each layer, in float64, the last layer's in the units of y.
    covariance_ : array of shape (n_outputs, n_outputs)
        Maximum-likelihood C, in the squared units of y, from the residuals of the training data; with "input" the mean
        of C(x) over these.
    predictive_covariance_ : array of shape (n_outputs, n_outputs)
        C of new targets about their predictions, which includes the error of the fit. `predict`, `predict_conditional`,
        `sample` and the log densities use it. With hidden layers it is the covariance of the residuals held out in
        ``cv`` folds (by expectation maximization if targets are missing), with the structure and the prior of
        ``covariance``; for linear models C_kl/((1 - p_k/n_k)(1 - p_l/n_l)), p_k the number of weights that output k's
        n_k samples determine (generalized cross-validation; with weight decay the trace of the hat matrix). It equals
        ``covariance_`` if that is known, with ``cv=None``, and if there are too few samples for two folds. With "input"
        it is the mean of `predict_covariance` over the training data.
    covariance_factor_, covariance_coef_, covariance_intercept_ : arrays or None
        For "input" the factor F of C_0, (n_outputs, K), and the weights of d and o (see Notes), (n_in, K (K + 1)/2) and
        (K (K + 1)/2,), with n_in the units of the last hidden layer, and K the number of targets that are fitted.
    covariance_alpha_ : float or None
        The decay of these weights.
    calibration_distances_, calibration_weights_ : arrays of shape (n_calibration_rows,) or None
        Squared distances of the calibration rows from their predictions, (t - y)' C^-1 (t - y), in ascending order, and
        their weights.
    alpha_ : float
        The weight decay of the fit.
    n_outputs_ : int
    validation_scores_ : list of float
        Mean log-likelihood of the held-out targets, in nats per sample, at each of ``validation_iterations_``; for
        folds, of all their residuals together, with independent outputs. Empty if nothing is held out.
    validation_iterations_ : list of int
        Iterations that were scored: the first five, then at most ``n_iter_no_change`` / 4 apart. They
        continue beyond the best iteration.
    loss_, loss_curve_, history_, sample_history_, terms_
        As for `SparseAutoencoder`. With early stopping they end at the best iteration.
    n_iter_, n_evaluations_, gradient_norm_, converged_, stop_reason_
        As for `SparseAutoencoder`. With early stopping they end at the best iteration.

    Notes
    -----
    Targets that are constant, or linear combinations of others (a copy, a sum), have no noise of their own, and would
    dominate ln|C|. With an unknown covariance they are not fitted, unless all are constant: their means are computed
    from those of the others, which are the same as without them, and the covariances are singular. Densities and
    conditional means then use the first targets that determine the others; given values of the others are not checked
    for contradictions. "diag" and "spherical" can fit linear combinations, and leave out only constants.

    With ``covariance="input"`` the Cholesky factor of C(x) is ::

        L(x) = F T(x)^-1 D(x),        C_0 = F F'

    where the network has outputs o(x), minus the elements of the unit lower triangular T below its diagonal, and d(x),
    the logarithms of the diagonal matrix D, beside the means. They are 0 for a constant C_0. The fit has three steps:
    as with "full", whose ``predictive_covariance_`` is C_0; in the same folds, the means and C(x) are trained together
    from there, to choose ``covariance_alpha`` and the number of iterations; then on all data. The d are shifted so that
    the standardized residuals L(x)^-1 r of held-out rows have unit variances. If no other C(x) predicts held-out rows
    better, the result is that of "full". `history_` is that of the last step. ``early_stopping="auto"`` is then on
    without hidden layers, too.

    For outputs that are never observed together the data do not determine a covariance: it is NaN (with "full" and no
    prior), and methods that need it raise an error.

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, exercise 5.3; A. Zellner, "An efficient method of
    estimating seemingly unrelated regressions and tests for aggregation bias", JASA 57, 1962; M. Stone,
    "Cross-validatory choice and assessment of statistical predictions", JRSS B 36, 1974; M. Pourahmadi, "Joint
    mean-covariance models with applications to longitudinal data", Biometrika 86, 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam import MultivariateNormalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1))
    >>> y = np.hstack([np.sin(X), np.cos(X)]) + rng.multivariate_normal([0, 0], [[0.04, 0.03], [0.03, 0.04]], size=400)
    >>> model = MultivariateNormalRegressor((5,), alpha=1e-3, random_state=0).fit(X, y)
    >>> model.predictive_covariance_.round(2).tolist()
    [[0.04, 0.03], [0.03, 0.04]]
    >>> bool(model.predict_conditional([[0.0]], [[0.4, np.nan]])[0, 1] > 1.2)  # the other is above its mean too
    True
    """

    _fields_beside_inputs = ("targets", "tangents")

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (50,),
        *,
        covariance: str | ArrayLike = "full",
        covariance_alpha: float | None = None,
        covariance_prior: tuple[float, ArrayLike] | None = None,
        mask: ArrayLike | None = None,
        alpha: float | None = None,
        hidden_activation: str = "tanh",
        pretraining: AutoencoderBase | FrozenEstimator | None = None,
        tangents: Tangents | None = None,
        tangent_weight: float | None = None,
        normalize_tangents: bool = True,
        early_stopping: bool | str = "auto",
        cv: int | Folds | None = 5,
        validation_fraction: float = 0.1,
        calibration_fraction: float | Literal["cross-fitted"] | None = None,
        n_iter_no_change: int = 50,
        solver: str = "kronecker-lbfgs",
        max_iter: int = 5000,
        tol: float = 1e-5,
        time_budget: float | None = None,
        chunk_size: int | None = None,
        dtype: str = "float64",
        polish: bool = False,
        start_on_sample: bool = True,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        mesh: Mesh | None = None,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        callback: Callable[[Progress], bool | None] | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.covariance = covariance
        self.covariance_alpha = covariance_alpha
        self.covariance_prior = covariance_prior
        self.mask = mask
        self.alpha = alpha
        self.hidden_activation = hidden_activation
        self.pretraining = pretraining
        self.tangents = tangents
        self.tangent_weight = tangent_weight
        self.normalize_tangents = normalize_tangents
        self.early_stopping = early_stopping
        self.cv = cv
        self.validation_fraction = validation_fraction
        self.calibration_fraction = calibration_fraction
        self.n_iter_no_change = n_iter_no_change
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.time_budget = time_budget
        self.chunk_size = chunk_size
        self.dtype = dtype
        self.polish = polish
        self.start_on_sample = start_on_sample
        self.warm_start = warm_start
        self.random_state = random_state
        self.mesh = mesh
        self.checkpoint = checkpoint
        self.callback = callback
        self.verbose = verbose

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        tangents: ArrayLike | None = None,
    ) -> Self:
        """Minimize J over the weights and the covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, which are read again in every step, as in `SparseAutoencoder.fit`. An object
            that yields chunks must yield tuples (X, y, sample_weight, tangents), where the last ones may be omitted.
            With early stopping each of its rows is drawn on its own to be held out or not.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
            Targets; NaN where missing, but each row and each output must have at least one target.
        sample_weight : array-like of shape (n_samples,), optional
            s_n, not negative; an integer weight is the same as that many copies of the row.
        tangents : array-like of shape (n_samples, n_tangents, n_features), optional
            Directions at each sample along which the outputs should not change, weighted by ``tangent_weight``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a hyperparameter or the data cannot be used.
        ConnectionError
            If a process of a distributed run is lost.
        FloatingPointError
            If J overflows; the estimator then has the last finite weights, if there are any.

        Warns
        -----
        DegenerateCovarianceWarning
            If targets are linear combinations of others; or if the covariance of the others is singular: then the
            likelihood has no maximum.
        UserWarning
            If ``warm_start`` has no influence. If outputs are never observed together. If the residuals of the final
            training are larger than the held-out residuals of the folds. If the folds predict held-out rows no better
            than the mean of y does. If all targets are constant; if with "spherical" their deviations differ by a
            factor of ten; if with "input" a constant covariance is the best. If alpha > 0 and columns of X are in odd
            units, with deviations above 1e3 or so small that weight decay suppresses them: standardize them.
        ConvergenceWarning
            If the training stopped before converging, or ``time_budget`` ended a training in the folds.
        """
        in_parts, budget = self._uses_folds() or self._depends_on_input(), TimeBudget(self.time_budget)
        unused = self._unused_warm_start()
        with self._fitting(X, y, sample_weight, in_parts=in_parts) as reporter:
            data = self._regression_data(X, y, sample_weight, tangents, reporter)
            draws = any((self._stops_early(), in_parts, draws_rows(self.pretraining), self.calibration_fraction))
            held_out = data.held_out if draws else None
            with checkpointer_of(self, data.with_tangents, held_out=held_out) as checkpointer:
                fit = PartOfFit(reporter, checkpointer, budget, "pretraining", SHARE, data.seed)
                data = replace(data, pretrained=fit_pretraining(self, data.dataset, fit))
                splits = self._splits(data) if self._uses_folds() else []
                means = MeanTrainer(self, data, checkpointer, budget, self._weight_decay(data.dataset.n_samples))
                trainer, folds = cross_fit(means, splits if self._cross_fits() else [], reporter)
                if self._is_cross_calibrated():
                    data = replace(data, calibrations=cross_calibrate(trainer, folds, splits, reporter))
                with reporter.training() if in_parts else nullcontext(reporter) as last:
                    run = trainer.prepare(folds, last)
                    training = run.train()
                scores = run.held_out_scores if folds is None else trainer.in_units_of_y(folds.scores)
                attributes = self._attributes(run.problem, training, scores, data)
                del run, trainer, means  # frees the data on the devices
            diagnosis = FitDiagnosis(data, attributes, training, self.dtype, in_folds=folds is not None)
            warnings = [*diagnosis.warnings(), self._odd_units(attributes["alpha_"], data)] if training.history else []
            warnings += [budget.warning(self._estimated_in_folds(), ends_by_folds=self._ends_by_folds()), unused]
            # J has no minimum at a degenerate covariance, and the usual advice, a larger tol, does not help.
            stuck = training.stop_reason == "precision" and diagnosis.has_no_maximum
            return self._finish(training, attributes, reporter, warnings, about_training=not stuck)

    def _regression_data(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        tangents: ArrayLike | None,
        reporter: FitReporter,
    ) -> RegressionData:
        """Check the data, and scale the targets."""
        check_mask_names(self.mask, X, y)
        check = TargetCheck()
        dataset = load_with_targets(self, X, y, sample_weight, tangents, check, reporter.rows_read)
        total_weight = dataset.total_weight
        dataset = dataset.map(with_table)
        rows_of = rows_of_folds(self.cv, dataset, check.one_dimensional) if self._uses_folds() else None
        n_features, n_outputs = dataset.n_features, next(dataset.batches()).targets.shape[1]
        covariance = check_covariance(self.covariance, n_outputs)
        prior = check_prior(self.covariance_prior, n_outputs)
        mask = self._checked_mask(n_features, n_outputs)
        refuse_unknown_pairs(covariance, prior, observed_patterns(dataset))
        dependent = DependentTargets.none(n_outputs)
        if isinstance(covariance, str):
            dependent = DependentTargets.of(dataset, combinations=covariance in ("full", OF_INPUT), mask=mask)
        kept = dependent.kept
        prior = None if prior is None else (prior[0], prior[1][np.ix_(kept, kept)])
        mask = None if mask is None else mask[:, kept]
        network = self._network(n_features, len(kept))

        dataset = dataset.map(dependent.reduced)
        folds = None if rows_of is None else fold_shares(rows_of, next(dataset.batches()))
        dataset = dataset.merge_repeated()
        # Weights that were trained on held-out targets would bias the folds, which therefore start from new ones.
        new, seed = draw_weights_and_seed(self.random_state, network, dataset.mesh)
        dataset, calibration = hold_out_calibration(dataset, self.calibration_fraction, self.cv, seed)
        total_weight *= dataset.total_weight / (dataset.total_weight + (calibration.total_weight if calibration else 0))
        patterns = observed_patterns(dataset)
        dataset, tangent_function = prepare_tangents(self, dataset, reporter.display)
        columns = ColumnMoments.of(dataset)
        scale = TargetScale.of(dataset, common=has_one_variance(covariance))
        dataset = dataset.map(scale.scaled)
        fitted = None
        if self._is_warm():
            check_warm_start(self, self._network(n_features, n_outputs))
            fitted = scale.scaled_weights(dependent.of_kept(self._fitted_parameters()))
        return RegressionData(
            dataset=dataset,
            columns=columns,
            dependent=dependent,
            scale=scale,
            patterns=patterns,
            total_weight=total_weight,
            covariance=covariance,
            prior=prior,
            mask=mask,
            network=network,
            fitted=fitted,
            new_theta=new,
            seed=seed,
            folds=folds,
            tangents=tangent_function,
            one_dimensional=check.one_dimensional,
            calibration=calibration,
        )

    def _splits(self, data: RegressionData) -> list[Split]:
        """Split the data into folds; the list is empty if there are too few samples."""
        dataset = data.dataset
        if not isinstance(dataset, InMemoryDataset):  # each fold would be another training that reads all the data
            return [hold_out(dataset, self.validation_fraction, data.seed)]
        if data.folds is None:
            assert isinstance(self.cv, Integral)
            return folds_of_rows(int(self.cv), dataset, data.seed)
        splits = [split_by_shares(dataset, *fold, f"fold {k} of cv") for k, fold in enumerate(data.folds, start=1)]
        check_all_held_out(splits)
        return splits

    def _is_cross_calibrated(self) -> bool:
        """Whether networks without each fold calibrate the regions."""
        return isinstance(self.calibration_fraction, str)

    def _stops_early(self) -> bool:
        """Whether held-out data choose the number of iterations."""
        if self.early_stopping == "auto":
            return self._is_flexible()
        return bool(self.early_stopping)

    def _cross_fits(self) -> bool:
        """Whether trainings in folds precede the final training."""
        return self.cv is not None and self._is_flexible()

    def _uses_folds(self) -> bool:
        """Whether there are trainings in folds, for the final training or for prediction regions."""
        return self._cross_fits() or self._is_cross_calibrated()

    def _is_flexible(self) -> bool:
        """Whether the network can fit its targets exactly, and the likelihood has no maximum."""
        return self._depends_on_input() or (isinstance(self.covariance, str) and self._has_hidden_layers())

    def _depends_on_input(self) -> bool:
        """Whether the covariance depends on the input."""
        return isinstance(self.covariance, str) and self.covariance == OF_INPUT

    def _has_hidden_layers(self) -> bool:
        return len(hidden_layers(self)[0]) > 0

    def _ends_by_folds(self) -> bool:
        """Whether trainings in folds choose the number of iterations."""
        return self._stops_early() and self._cross_fits()

    def _estimated_in_folds(self) -> list[str]:
        """Name the attributes that trainings in folds estimate."""
        estimated = {
            "predictive_covariance_": self._cross_fits(),
            "alpha_": self._cross_fits() and self.alpha is None,
            "covariance_alpha_": self._cross_fits() and self._depends_on_input() and self.covariance_alpha is None,
            "calibration_distances_": self._is_cross_calibrated(),
        }
        return [name for name, is_estimated in estimated.items() if is_estimated]

    def _weight_decay(self, n_samples: float) -> float:
        """Return alpha, or its default for this number of samples."""
        if self.alpha is not None:
            return float(self.alpha)
        if not self._has_hidden_layers():
            return LINEAR_ALPHA
        return min(MAX_ALPHA, ALPHA_TIMES_SAMPLES / n_samples)

    def _attributes(
        self, problem: TrainingProblem, training: Training, scores: list[tuple[int, float]], data: RegressionData
    ) -> dict[str, Any]:
        """Make the fitted attributes."""
        if not training.history:
            return {}
        attributes = {**problem.attributes_at(training.history[-1], training.theta), **validation_attributes(scores)}
        calibrations = list(data.calibrations)
        if data.calibration is not None:
            calibrations.append(self._with(attributes)._calibrate(data.calibration, data.dependent.kept))
        if not calibrations:
            return attributes
        calibration = Calibration.pooled(calibrations)
        return attributes | {
            "calibration_distances_": calibration.distances,
            "calibration_weights_": calibration.weights,
        }

    def _odd_units(self, alpha: float, data: RegressionData) -> Warning | None:
        """Make the warning that columns of X are in odd units, if they are."""
        lowered = self.alpha is None and alpha < self._weight_decay(data.dataset.n_samples)
        return odd_units_warning(data.columns, self._feature_names, alpha, lowered=lowered)

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        validation.check_supervised_hyperparameters(self)
        check_pretraining(self.pretraining)
        check_tangent_hyperparameters(self)
        if self.alpha is not None:
            validation.check_weight("alpha", self.alpha)
        check_folds(self.cv)
        if not isinstance(check_covariance(self.covariance), str) and self.covariance_prior is not None:
            raise ValueError(
                "covariance_prior is for an unknown covariance, but covariance is an array: set covariance='full', or "
                "covariance_prior=None"
            )
        check_prior(self.covariance_prior)
        self._check_calibration_fraction()
        if self.covariance_alpha is not None:
            validation.check_weight("covariance_alpha", self.covariance_alpha)
            if not self._depends_on_input():
                raise ValueError(
                    "covariance_alpha is for a covariance that depends on the input: set covariance='input', or "
                    "covariance_alpha=None"
                )

    def _check_calibration_fraction(self) -> None:
        if isinstance(self.calibration_fraction, str):
            validation.check_choice("calibration_fraction", self.calibration_fraction, ("cross-fitted",))
            if self.cv is None:
                raise ValueError("calibration_fraction='cross-fitted' needs folds: set cv to their number, such as 5")
        elif self.calibration_fraction is not None:
            validation.check_share("calibration_fraction", self.calibration_fraction)

    def _check_attributes(self) -> None:
        check_fitted_pretraining(self)
        sizes = self._network(self.n_features_in_, self.n_outputs_).layer_sizes
        if sizes != self._fitted_network().layer_sizes or self.covariance_.shape != (self.n_outputs_, self.n_outputs_):
            raise ValueError("its arrays do not fit together")
        if self.predictive_covariance_.shape != self.covariance_.shape:
            raise ValueError("its arrays do not fit together")
        for C in (self.covariance_, self.predictive_covariance_):
            self._check_weights(np.where(np.isnan(C) & ~np.eye(len(C), dtype=bool), 0, C))
            check_fitted_covariance(C)
        if self._one_dimensional and self.n_outputs_ != 1:
            raise ValueError("its outputs do not fit together")
        check_calibration(self.calibration_distances_, self.calibration_weights_)
        if self._depends_on_input() or self.covariance_factor_ is not None:
            self._check_covariance_outputs()

    def _check_covariance_outputs(self) -> None:
        """Raise ValueError unless the weights of a covariance that depends on the input fit together."""
        arrays = (self.covariance_factor_, self.covariance_coef_, self.covariance_intercept_)
        if any(array is None for array in arrays) or not self._depends_on_input():
            raise ValueError("its covariance is incomplete")
        self._check_weights(*arrays)
        factor, coef, intercept = arrays
        n_more = n_covariance_outputs(factor.shape[1]) if factor.ndim == 2 else -1
        if factor.shape[:1] != (self.n_outputs_,) or intercept.shape != (n_more,):
            raise ValueError("its arrays do not fit together")
        if coef.shape != (self.coefs_[-1].shape[0], n_more):
            raise ValueError("its arrays do not fit together")

    def _checked_mask(self, n_features: int, n_outputs: int) -> Array | None:
        if self.mask is None:
            return None
        if self._has_hidden_layers():
            raise ValueError(
                "mask selects the inputs of each output, which is impossible with hidden layers, because all outputs "
                "share the hidden units: use hidden_layer_sizes=()"
            )
        return check_mask(self.mask, n_features, n_outputs)

    def _network(self, n_features: int, n_outputs: int) -> Network:
        hidden_sizes, activations = hidden_layers(self)
        return Network((n_features, *hidden_sizes, n_outputs), activations, "identity")
