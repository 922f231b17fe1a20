"""Outliers are rows that an autoencoder of the others cannot reconstruct."""

from __future__ import annotations

from copy import deepcopy
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsam.estimators import _validation as validation
from sparsam.estimators._warnings import warn_user
from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.encoders import check_encoder, is_autoencoder, last_step, steps_before, unfreeze
from sparsam.inspection.contributions import contributions
from sparsam.inspection.gross_values import has_gross_value

__all__ = ["AutoencoderOutlierDetector", "default_autoencoder"]

LEAST_UNITS, MOST_UNITS = 50, 200
LEAST_HELD_OUT, FEW_ROWS = 2, 20
LEAST_OUTLIERS = 1  # percent of the rows
FENCE = 1.5  # Tukey's, in units of the interquartile range
LEAST_SPREAD = 0.1  # of the logarithms of errors: rows whose errors differ less are alike


class AutoencoderOutlierDetector(OutlierMixin, BaseEstimator):
    """Detect outliers, and explain them.

    An autoencoder learns what the features have in common. The score of a row is minus its reconstruction error, so
    that a low score marks a row unlike the others; `explain` names the features responsible for the error, and
    the values expected from the other features.

    Parameters
    ----------
    autoencoder : SparseAutoencoder, StackedAutoencoder, Pipeline, FrozenEstimator or None, default None
        A pipeline ends with an autoencoder, whose inputs have the errors. A fitted one in scikit-learn's
        ``FrozenEstimator`` is used as it is; others are cloned and fitted. None stands for standardized features and
        twice as many tanh units as features, from 50 to 200, with linear outputs, no sparsity penalty, and strong
        weight decay (alpha=0.03), which keeps the network from reconstructing what is unusual; rows with a value more
        than 10 robust deviations from a column's median, such as slipped decimal points, are not learned from.
    contamination : "auto" or float, default "auto"
        Share of outliers among the rows of the fit, in (0, 0.5]. "auto" calls rows outliers whose error is beyond
        Tukey's fence on a logarithmic scale, above the upper quartile by more than 1.5 interquartile ranges, but at
        least one row in a hundred, unless its error is within a tenth of that quartile.
    validation_fraction : float or None, default None
        Share of the rows to hold out from the training of the autoencoder, whose scores then set the threshold
        `offset_`. Errors of new rows are larger than those of the rows of the training, much so if these are few:
        hold some out to judge new rows. None: the threshold is that of the training rows themselves.
    random_state : int, RandomState instance or None, default None
        Seed of the default autoencoder, and for drawing the rows to hold out.

    Attributes
    ----------
    autoencoder_ : SparseAutoencoder, StackedAutoencoder or Pipeline
        The fitted autoencoder.
    offset_ : float
        Threshold: ``decision_function(X) = score_samples(X) - offset_``.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Names of the columns of X; only if all are strings.

    See Also
    --------
    SparseAutoencoder.reconstruction_errors : The error of each feature.

    References
    ----------
    S. Hawkins, H. He, G. Williams & R. Baxter, "Outlier detection using replicator neural networks", DaWaK 2002;
    J. W. Tukey, "Exploratory data analysis", 1977 (fences).

    Examples
    --------
    >>> import pandas as pd
    >>> from sparsam import AutoencoderOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> height = rng.normal(170, 10, size=300)
    >>> people = pd.DataFrame({"height": height, "weight": 0.9 * height - 83, "arm": 0.4 * height})
    >>> people += rng.normal(size=(300, 3))
    >>> people.loc[7, "weight"] += 40
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(people)
    >>> int(np.argmin(detector.score_samples(people))), int(detector.predict(people)[7])
    (7, -1)
    >>> reasons = detector.explain(people.loc[[7]])
    >>> reasons.loc[0, "feature"]
    'weight'
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        contamination: float | str = "auto",
        validation_fraction: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.contamination = contamination
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the autoencoder, unless it is frozen, and set the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            With a pipeline, anything that its first step takes.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used.

        Warns
        -----
        UserWarning
            If the threshold is based on fewer than 20 rows. If half of the rows have nearly the same error, most often
            because they are the same, so that "auto" calls nearly all others outliers, if these are more than one in a
            hundred.
        """
        self.check_hyperparameters()
        rows: Any = self._validated(X, reset=True)
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(2**31))
        of_training, of_threshold = rows, rows
        if self.validation_fraction is not None:
            of_training, of_threshold = self._split(rows, rng)
        if isinstance(self.autoencoder, FrozenEstimator):
            fitted = deepcopy(self.autoencoder.estimator)  # later changes must not change the scores
        elif self.autoencoder is None:
            model = default_autoencoder(self.n_features_in_).set_params(random_state=seed)
            fitted = make_pipeline(StandardScaler(), model).fit(of_training[~has_gross_value(of_training)])
        else:
            fitted = clone(self.autoencoder).fit(of_training)
        scores = fitted.score_samples(of_threshold)
        self.autoencoder_, self.offset_ = fitted, self._threshold(scores)
        n_rows = len(scores)
        if n_rows < FEW_ROWS:
            message = f"The threshold is based on only {n_rows} rows, and is uncertain: use more rows."
            warn_user(message, UserWarning)
        return self

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute minus the reconstruction error, -1/2 |y_n - x_n|^2, of the autoencoder's inputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)
            The lower, the more unusual.
        """
        check_is_fitted(self)
        scores: NDArray[np.float64] = self.autoencoder_.score_samples(self._validated(X, reset=False))
        return scores

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute ``score_samples(X) - offset_``: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return -1 for outliers and 1 for other rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        int array of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def reconstruction_errors(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the error of each feature of the autoencoder's inputs, whose sum is -`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_inputs)
        """
        inputs = self._inputs(X)
        errors: NDArray[np.floating] = last_step(self.autoencoder_).reconstruction_errors(inputs)
        return errors

    def explain(self, X: ArrayLike, n_features: int = 3) -> pd.DataFrame:
        """Name the features that contribute most to the error of each row.

        A feature contributes the share of the row's error that goes away if it has the value expected from the other
        features: the fixed point of the reconstruction, or the feature's mean where a tenth less of the error is left
        with it. So a value that spoils the reconstruction of other features is named before these.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Few rows, such as those that `predict` calls outliers.
        n_features : int, default 3
            Number of features to name for each row, at most that of the autoencoder's inputs.

        Returns
        -------
        DataFrame
            A line for each row and feature, for each row in the order of decreasing contribution: ``row``, its label
            or number in X; ``feature``, its name or number; ``value`` and ``expected``, in the units of X if the steps
            before the autoencoder have an ``inverse_transform`` to as many features, otherwise in those of its inputs;
            ``contribution``, a share of the row's error, 0 if the expected value does not make it smaller. Shares of
            a row need not sum to 1.
        """
        check_is_fitted(self)
        autoencoder, before = last_step(self.autoencoder_), steps_before(self.autoencoder_)
        n_rows, n_inputs = np.shape(X)[0], autoencoder.n_features_in_
        validation.check_number("n_features", n_features, Integral, low=1, high=n_inputs)
        if n_rows == 0:
            return pd.DataFrame(columns=["row", "feature", "value", "expected", "contribution"])
        values = np.asarray(self._inputs(X), np.float64)
        found = contributions(
            values,
            lambda rows: np.asarray(autoencoder.predict(rows), np.float64),
            n_features,
            start=autoencoder._input_mean,
        )
        expected = np.asarray(found.replaced, np.float64).reshape(-1, n_inputs)
        if self._keeps_features():
            names, values = self._names(), np.asarray(X, np.float64)
            expected = expected if before is None else before.inverse_transform(expected)
        else:
            names = self._input_names()
        expected = np.reshape(expected, (n_rows, n_features, n_inputs))
        row = np.repeat(np.arange(n_rows), n_features)
        feature = found.features.ravel()
        labels = np.asarray(X.index) if isinstance(X, pd.DataFrame) else np.arange(n_rows)
        return pd.DataFrame(
            {
                "row": labels[row],
                "feature": names[feature],
                "value": values[row, feature],
                "expected": expected[row, np.tile(np.arange(n_features), n_rows), feature],
                "contribution": np.maximum(found.shares.ravel(), 0.0),
            }
        )

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        if not (isinstance(self.contamination, str) and self.contamination == "auto"):
            if isinstance(self.contamination, bool) or not isinstance(self.contamination, Real):
                raise TypeError(f"contamination must be 'auto' or a number; got {self.contamination!r}")
            if not 0 < self.contamination <= 0.5:
                raise ValueError(f"contamination must be 'auto' or in (0, 0.5]; got {self.contamination}")
        if self.validation_fraction is not None:
            if isinstance(self.validation_fraction, bool) or not isinstance(self.validation_fraction, Real):
                raise TypeError(f"validation_fraction must be None or a number; got {self.validation_fraction!r}")
            if not 0 < self.validation_fraction < 1:
                raise ValueError(f"validation_fraction must be None or in (0, 1); got {self.validation_fraction}")
        if self.autoencoder is not None:
            check_encoder(self.autoencoder)

    def check_fitted(self) -> None:
        """Raise ValueError or TypeError if the fitted attributes, perhaps from a file, are inconsistent."""
        autoencoder = last_step(self.autoencoder_)
        if not is_autoencoder(autoencoder):
            raise TypeError("its autoencoder_ does not end with an autoencoder")
        autoencoder.check_fitted()
        if not np.isfinite(self.offset_):
            raise ValueError("its offset_ is not finite")

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags."""
        tags = super().__sklearn_tags__()
        if self.autoencoder is not None:
            tags.input_tags = unfreeze(self.autoencoder).__sklearn_tags__().input_tags
        return tags

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """Check X; a pipeline gets it as it is."""
        if isinstance(unfreeze(self.autoencoder), Pipeline):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        return validation.validate_inputs(self, X, reset=reset)

    def _split(self, X: Any, rng: np.random.RandomState) -> tuple[Any, Any]:
        n_rows = len(X)
        n_held_out = max(round(float(self.validation_fraction or 0) * n_rows), LEAST_HELD_OUT)
        if n_held_out >= n_rows:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n_rows} rows leaves no rows for the training"
            )
        training, held_out = train_test_split(X, test_size=n_held_out, random_state=rng)
        return training, held_out

    def _threshold(self, scores: NDArray[np.float64]) -> float:
        if self.contamination != "auto":
            return float(np.percentile(scores, 100 * float(self.contamination)))
        lower, upper = np.percentile(np.log(np.maximum(-scores, np.finfo(float).tiny)), [25, 75])
        fence = -float(np.exp(upper + FENCE * (upper - lower)))
        alike = -float(np.exp(upper + LEAST_SPREAD))  # rounding must not divide rows that are the same
        offset = min(max(fence, float(np.percentile(scores, LEAST_OUTLIERS))), alike)
        n_outliers = int(np.sum(scores < offset))
        if upper - lower < LEAST_SPREAD and n_outliers > max(len(scores) * LEAST_OUTLIERS / 100, 1):
            warn_user(
                "At least half of the rows have nearly the same reconstruction error, as rows that are the same have: "
                f"contamination='auto' calls {n_outliers} of {len(scores)} rows outliers, nearly all that differ from "
                "these. Set contamination to the share of outliers that you expect.",
                UserWarning,
            )
        return offset

    def _inputs(self, X: Any) -> Any:
        """Return the inputs of the autoencoder."""
        check_is_fitted(self)
        X, before = self._validated(X, reset=False), steps_before(self.autoencoder_)
        return X if before is None else before.transform(X)

    def _names(self) -> NDArray[Any]:
        """Return the names of the features, or their numbers."""
        return np.asarray(getattr(self, "feature_names_in_", np.arange(self.n_features_in_)))

    def _keeps_features(self) -> bool:
        """Whether the steps before the autoencoder scale the features and neither mix nor sort them, by their names."""
        before = steps_before(self.autoencoder_)
        if before is None or not hasattr(before, "inverse_transform"):
            return before is None
        names = getattr(self, "feature_names_in_", [f"x{k}" for k in range(self.n_features_in_)])
        try:
            return list(before.get_feature_names_out(names)) == list(names)
        except (AttributeError, ValueError):  # a step has no names
            return False

    def _input_names(self) -> NDArray[Any]:
        """Return the names of the autoencoder's inputs, or their numbers."""
        try:
            return np.asarray(self.autoencoder_[:-1].get_feature_names_out())
        except (AttributeError, ValueError):
            return np.arange(last_step(self.autoencoder_).n_features_in_)


def default_autoencoder(n_features: int) -> SparseAutoencoder:
    """Make the autoencoder of standardized features that the detector takes by default."""
    return SparseAutoencoder(
        min(max(2 * n_features, LEAST_UNITS), MOST_UNITS),
        hidden_activation="tanh",
        output_activation="identity",
        alpha=0.03,
        beta=0.0,
        tol=1e-3,
    )
