"""Private base of the regressor: what a fitted normal distribution of targets predicts."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state

from sparsam._utils import multivariate_normal
from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators import _validation as validation
from sparsam.estimators._base import NetworkEstimator
from sparsam.estimators._data.apply_network import apply_in_chunks, network_outputs
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._pretraining import fitted_activations
from sparsam.estimators._regression.input_covariance import CovarianceOutputs
from sparsam.estimators._regression.prediction_region import Calibration, PredictionRegion
from sparsam.estimators._regression.targets import validate_targets
from sparsam.estimators._training.fitted_attributes import set_fitted_attributes

__all__ = ["NormalPredictions"]

Array = NDArray[np.float64]


class NormalPredictions(MultiOutputMixin, RegressorMixin, NetworkEstimator):
    """Predictions of a network whose outputs are the mean of a normal distribution, N(y(x), C).

    C is ``predictive_covariance_``, or depends on the input, if ``covariance_factor_`` is not None.
    """

    calibration_fraction: Any
    chunk_size: int | None
    predictive_covariance_: Array
    covariance_factor_: Any
    covariance_coef_: Array
    covariance_intercept_: Array
    calibration_distances_: Array | None
    calibration_weights_: Array
    n_outputs_: int
    _one_dimensional: bool

    def predict(self, X: ArrayLike, return_std: bool = False, out: Any = None) -> Array | tuple[Array, Array]:
        """Predict the mean of the targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        return_std : bool, default False
            Whether to return also the standard deviation of new targets about their mean, the root of the diagonal of
            `predict_covariance`; it is the same for every sample, unless ``covariance="input"``.
        out : array of the result's shape, optional
            Array to write the means into, a batch at a time: anything that supports assignment to slices of rows, such
            as a memory-mapped file, an HDF5 or a Zarr dataset.

        Returns
        -------
        mean : array of shape (n_samples, n_outputs), or (n_samples,) if y was one-dimensional; or ``out``
        std : array of the same shape
        """
        means = self._predicted(X, self._shaped, out)
        if not return_std:
            return means
        variances = np.diagonal(self._covariance_at(X), axis1=-2, axis2=-1)
        deviation = self._shaped(np.sqrt(variances))
        return means, np.broadcast_to(deviation, means.shape).copy()

    def predict_covariance(self, X: ArrayLike) -> Array:
        """Predict the covariance of new targets about their means.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_outputs, n_outputs)
            In the squared units of y. It is ``predictive_covariance_`` for each sample, unless ``covariance="input"``.
        """
        C = self._covariance_at(X)
        if C.ndim > 2:
            return C
        return np.tile(C, (self._dataset_to_predict(X).n_rows, 1, 1))

    def predict_region(self, X: ArrayLike, coverage: float = 0.9) -> PredictionRegion:
        """Predict joint regions of new targets: for each sample an ellipsoid, or for one target an interval.

        With ``calibration_fraction`` the radius is calibrated with the rows that the fit left out (split conformal
        prediction). A new row of the same population is then in its region with at least this probability, over the
        draws of the calibration rows too, whatever the noise is like, and however wrong the model. With "cross-fitted"
        that holds approximately. Otherwise the radius is that of the normal distribution, the root of a quantile of
        chi^2 with as many degrees of freedom as there are targets: it is right as far as the noise is normal with the
        covariance of `predict_covariance`. That the covariance is itself estimated is not included, so that regions
        are too small after fits to few rows: of two targets 70 % are in regions of 90 % after 10 rows, 79 % after 15,
        88 % after 30 and more (12 draws).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        coverage : float, default 0.9
            Probability, in (0, 1), that a region contains the targets of its sample.

        Returns
        -------
        PredictionRegion
            With the bounds ``lower`` and ``upper`` of each target, and the method ``contains(y)``.

        Raises
        ------
        ValueError
            If there are too few calibration rows for this coverage: n rows suffice up to n/(n + 1). If outputs were
            never observed together in the fit, so that C is not known.

        References
        ----------
        J. Lei et al., "Distribution-free predictive inference for regression", JASA 113, 2018.

        Examples
        --------
        >>> import numpy as np
        >>> from sparsam import MultivariateNormalRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, size=(500, 1))
        >>> y = X[:, 0] + rng.standard_t(3, size=500) / 5  # heavy tails
        >>> model = MultivariateNormalRegressor((), calibration_fraction=0.5, random_state=0).fit(X, y)
        >>> region = model.predict_region([[0.0]])
        >>> region.lower.round(1).tolist(), region.upper.round(1).tolist()
        ([-0.5], [0.5])
        >>> region.contains([0.3]).tolist()
        [True]
        """
        validation.check_share("coverage", coverage)
        means = self._predicted(X)
        C = self._covariance_at(X)
        multivariate_normal.check_known(C)
        if self.calibration_distances_ is None:
            source, squared = "normal", float(chi2.ppf(coverage, multivariate_normal.independent(C).sum()))
        else:
            source = "cross-fitted" if isinstance(self.calibration_fraction, str) else "held-out"
            squared = Calibration(self.calibration_distances_, self.calibration_weights_).squared_radius(coverage)
        return PredictionRegion(self._shaped(means), C, float(np.sqrt(squared)), float(coverage), source)

    def predict_conditional(self, X: ArrayLike, y: ArrayLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Predict the missing targets of y (NaN) from the given ones, using the full covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples, n_outputs)
            NaN marks the targets to predict.
        return_std : bool, default False
            Whether to return also the standard deviations; 0 where y is given.

        Returns
        -------
        filled : array of shape (n_samples, n_outputs)
            y with NaN replaced by y_m + C_mo C_oo^-1 (t_o - y_o) (PRML eq. 2.96).
        std : array of shape (n_samples, n_outputs)
            Root of the diagonal of C_mm - C_mo C_oo^-1 C_om (PRML eq. 2.82), C from `predict_covariance`.

        Raises
        ------
        ValueError
            If this needs the covariance of outputs that were never observed together in the fit.
        """
        means, Y = self._predicted_and_given(X, y)
        filled, deviations = multivariate_normal.condition(Y, means, self._covariance_at(X))
        return (self._shaped(filled), self._shaped(deviations)) if return_std else self._shaped(filled)

    def log_density(self, X: ArrayLike, y: ArrayLike) -> Array:
        """Compute the log density of each sample's observed targets, in nats, with all constants, in the units of y.

        C is that of `predict_covariance`; if it is singular, the density is that of the targets that determine the
        others.

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
        return multivariate_normal.log_density(Y, means, self._covariance_at(X))

    def mean_log_likelihood(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Average `log_density` over the samples that have a target: nats per sample, greater is better.

        Raises
        ------
        ValueError
            If no sample with a positive weight has a target.
        """
        means, Y = self._predicted_and_given(X, y)
        observed = ~np.isnan(Y).all(axis=1)
        if not observed.any():
            raise ValueError("y contains only NaN: there is no target to score")
        scores = multivariate_normal.log_density(Y, means, self._covariance_at(X))[observed]
        weights = validation.check_sample_weight(sample_weight, means)
        if weights is not None and not weights[observed].any():
            raise ValueError("sample_weight is zero for every sample that has a target: there is nothing to score")
        return float(np.average(scores, weights=None if weights is None else weights[observed]))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute R^2 of the predictions, the mean over the outputs; missing targets do not count.

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
        """Draw targets from N(y(x), C) with C from `predict_covariance`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default 1
        random_state : int, RandomState instance or None, default None

        Returns
        -------
        array of shape (n_draws, n_samples, n_outputs), or (n_draws, n_samples) if y was one-dimensional
        """
        validation.check_number("n_draws", n_draws, Integral, low=1)
        means = self._predicted(X)
        outputs = self._covariance_outputs()
        if outputs is None:
            L = multivariate_normal.factor(self.predictive_covariance_)
        else:
            L = self._factors_at(X, outputs)
        noise = check_random_state(random_state).normal(size=(int(n_draws), len(means), L.shape[-1]))
        return self._shaped(means + (noise @ L.T if L.ndim == 2 else np.einsum("nkr,dnr->dnk", L, noise)))

    def _with(self, attributes: dict[str, Any]) -> Self:
        """Return a copy with other fitted attributes."""
        fitted = copy(self)
        set_fitted_attributes(fitted, attributes)
        return fitted

    def _calibrate(self, dataset: Dataset, kept: NDArray[np.intp]) -> Calibration:
        """Compute the distances of rows, with the targets that are fitted, from their predictions."""
        batches = list(dataset.batches())
        inputs = np.concatenate([batch.inputs for batch in batches])
        parameters, outputs = self._fitted_parameters(), self._covariance_outputs()
        means = apply_in_chunks(
            network_outputs, self._fitted_network(), parameters, inputs, dtype=np.float64, chunk_size=self.chunk_size
        )
        C = self.predictive_covariance_ if outputs is None else outputs.covariances(inputs)
        return Calibration.of(
            np.concatenate([batch.targets for batch in batches]),
            means[:, kept].astype(np.float64, copy=False),
            C[..., kept, :][..., kept],
            np.concatenate([batch.weights for batch in batches]),
        )

    def _fitted_network(self) -> Network:
        sizes = (self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_))
        return Network(sizes, fitted_activations(self), "identity")

    def _predicted(self, X: ArrayLike, then: Callable[[Array], Array] = lambda means: means, out: Any = None) -> Array:
        return self._apply(network_outputs, self._dataset_to_predict(X), then=then, out=out)

    def _covariance_outputs(self) -> CovarianceOutputs | None:
        """Return the outputs that give C(x); None if C is constant."""
        if self.covariance_factor_ is None:
            return None
        hidden = Parameters(tuple(self.coefs_[:-1]), tuple(self.intercepts_[:-1]))  # type: ignore[arg-type]
        weights = (self.covariance_coef_, self.covariance_intercept_, self.covariance_factor_)
        return CovarianceOutputs.of(hidden, fitted_activations(self), *weights, self.chunk_size)

    def _covariance_at(self, X: ArrayLike) -> Array:
        """Compute C of new targets, (n_outputs, n_outputs), or for each sample if it depends on the input."""
        outputs = self._covariance_outputs()
        if outputs is None:
            return self.predictive_covariance_
        batches = self._dataset_to_predict(X).batches()
        return np.concatenate([outputs.covariances(batch.inputs) for batch in batches])

    def _factors_at(self, X: ArrayLike, outputs: CovarianceOutputs) -> Array:
        """Compute the factor of each sample's C(x)."""
        return np.concatenate([outputs.factors(batch.inputs) for batch in self._dataset_to_predict(X).batches()])

    def _predicted_and_given(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        means = self._predicted(X)
        Y, _ = validate_targets(y, means)
        if Y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {Y.shape[1]} outputs, but the model was fitted on {self.n_outputs_}")
        return means, Y

    def _shaped(self, outputs: Array) -> Array:
        return outputs[..., 0] if self._one_dimensional else outputs
