"""Regression on several outputs whose noise is correlated (PRML exercise 5.3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state

from sparsam._utils import multivariate_normal
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import GaussianError, ProfileGaussianError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import WeightDecay
from sparsam.engine.training.state import Progress
from sparsam.engine.training.train import Training
from sparsam.estimators import _validation as validation
from sparsam.estimators._base import NetworkEstimator
from sparsam.estimators._data.apply_network import network_outputs
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.odd_units import odd_units_warning
from sparsam.estimators._data.splits import hold_out
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
from sparsam.estimators._regression.fitted_distribution import FittedDistribution
from sparsam.estimators._regression.noise_covariance import (
    DegenerateCovarianceWarning,
    check_covariance,
    check_prior,
    degeneracy_warning,
    has_one_variance,
    make_error,
)
from sparsam.estimators._regression.standard_errors import check_at_minimum, check_determined, linear_standard_errors
from sparsam.estimators._regression.target_scale import TargetScale
from sparsam.estimators._regression.targets import TargetCheck, observed_patterns, validate_targets, with_table
from sparsam.estimators._tangents import (
    Tangents,
    check_tangent_hyperparameters,
    prepare_tangents,
    tangent_penalties,
)
from sparsam.estimators._training.fit_environment import checkpointer_of
from sparsam.estimators._training.fitted_attributes import initial_weights, network_attributes
from sparsam.estimators._training.supervised import draw_seed, load_with_targets
from sparsam.estimators._training.train_estimator import TrainingProblem

__all__ = ["MultivariateNormalRegressor"]

Array = NDArray[np.float64]


class MultivariateNormalRegressor(MultiOutputMixin, RegressorMixin, NetworkEstimator):
    """A network whose outputs are the mean of a normal distribution with a covariance between the targets.

    It minimizes minus the mean log-likelihood of t_n = y(x_n) + noise, noise ~ N(0, C), plus weight decay ::

        J = 1/2 [1/S sum_n s_n r_n' C^-1 r_n + ln|C| + K ln 2 pi]  +  alpha/2 sum_l |W_l|^2,        r_n = y_n - t_n

    over the weights and, if it is not known, over C. That is at its best C = 1/S sum_n s_n r_n r_n' for any weights, so
    what is left to minimize is the profile 1/2 ln|C(w)| (PRML exercise 5.3): outputs whose errors go together help each
    other. Targets may be missing (NaN): each sample then counts with what is observed of it, which is exact.

    Targets are scaled to zero mean and unit variance inside ("spherical": all by one number, to unit variance in the
    mean), and J and alpha are about these; weights, covariance, predictions and likelihoods are reported in the units
    of y. The columns of X are centred and scaled for the minimizer alone: with alpha = 0 their units make no
    difference, and otherwise alpha is about weights in X's own.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (50,)
        Number of units in each hidden layer. () is linear regression: with alpha = 0 and nothing missing ordinary least
        squares, whatever C is; with ``mask`` iterated seemingly unrelated regression (SUR).
    covariance : {"full", "diag", "spherical"} or array of shape (n_outputs, n_outputs), default "full"
        Structure of the noise covariance C, in the units of y: any, diagonal, or sigma^2 I. sigma^2 is that of all
        outputs, so "spherical" is for outputs of one kind: one in a small unit hardly counts. An array is the known C.
    covariance_prior : (nu, Psi) or None, default None
        Inverse-Wishart prior on an unknown C, whose density is proportional to
        |C|^(-(nu + K + 1)/2) exp(-tr(Psi C^-1)/2): about nu observations with Psi their sum of r r'. Psi is
        an array (n_outputs, n_outputs) in the units of y, or a number for that multiple of the identity. With it J is
        bounded below, however flexible the network is.
    mask : array of shape (n_features, n_outputs) or None, default None
        Which inputs each output may depend on, for ``hidden_layer_sizes=()``; None for all.
    alpha : float, default 1e-3
        Weight decay; biases do not decay. With much less some weights are all but free, and the way to the minimum is
        several times as long.
    hidden_activation : {"tanh", "logistic", "relu"}, default "tanh"
        Activation function h of the hidden units. tanh is smooth, which the solver likes, and has zero mean.
    tangents : callable X -> array (n_samples, n_tangents, n_features), or None, default None
        Directions at each sample along which the outputs should not change (PRML section 5.5.4, exercise 5.26): for
        images `functools.partial(sparsam.images.image_tangents, image_shape=...)`. It is called with rows of the X that
        `fit` gets, in any number and order, and must make each sample's tangents of its row alone. An array goes to
        `fit`. None for none.
    tangent_weight : float or None, default None
        Weight of 1/S sum_n s_n 1/2 sum_tau |Jac_n tau|^2, Jac the Jacobian of the outputs, targets scaled, by the
        inputs. None is 1e-3 where there are tangents. 0 switches them off.
    normalize_tangents : bool, default True
        Whether to give all samples' first tangents, their second, and so on, the root-mean-square length of X's
        deviation from its mean, so that tangent_weight means the same in any unit and at any image size.
    early_stopping : bool, default False
        Whether to hold out a part of the data and keep the weights of the greatest held-out likelihood.
    validation_fraction : float, default 0.1
        Part of the data to hold out, in (0, 1). A sample with a whole number for its weight counts as so many copies,
        some of which may be held out and the others not.
    n_iter_no_change : int, default 20
        Number of iterations without a new best after which early stopping gives up.
    max_iter : int, default 5000
        Maximum number of iterations. The less noise, the finer the structure that is fitted, and the longer the way.
    dtype : {"float32", "float64"}, default "float64"
        Precision of the training. C^-1 magnifies rounding: where noise is a hundredth of the targets' variance, or
        correlations are high, float32 ends at gradients of 1e-4 to 1e-2.
    solver, tol, time_budget, chunk_size, polish, warm_start, random_state, mesh, checkpoint,
    checkpoint_every, resume, callback, verbose
        As for `SparseAutoencoder`; ``random_state`` draws the held-out part too.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        Weights of each layer, in float64, the last layer's in the units of y.
    covariance_ : array of shape (n_outputs, n_outputs)
        C, in the squared units of y.
    n_outputs_ : int
    validation_scores_ : list of (int, float)
        Iteration, and mean log-likelihood of the targets held out, nats a sample; empty without early stopping.
    cost_, loss_curve_, history_, n_iter_, n_evaluations_, gradient_norm_, converged_, stop_reason_
        As for `SparseAutoencoder`. With early stopping they end at the weights that were kept.

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, exercise 5.3; A. Zellner, "An efficient method of
    estimating seemingly unrelated regressions and tests for aggregation bias", JASA 57, 1962.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam import MultivariateNormalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1))
    >>> Y = np.hstack([np.sin(X), np.cos(X)]) + rng.multivariate_normal([0, 0], [[0.04, 0.03], [0.03, 0.04]], size=400)
    >>> model = MultivariateNormalRegressor((5,), random_state=0).fit(X, Y)
    >>> model.covariance_.round(2).tolist()
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
        covariance_prior: tuple[float, ArrayLike] | None = None,
        mask: ArrayLike | None = None,
        alpha: float = 1e-3,
        hidden_activation: str = "tanh",
        tangents: Tangents | None = None,
        tangent_weight: float | None = None,
        normalize_tangents: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        solver: str = "kronecker-lbfgs",
        max_iter: int = 5000,
        tol: float = 1e-5,
        time_budget: float | None = None,
        chunk_size: int | None = None,
        dtype: str = "float64",
        polish: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        mesh: Mesh | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float | str = "60s",
        resume: bool = False,
        callback: Callable[[Progress], bool | None] | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.covariance = covariance
        self.covariance_prior = covariance_prior
        self.mask = mask
        self.alpha = alpha
        self.hidden_activation = hidden_activation
        self.tangents = tangents
        self.tangent_weight = tangent_weight
        self.normalize_tangents = normalize_tangents
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.time_budget = time_budget
        self.chunk_size = chunk_size
        self.dtype = dtype
        self.polish = polish
        self.warm_start = warm_start
        self.random_state = random_state
        self.mesh = mesh
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.resume = resume
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
            Or rows that are not in memory, which are read again in every step, as in `SparseAutoencoder.fit`; what of
            an object that yields chunks belongs to the rows it yields too, as tuples (X, y, sample_weight, tangents) of
            which the last may be left out. With early stopping each such row is held out or not by a draw of its own.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
            Targets; NaN where missing, but at least one in each row and in each output.
        sample_weight : array-like of shape (n_samples,), optional
            s_n, not negative; an integer weight is the same as so many copies of the row.
        tangents : array-like of shape (n_samples, n_tangents, n_features), optional
            Directions at each sample along which the outputs should not change, weighed by ``tangent_weight``.

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
            If J overflows; the estimator then holds the last finite weights, if there are any.

        Warns
        -----
        DegenerateCovarianceWarning
            If the covariance is singular: then the likelihood has no maximum.
        UserWarning
            If alpha > 0 and columns of X are in odd units, with deviations outside 1e-3 to 1e3: standardize them.
        ConvergenceWarning
            If the training stopped before converging.
        """
        with self._fitting(X, y, sample_weight) as reporter:
            problem, columns, scale = self._problem(X, y, sample_weight, tangents, reporter)
            with checkpointer_of(self, draws=self.early_stopping) as checkpointer:
                run = self._prepare_training(problem, reporter, checkpointer)
                training = run.train()
                attributes = self._attributes(problem, training, run.held_out_scores)
                del run  # and with it what is on the devices
            degenerate = self._degeneracy_warning(attributes, training, scale)
            odd_units = odd_units_warning(columns, self._feature_names, float(self.alpha))
            return self._finish(training, attributes, reporter, [degenerate, odd_units])

    def _problem(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        tangents: ArrayLike | None,
        reporter: FitReporter,
    ) -> tuple[TrainingProblem, ColumnMoments, TargetScale]:
        """Prepare the data, and build the objective; return moments of the inputs and the targets' scale, too."""
        check = TargetCheck()
        dataset = load_with_targets(self, X, y, sample_weight, tangents, check, reporter.rows_read)
        total_weight = dataset.total_weight
        dataset = dataset.map(with_table).merge_repeated()
        n_features, n_outputs = dataset.n_features, next(dataset.batches()).targets.shape[1]
        covariance = check_covariance(self.covariance, n_outputs)
        prior = check_prior(self.covariance_prior, n_outputs)
        mask = self._checked_mask(n_features, n_outputs)
        network = self._network(n_features, n_outputs)

        patterns = observed_patterns(dataset)
        dataset, tangent_function = prepare_tangents(self, dataset, reporter.display)
        columns = ColumnMoments.of(dataset)
        input_scale = columns.scale(float(self.alpha))
        scale = TargetScale.of(dataset, common=has_one_variance(covariance))
        dataset = dataset.map(scale.scaled)
        split = hold_out(dataset, self.validation_fraction, draw_seed(self, dataset)) if self.early_stopping else None
        trained_on = split.training if split else dataset
        # S of what is trained on, as the user gave it: a prior is worth so many samples.
        total_weight *= trained_on.total_weight / dataset.total_weight

        error = make_error(covariance, prior, scale.scale, patterns, total_weight)
        has_tangents = tangent_function is not None or dataset.has_tangents
        terms = (error, WeightDecay(float(self.alpha)), *tangent_penalties(self, has_tangents))
        objective = Objective(network, terms, mask, input_scale)  # type: ignore[arg-type]
        distribution = FittedDistribution(objective, scale, trained_on, patterns, self.chunk_size)
        problem = TrainingProblem(
            objective,
            initial_weights(self, network, lambda fitted: input_scale.scaled_weights(scale.scaled_weights(fitted))),
            split or dataset,
            _AttributesAt(distribution, check.one_dimensional),
            self._layer_sizes(network, error),
            tangent_function,
            scale.mean_log_jacobian(split.held_out) if split else 0.0,
        )
        return problem, columns, scale

    def _attributes(
        self, problem: TrainingProblem, training: Training, scores: list[tuple[int, float]]
    ) -> dict[str, Any]:
        """Make the fitted attributes."""
        if not training.history:
            return {}
        return {**problem.attributes_at(training.history[-1], training.theta), "validation_scores_": scores}

    def _degeneracy_warning(
        self, attributes: dict[str, Any], training: Training, scale: TargetScale
    ) -> DegenerateCovarianceWarning | None:
        if not attributes or not isinstance(self.covariance, str):
            return None
        scaled = attributes["covariance_"] / np.outer(scale.scale, scale.scale)
        return degeneracy_warning(scaled, self.dtype, stuck=training.stop_reason == "precision")

    def predict(self, X: ArrayLike, return_std: bool = False, out: Any = None) -> Array | tuple[Array, Array]:
        """Mean of the targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        return_std : bool, default False
            Whether to return the standard deviation of the noise, which is the same for every sample, too.
        out : array of the result's shape, optional
            Where to write the means, a batch at a time: anything that takes slices of rows, such as a memory-mapped
            file, an HDF5 or a Zarr dataset.

        Returns
        -------
        mean : array of shape (n_samples, n_outputs), or (n_samples,) where y was so; or ``out``
        std : array of the same shape
        """
        means = self._predicted(X, self._shaped, out)
        if not return_std:
            return means
        deviation = self._shaped(np.sqrt(np.diag(self.covariance_)))
        return means, np.broadcast_to(deviation, means.shape).copy()

    def predict_conditional(self, X: ArrayLike, y: ArrayLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Fill the missing targets of y (NaN), given the present ones: what a full covariance is for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples, n_outputs)
            NaN where to be predicted.
        return_std : bool, default False
            Whether to return the standard deviations too; 0 where y is given.

        Returns
        -------
        filled : array of shape (n_samples, n_outputs)
            y with y_m + C_mo C_oo^-1 (t_o - y_o) in the place of NaN (PRML eq. 2.96).
        std : array of shape (n_samples, n_outputs)
            Root of the diagonal of C_mm - C_mo C_oo^-1 C_om (PRML eq. 2.82).
        """
        means, Y = self._predicted_and_given(X, y)
        filled, deviations = multivariate_normal.condition(Y, means, self.covariance_)
        return (self._shaped(filled), self._shaped(deviations)) if return_std else self._shaped(filled)

    def score_samples(self, X: ArrayLike, y: ArrayLike) -> Array:
        """Log density of each sample's observed targets, in nats, with all constants, in the units of y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)

        Returns
        -------
        array of shape (n_samples,)
            ln N(t | y, C) = -1/2 [r' C^-1 r + ln|C| + K ln 2 pi] (PRML eq. 2.43).
        """
        means, Y = self._predicted_and_given(X, y)
        return multivariate_normal.log_density(Y, means, self.covariance_)

    def mean_log_likelihood(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Mean of `score_samples` over the samples with any target: nats per sample, greater is better.

        Raises
        ------
        ValueError
            If no sample, or none with a weight, has a target.
        """
        means, Y = self._predicted_and_given(X, y)
        observed = ~np.isnan(Y).all(axis=1)
        if not observed.any():
            raise ValueError("y contains only NaN: there is no target to score")
        scores = multivariate_normal.log_density(Y[observed], means[observed], self.covariance_)
        weights = validation.check_sample_weight(sample_weight, means)
        if weights is not None and not weights[observed].any():
            raise ValueError("sample_weight is zero for every sample that has a target: there is nothing to score")
        return float(np.average(scores, weights=None if weights is None else weights[observed]))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions, the mean over the outputs; missing targets do not count.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no sample has a target.
        """
        means, Y = self._predicted_and_given(X, y)
        if np.isnan(Y).all():
            raise ValueError("y contains only NaN: there is no target to compare with")
        weights = validation.check_sample_weight(sample_weight, means)
        scores = []
        for output in range(self.n_outputs_):
            seen = ~np.isnan(Y[:, output])
            if seen.any():
                some = None if weights is None else weights[seen]
                scores.append(r2_score(Y[seen, output], means[seen, output], sample_weight=some))
        return float(np.mean(scores))

    def sample(
        self, X: ArrayLike, n_draws: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float64]:
        """Draw targets from the distribution that was fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default 1
        random_state : int, RandomState instance or None, default None

        Returns
        -------
        array of shape (n_draws, n_samples, n_outputs), or (n_draws, n_samples) where y was one-dimensional
        """
        validation.check_number("n_draws", n_draws, Integral, low=1)
        means = self._predicted(X)
        noise = check_random_state(random_state).normal(size=(int(n_draws), *means.shape))
        return self._shaped(means + noise @ np.linalg.cholesky(self.covariance_).T)

    def standard_errors(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """Standard errors of the weights of a linear model, from the training data.

        Roots of the diagonal of the inverse information, C taken as known: what econometrics calls unadjusted standard
        errors of the generalized least-squares estimate. With ``covariance_prior`` C is the posterior's mode, and the
        errors follow it; they say nothing of the prior's own uncertainty. Early stopping fits a part of the data and
        ends before the minimum, where no such errors exist.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Counts of the rows.

        Returns
        -------
        coef_errors : array of shape (n_features, n_outputs)
            0 where the mask leaves no weight.
        intercept_errors : array of shape (n_outputs,)

        Raises
        ------
        ValueError
            If there are hidden layers or weight decay, under which no such errors exist; if the fit did not converge;
            or if columns of X are constant or depend on each other linearly.
        """
        means, Y = self._predicted_and_given(X, y)
        if len(self.coefs_) > 1 or self.alpha > 0:
            raise ValueError(
                "standard errors are those of a linear model without weight decay: fit with hidden_layer_sizes=() and "
                f"alpha=0, not {self.hidden_layer_sizes} and {self.alpha}"
            )
        inputs = validation.validate_inputs(self, X, reset=False).astype(np.float64)
        mask = self._checked_mask(inputs.shape[1], self.n_outputs_)
        free = np.ones((inputs.shape[1] + 1, self.n_outputs_), bool)
        if mask is not None:
            free[:-1] = mask > 0
        weights = validation.check_sample_weight(sample_weight, means)
        check_determined(inputs, ~np.isnan(Y), weights, free)
        check_at_minimum(self.gradient_norm_, self.stop_reason_)
        errors = linear_standard_errors(inputs, ~np.isnan(Y), weights, self.covariance_, free)
        return errors[:-1], errors[-1]

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        validation.check_supervised_hyperparameters(self)
        check_tangent_hyperparameters(self)
        validation.check_weight("alpha", self.alpha)
        if not isinstance(check_covariance(self.covariance), str) and self.covariance_prior is not None:
            raise ValueError("covariance_prior is about an unknown covariance, and this one is given")
        check_prior(self.covariance_prior)

    def _check_attributes(self) -> None:
        sizes = self._network(self.n_features_in_, self.n_outputs_).layer_sizes
        if sizes != self._fitted_network().layer_sizes or self.covariance_.shape != (self.n_outputs_, self.n_outputs_):
            raise ValueError("its arrays do not fit together")
        self._check_weights(self.covariance_)
        variances = np.diag(self.covariance_)
        if not np.all(variances > 0):
            raise ValueError("its noise covariance has variances that are not positive")
        # The correlations: where units are far apart, rounding takes the definiteness of C itself.
        check_covariance(self.covariance_ / np.sqrt(np.outer(variances, variances)), self.n_outputs_)
        if self._one_dimensional and self.n_outputs_ != 1:
            raise ValueError("its outputs do not fit together")

    def _checked_mask(self, n_features: int, n_outputs: int) -> Array | None:
        if self.mask is None:
            return None
        if validation.layer_sizes(self.hidden_layer_sizes):
            raise ValueError(
                "mask says which inputs an output may depend on, which with hidden layers it does through units that "
                "all outputs share: use hidden_layer_sizes=()"
            )
        mask = np.asarray(self.mask, dtype=np.float64)
        if mask.shape != (n_features, n_outputs) or not np.all((mask == 0) | (mask == 1)):
            raise ValueError(
                f"mask must be ({n_features}, {n_outputs}), a row a feature and a column an output, of True and False "
                f"(or 1 and 0); got an array of shape {mask.shape}"
            )
        return mask

    def _network(self, n_features: int, n_outputs: int) -> Network:
        sizes = (n_features, *validation.layer_sizes(self.hidden_layer_sizes), n_outputs)
        return Network(sizes, self.hidden_activation, "identity")

    def _fitted_network(self) -> Network:
        sizes = (self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_))
        return Network(sizes, self.hidden_activation, "identity")

    @staticmethod
    def _layer_sizes(network: Network, error: GaussianError | ProfileGaussianError) -> tuple[int, ...]:
        """Numbers that a sample takes in each layer, and in its residuals of each pattern."""
        n_patterns = 0 if error.patterns is None else len(error.patterns)
        return (*network.layer_sizes, n_patterns * network.layer_sizes[-1])

    def _predicted(self, X: ArrayLike, then: Callable[[Array], Array] = lambda means: means, out: Any = None) -> Array:
        return self._apply(network_outputs, self._dataset_to_predict(X), then=then, out=out)

    def _predicted_and_given(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        means = self._predicted(X)
        Y, _ = validate_targets(y, means)
        if Y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {Y.shape[1]} outputs, but the model was fitted on {self.n_outputs_}")
        return means, Y

    def _shaped(self, outputs: Array) -> Array:
        return outputs[..., 0] if self._one_dimensional else outputs


@dataclass(frozen=True)
class _AttributesAt:
    """Fitted attributes at an iterate."""

    distribution: FittedDistribution
    one_dimensional: bool

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        return network_attributes(self.distribution.parameters_at(theta), progress) | {
            "covariance_": self.distribution.covariance_at(theta),
            "n_outputs_": len(self.distribution.scale.scale),
            "_one_dimensional": self.one_dimensional,
        }
