"""Classification when labels are wrong now and then (PRML exercise 5.4)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sparsam.engine.network.activations import complementary_logistics
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.error_functions import NoisyCrossEntropy
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import WeightDecay
from sparsam.engine.training.train import Callback, Progress, Training
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import Data, mapped
from sparsam.estimators._data.splits import Split, folds, hold_out
from sparsam.estimators._labels.encoding import (
    checked_labels,
    classes_of,
    for_network,
    refuse_rare_labels,
    validated_labels,
    with_indices,
)
from sparsam.estimators._labels.label_noise import given_probabilities, symmetric, wrong_probabilities
from sparsam.estimators._labels.noise_estimation import (
    FINER,
    GRID,
    MOST_ROUNDS,
    N_FOLDS,
    HeldOut,
    HeldOutAt,
    LikelihoodProfile,
    estimate_transitions,
    likelihood,
    profile_likelihood,
)
from sparsam.estimators._labels.transitions import transition_matrix
from sparsam.estimators._progress.reporter import Estimate, Report
from sparsam.estimators._progress.sklearn_callbacks import CallbackSupportMixin, with_callbacks
from sparsam.estimators._tangents import Tangents, check_tangent_hyperparameters, fit_tangents, penalties
from sparsam.estimators._training import fitted_attributes as fitting
from sparsam.estimators._training.supervised import (
    Supervised,
    canonical,
    inputs_of,
    seed_of,
    targeted,
    train_on_targets,
)
from sparsam.estimators._training.train_estimator import checkpoints_of, in_all_processes

__all__ = ["NoisyLabelClassifier"]

Array = NDArray[np.float64]
TANGENTS_OF = {"log_odds": "pre_activations", "probabilities": "outputs"}


class NoisyLabelClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """A network that learns the true labels of samples from labels some of which are wrong.

    Its outputs y are the probabilities of the TRUE label. The label t that is given comes about with the probability
    p_t = sum_i y_i T_it, T_ij = P(given j | true i), and what is minimized is minus its mean log-likelihood plus weight
    decay ::

        J = -1/S sum_n s_n ln p_n,t_n  +  alpha/2 sum_l |W_l|^2

    With two classes and one probability for both that is PRML exercise 5.4: p = (1 - epsilon) y + epsilon (1 - y). A
    label that contradicts all others of its kind then pulls at the network no more than 1/epsilon allows.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (50,)
        Number of units in each hidden layer. () is logistic regression.
    epsilon : "estimate", "estimate_matrix", float, pair or array (n_classes, n_classes), default "estimate"
        How probable a wrong label is: one probability for all (with more than two classes any wrong label is as
        probable); for two classes the pair (P(1 | 0), P(0 | 1)) in the order of ``classes_``; or T. 0 is the plain
        cross-entropy. "estimate" looks for the one probability that makes noisy labels which were held out the most
        likely, which takes a dozen trainings (and seven for each further alpha). "estimate_matrix" does so for T, with
        each label held out once: four trainings a round, of two to nine rounds for each alpha.
    alpha : float or tuple of floats, default 1e-4
        Weight decay; biases do not decay. Of several the one is taken under which noisy labels that were held out are
        the most likely; where epsilon is estimated, both are chosen together.
    hidden_activation : {"tanh", "logistic", "relu"}, default "tanh"
        Activation function h of the hidden units.
    tangents : callable X -> array (n_samples, n_tangents, n_features), or None, default None
        Directions at each sample along which the outputs should not change (PRML section 5.5.4, exercise 5.26): for
        images `functools.partial(sparsam.images.image_tangents, image_shape=...)`. It is called with rows of the X that
        `fit` gets, in any number and order, and must make each sample's tangents of its row alone. An array goes to
        `fit`. None for none.
    tangent_weight : float or None, default None
        Weight of 1/S sum_n s_n 1/2 sum_tau |Jac_n tau|^2, Jac the Jacobian of the outputs (see ``tangents_of``) by the
        inputs. None is 1e-3 where there are tangents. 0 switches them off.
    normalize_tangents : bool, default True
        Whether to give all samples' first tangents, their second, and so on, the root-mean-square length of X's
        deviation from its mean, so that tangent_weight means the same in any unit and at any image size.
    tangents_of : {"log_odds", "probabilities"}, default "log_odds"
        What should not change along the tangents. PRML's outputs are the probabilities; but these stand still wherever
        the network is sure of its answer, however wrong that is nearby, so that the penalty is paid off by being sure.
        Of 320 digits it takes a tenth of the errors away, and on the log-odds more than a quarter.
    early_stopping : bool, default False
        Whether to hold out a part of the data and keep the weights under which its (noisy) labels are the most
        likely. The trainings that estimate epsilon always do so.
    validation_fraction : float, default 0.1
        Part of the data to hold out, in (0, 1), stratified by label. A sample with a whole number for its weight counts
        as so many copies, some of which may be held out and the others not.
    n_iter_no_change : int, default 20
        Number of iterations without a new best after which early stopping gives up.
    solver, max_iter, tol, time_budget, chunk_size, dtype, polish, warm_start, random_state, mesh, checkpoint,
    checkpoint_every, resume, callback, verbose
        As for `SparseAutoencoder`; ``random_state`` draws the held-out part too. Of an estimated epsilon, which takes
        many trainings, ``max_iter`` and ``time_budget`` hold for each.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    alpha_ : float
        The weight decay of the fit.
    epsilon_ : float
        Mean probability of a wrong label over the true classes; with one probability for all, it.
    transition_matrix_ : array of shape (n_classes, n_classes)
        T, in the order of ``classes_``.
    likelihood_profile_ : LikelihoodProfile or None
        With "estimate": the likelihoods at each epsilon tried, and an interval for it.
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        Weights of each layer. For two classes there is one output, the probability of ``classes_[1]``.
    validation_scores_ : list of (int, float)
        Iteration, and mean log-likelihood of the labels held out; empty without early stopping.
    cost_, loss_curve_, history_, n_iter_, n_evaluations_, gradient_norm_, converged_, stop_reason_
        As for `SparseAutoencoder`. With early stopping they end at the weights that were kept.

    Notes
    -----
    What is identifiable: from labels alone only y T. A network that may be anything explains them with any T, so it is
    the restriction of the network, its size, alpha and early stopping, that tells noise from truth. Where the true
    label is itself uncertain, part of that uncertainty can be taken for noise. Nor does the likelihood know what the
    true classes are called: T and the network's outputs may be permuted alike. "estimate_matrix" calls them so that the
    trace of T is the largest, which is right where every label is right more often than it is any one wrong label.

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, exercise 5.4; G. Patrini et al., "Making deep neural
    networks robust to label noise: a loss correction approach", CVPR 2017 (the "forward" correction).

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam import NoisyLabelClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> truth = X[:, 0] > 0
    >>> given = truth ^ (rng.random(500) < 0.2)
    >>> model = NoisyLabelClassifier((), epsilon=0.2, random_state=0).fit(X, given)
    >>> bool(np.mean(model.predict(X) == truth) > 0.97)
    True
    >>> wrong = model.find_label_errors(X, given)
    >>> bool(np.mean((truth != given)[wrong]) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (50,),
        *,
        epsilon: str | float | ArrayLike = "estimate",
        alpha: float | tuple[float, ...] = 1e-4,
        hidden_activation: str = "tanh",
        tangents: Tangents | None = None,
        tangent_weight: float | None = None,
        normalize_tangents: bool = True,
        tangents_of: str = "log_odds",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        solver: str = "kronecker-lbfgs",
        max_iter: int = 1000,
        tol: float = 1e-5,
        time_budget: float | None = None,
        chunk_size: int | None = None,
        dtype: str = "float32",
        polish: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        mesh: Mesh | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float | str = "60s",
        resume: bool = False,
        callback: Callback | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.epsilon = epsilon
        self.alpha = alpha
        self.hidden_activation = hidden_activation
        self.tangents = tangents
        self.tangent_weight = tangent_weight
        self.normalize_tangents = normalize_tangents
        self.tangents_of = tangents_of
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
        """Minimize J over the weights; with ``epsilon="estimate"`` estimate epsilon before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, which are read again in every step, as in `SparseAutoencoder.fit`; what of
            an object that yields chunks belongs to the rows it yields too, as tuples (X, y, sample_weight, tangents) of
            which the last may be left out. Each such row is held out or not by a draw of its own, whatever its label.
        y : array-like of shape (n_samples,)
            The labels as given: numbers or strings.
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
        ConvergenceWarning
            If the training stopped before converging.
        """
        self.check_hyperparameters()
        report = Report.of_fit(self, X, y, sample_weight, in_parts=self._estimates())
        with validation.features_of_the_fitted(self), in_all_processes(self):
            network, training = self._trained(X, y, sample_weight, tangents, report)
            fitting.set_fitted_attributes(self, network, training)
        report.end()
        return self

    def _trained(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        tangents: ArrayLike | None,
        report: Report,
    ) -> tuple[Network, Training]:
        data = targeted(self, X, y, sample_weight, tangents, checked_labels, report)
        warm = self.warm_start and hasattr(self, "coefs_")
        classes = classes_of(data, self.classes_ if warm else None)
        n_classes = len(classes)
        data = canonical(mapped(data, partial(with_indices, classes)))
        data, made = fit_tangents(self, data, report.display)
        has_tangents = made is not None or next(data.pieces()).tangents is not None
        network = self._network_of(data.n_features, n_classes)
        theta = fitting.initial_weights(self, network)
        seed = seed_of(self, data)
        # Weights that were trained on labels must not judge them: what is to be held out is estimated from new ones.
        new = network.initialize(check_random_state(self.random_state)) if warm else theta

        def attributes_of(T: Array, alpha: float) -> dict[str, Any]:
            epsilon = float(np.mean(1 - np.diag(T)))
            return {"classes_": classes, "alpha_": alpha, "transition_matrix_": T, "epsilon_": epsilon}

        def trained(
            estimator: Self, T: Array, alpha: float, rows: Data | Split, theta: NDArray[np.floating], report: Report
        ) -> Supervised:
            def attributes(progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
                return fitting.attributes_at(network, progress, theta) | attributes_of(T, alpha)

            of = TANGENTS_OF[self.tangents_of]
            terms: Any = (NoisyCrossEntropy(T), WeightDecay(float(alpha)), *penalties(self, has_tangents, of))  # type: ignore[arg-type]
            options: Any = {"widths": network.layer_sizes, "made": made, "checkpoints": checkpoints}
            rows, report = for_network(rows, n_classes, self.dtype), report.telling(attributes)
            return train_on_targets(estimator, Objective(network, terms), rows, theta, report=report, **options)

        unpolished = type(self)(**self.get_params(deep=False) | {"polish": False})

        def held_out_at(alpha: float, split: Split, T: Array, report: Report) -> HeldOut:
            fitted = trained(unpolished, T, alpha, split, new, report)
            parameters = network.unravel(_finished(fitted.training).theta)  # type: ignore[arg-type]

            def probabilities(X: NDArray[np.floating]) -> Array:
                return self._probabilities(network, parameters, X)

            likelihood = max(score for _, score in fitted.held_out_scores)
            training_likelihood = -fitted.training.history[-1].terms[NoisyCrossEntropy.name]
            return HeldOut(split.held_out, probabilities, likelihood, training_likelihood)

        def split() -> Split:
            return hold_out(data, self.validation_fraction, seed, by_label=True)

        def in_folds() -> list[Split]:
            refuse_rare_labels(data, classes)
            return folds(N_FOLDS, data, seed)

        with checkpoints_of(self, draws=self.early_stopping or self._estimates()) as checkpoints:
            T, alpha, profile = self._noise_and_alpha(held_out_at, split, in_folds, n_classes, report)
            alpha = float(alpha)
            kept = split() if self.early_stopping else data
            with report.training() if self._estimates() else nullcontext(report) as last:
                training, scores = trained(self, T, alpha, kept, theta, last)
        if training.history:
            self.validation_scores_ = scores
            for name, value in attributes_of(T, alpha).items():
                setattr(self, name, value)
            self.likelihood_profile_ = profile
        return network, training

    def predict(self, X: ArrayLike, out: Any = None) -> NDArray[Any]:
        """Return the most probable true label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples,), optional
            Where to write the result, a piece at a time: anything that takes slices of rows, such as a memory-mapped
            file, an HDF5 or a Zarr dataset.

        Returns
        -------
        array of shape (n_samples,); or ``out``
        """
        return self._apply(X, lambda probabilities: self.classes_[np.argmax(probabilities, axis=1)], out)

    def predict_proba(self, X: ArrayLike, out: Any = None) -> Array:
        """Probability of each TRUE label, y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_classes), optional
            Where to write the result, as in `predict`.

        Returns
        -------
        array of shape (n_samples, n_classes); or ``out``
            In the order of ``classes_``.
        """
        return self._apply(X, lambda probabilities: probabilities, out)

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_noisy_proba(self, X: ArrayLike) -> Array:
        """Probability of each label AS GIVEN, p = y T.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
        """
        return given_probabilities(self.predict_proba(X), self.transition_matrix_)

    def label_error_proba(self, X: ArrayLike, y: ArrayLike) -> Array:
        """Probability that a given label is wrong, now that it was given: 1 - T_tt y_t / p_t.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The labels as given.

        Returns
        -------
        array of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return wrong_probabilities(probabilities, self.transition_matrix_, self._label_indices(probabilities, y))

    def find_label_errors(self, X: ArrayLike, y: ArrayLike, threshold: float = 0.5) -> NDArray[np.intp]:
        """Return the rows whose label is wrong with more than some probability, the most probable first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The labels as given.
        threshold : float, default 0.5
            In [0, 1].

        Returns
        -------
        array of int
        """
        validation.check_number("threshold", threshold, low=0, high=1)
        wrong = self.label_error_proba(X, y)
        order = np.argsort(-wrong, kind="stable")
        return order[wrong[order] > threshold]

    def mean_log_likelihood(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-likelihood of labels as given, ln p_t: nats per sample, greater is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The labels as given.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        p = self.predict_noisy_proba(X)
        of_given = p[np.arange(len(p)), self._label_indices(p, y)]
        with np.errstate(divide="ignore"):
            return float(np.average(np.log(of_given), weights=validation.check_sample_weight(sample_weight, p)))

    classes_: NDArray[Any]

    @property
    def history_(self) -> pd.DataFrame:
        """History of the fit: a row for the initial weights and for each iteration."""
        check_is_fitted(self)
        return fitting.history_frame(self)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"mesh": None}  # devices are of this process alone

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        alphas = self._alphas()
        if len(alphas) == 0:
            raise ValueError("alpha must be a number, or a tuple of some numbers to choose from; got none")
        for alpha in alphas:
            validation.check_weight("alpha", alpha)
        validation.check_supervised_hyperparameters(self)
        check_tangent_hyperparameters(self)
        validation.check_choice("tangents_of", self.tangents_of, TANGENTS_OF)
        if isinstance(self.epsilon, str):
            validation.check_choice("epsilon", self.epsilon, ("estimate", "estimate_matrix"))

    def _noise_and_alpha(
        self,
        held_out_at: Callable[[float, Split, Array, Report], HeldOut],
        split: Callable[[], Split],
        in_folds: Callable[[], list[Split]],
        n_classes: int,
        report: Report,
    ) -> tuple[Array, float, LikelihoodProfile | None]:
        """T, alpha, and the likelihoods by which they were chosen, if epsilon is estimated."""
        alphas = self._alphas()

        def at(splits: list[Split], estimate: Estimate) -> dict[float, HeldOutAt]:
            def of(alpha: float) -> HeldOutAt:
                def held_out(T: Array, label: str) -> list[HeldOut]:
                    if len(alphas) > 1:
                        label = ", ".join(filter(None, (f"alpha {alpha:g}", label)))
                    parts = []
                    for fold, split in enumerate(splits, start=1):
                        with estimate.training(f"{label}, fold {fold}" if len(splits) > 1 else label) as training:
                            parts.append(held_out_at(alpha, split, T, training))
                    estimate.found(label, likelihood(parts))
                    return parts

                return held_out

            return {alpha: of(alpha) for alpha in alphas}

        if isinstance(self.epsilon, str) and self.epsilon == "estimate":
            with report.estimate("epsilon", GRID * len(alphas) + FINER) as estimate:
                alpha, profile = profile_likelihood(at([split()], estimate), n_classes)
            return symmetric(profile.best, n_classes), alpha, profile
        if isinstance(self.epsilon, str):
            with report.estimate("transition matrix", (1 + MOST_ROUNDS) * N_FOLDS * len(alphas)) as estimate:
                alpha, T = estimate_transitions(at(in_folds(), estimate), n_classes)
            return T, alpha, None
        T = transition_matrix(self.epsilon, n_classes)
        if len(alphas) == 1:
            return T, alphas[0], None
        with report.estimate("alpha", len(alphas)) as estimate:
            with_T = at([split()], estimate)
            alpha = max(alphas, key=lambda alpha: likelihood(with_T[alpha](T, "")))
        return T, alpha, None

    def _estimates(self) -> bool:
        """Whether trainings for an estimate, of noise or of alpha, precede the one that is kept."""
        return isinstance(self.epsilon, str) or len(self._alphas()) > 1

    def _alphas(self) -> tuple[float, ...]:
        return tuple(self.alpha) if isinstance(self.alpha, tuple | list) else (self.alpha,)

    def _probabilities(self, network: Network, parameters: Parameters, X: NDArray[np.floating]) -> Array:
        return fitting.apply_in_chunks(
            _probabilities, network, parameters, X, dtype=np.float64, chunk_size=self.chunk_size
        ).astype(np.float64, copy=False)

    def _network_of(self, n_features: int, n_classes: int) -> Network:
        n_outputs, output = (1, "logistic") if n_classes == 2 else (n_classes, "softmax")
        sizes = (n_features, *validation.layer_sizes(self.hidden_layer_sizes), n_outputs)
        return Network(sizes, self.hidden_activation, output)

    def _apply(self, X: ArrayLike, then: Callable[[Array], NDArray[Any]], out: Any) -> NDArray[Any]:
        check_is_fitted(self)
        data = inputs_of(self, X)
        network = self._network_of(self.coefs_[0].shape[0], len(self.classes_))
        parameters = fitting.fitted_parameters(self)
        options: Any = {"dtype": np.float64, "chunk_size": self.chunk_size, "then": then, "out": out}
        return fitting.apply_to_data(_probabilities, network, parameters, data, **options)

    def _label_indices(self, X: NDArray[np.floating], y: ArrayLike) -> NDArray[np.intp]:
        labels = validated_labels(y, X)
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y holds the label {unknown.tolist()[0]!r}, which the model was not fitted on; it knows "
                f"{self.classes_.tolist()}"
            )
        return np.searchsorted(self.classes_, labels)


def _finished(training: Training) -> Training:
    """Raise where one of many trainings has failed: there is no estimate to keep."""
    if training.stop_reason == "interrupted":
        raise KeyboardInterrupt
    if not training.history:
        raise FloatingPointError(
            "J is not finite at the initial weights: look for extreme values in X, and standardize it"
        )
    return training


@partial(jax.jit, static_argnums=0)
def _probabilities(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    forward = network.forward(parameters, X.T)
    if network.output_activation == "softmax":
        return forward.outputs.T
    one, zero = complementary_logistics(forward.pre_activations[-1][0])
    return jnp.stack([zero, one], axis=1)
