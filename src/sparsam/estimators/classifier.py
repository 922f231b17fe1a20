"""Classification when labels are wrong now and then (PRML exercise 5.4)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import NoisyCrossEntropy
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import WeightDecay
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.state import Progress
from sparsam.engine.training.train import Training
from sparsam.estimators import _validation as validation
from sparsam.estimators._base import NetworkEstimator
from sparsam.estimators._data.apply_network import unscaled_parameters
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.odd_units import odd_units_warning
from sparsam.estimators._data.splits import Split, folds, hold_out
from sparsam.estimators._labels.class_probabilities import class_probabilities
from sparsam.estimators._labels.encoding import (
    check_classes,
    check_labels,
    encode_labels,
    find_classes,
    network_targets,
    refuse_rare_labels,
    validate_labels,
)
from sparsam.estimators._labels.labeled_data import LabeledData
from sparsam.estimators._labels.likelihood_profile import LikelihoodProfile
from sparsam.estimators._labels.noise_estimation import (
    N_FOLDS,
    STRUCTURES,
    HeldOut,
    NoiseEstimate,
    NoiseEstimation,
)
from sparsam.estimators._labels.noise_model import given_probabilities, wrong_probabilities
from sparsam.estimators._labels.transitions import transition_matrix
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
from sparsam.estimators._tangents import (
    Tangents,
    check_tangent_hyperparameters,
    prepare_tangents,
    tangent_penalties,
)
from sparsam.estimators._training.fit_checkpoints import checkpointer_of
from sparsam.estimators._training.fitted_attributes import (
    check_finished,
    check_warm_start,
    initial_weights,
    network_attributes,
    validation_attributes,
)
from sparsam.estimators._training.supervised import draw_weights_and_seed, load_with_targets
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import EstimatorTraining, TrainingProblem
from sparsam.estimators.checkpoint import Checkpoint

__all__ = ["LikelihoodProfile", "NoisyLabelClassifier"]

Array = NDArray[np.float64]
TANGENTS_OF = {"log_odds": "pre_activations", "probabilities": "outputs"}


class NoisyLabelClassifier(ClassifierMixin, NetworkEstimator):
    """A network that learns the true labels of samples from labels some of which are wrong.

    Its outputs y are the probabilities of the TRUE label. The label t that is given comes about with the probability
    p_t = sum_i y_i T_it, T_ij = P(given j | true i), and what is minimized is minus its mean log-likelihood plus weight
    decay ::

        J = -1/S sum_n s_n ln p_n,t_n  +  alpha/2 sum_l |W_l|^2

    With two classes and one probability for both that is PRML exercise 5.4: p = (1 - epsilon) y + epsilon (1 - y). A
    label that contradicts all others of its kind then pulls at the network no more than 1/epsilon allows.

    The columns of X are centred and scaled for the minimizer alone: with alpha = 0 their units make no difference, and
    otherwise alpha is about weights in X's own.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (50,)
        Number of units in each hidden layer. () is logistic regression.
    epsilon : "estimate", "estimate_matrix", float, pair or array (n_classes, n_classes), default "estimate"
        How probable a wrong label is: one probability for all (with more than two classes any wrong label is as
        probable); for two classes the pair (P(1 | 0), P(0 | 1)) in the order of ``classes_``; or T. 0 is the plain
        cross-entropy. "estimate" estimates the one probability, "estimate_matrix" T, from labels that were held out:
        networks trained in four folds, and the noise that makes labels which they do not know the most likely, take
        turns. That is two to nine rounds of four trainings for each alpha, most often three.
    alpha : float or tuple of floats, default 1e-4
        Weight decay; biases do not decay. Of several the one is taken under which noisy labels that were held out are
        the most likely, of networks that stop early if the one that is kept does; where epsilon is estimated, both are
        chosen together.
    classes : array-like of shape (n_classes,) or None, default None
        All labels that there may be, in order, where y may lack some: so a part of the data, or a fold, has outputs and
        a T for all. To estimate epsilon there must be some of each. None for those of y.
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
    early_stopping : bool or "auto", default "auto"
        Whether to end the training where noisy labels that were held out are the most likely. "auto" does where the
        noise is estimated: trained to the end, a large network learns wrong labels by heart, whatever epsilon is. Then
        the network is trained on all data, and ends at the iteration that was the best for the folds of the estimate
        together. With True that is so where an alpha is chosen, too; and with nothing to estimate a part is held out
        from it. With False the network that is kept is trained to the end; those of an estimate of the noise, which is
        about the labels, stop early all the same.
    validation_fraction : float, default 0.1
        Part of the data to hold out, in (0, 1), stratified by label. A sample with a whole number for its weight counts
        as so many copies, some of which may be held out and the others not.
    n_iter_no_change : int, default 20
        Number of iterations without a new best after which early stopping gives up.
    warm_start : bool, default False
        Whether `fit` goes on from the fitted weights, if there are any. Not where early stopping is by folds: the
        number of iterations that suits them counts from new weights, so the network that is kept starts from new ones,
        too, and a warning says so.
    solver, max_iter, tol, time_budget, chunk_size, dtype, polish, random_state, mesh, checkpoint, callback, verbose
        As for `SparseAutoencoder`. ``random_state`` draws the folds, or the part held out, too: an integer draws them
        from a stream of their own. Where epsilon is estimated, which takes many trainings, ``max_iter`` holds for each,
        and ``time_budget`` for all together.

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
        Where the noise was estimated: the likelihood of labels held out at each epsilon, and an interval for it.
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        Weights of each layer, in float64. For two classes there is one output, the probability of ``classes_[1]``.
    validation_scores_ : list of float
        Mean log-likelihood of the labels held out, nats a label, at each of ``validation_iterations_``; of folds that
        of all together. Empty without early stopping.
    validation_iterations_ : list of int
        Iterations that were scored: the first five, then some, a quarter of ``n_iter_no_change`` apart at most. They go
        on beyond the one that was kept.
    loss_, loss_curve_, history_, n_iter_, n_evaluations_, gradient_norm_, converged_, stop_reason_
        As for `SparseAutoencoder`. With early stopping they end at the weights that were kept.

    Notes
    -----
    What is identifiable: from labels alone only y T. A network that may be anything explains them with any T, so it is
    the restriction of the network, its size, alpha and early stopping, that tells noise from truth. Labels bound
    epsilon from above alone: a smaller one, with y kept away from 0 and 1, explains them as well. Where the true
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

    _fields_beside_inputs = ("targets", "tangents")
    classes_: NDArray[Any]

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (50,),
        *,
        epsilon: str | float | ArrayLike = "estimate",
        alpha: float | tuple[float, ...] = 1e-4,
        classes: ArrayLike | None = None,
        hidden_activation: str = "tanh",
        tangents: Tangents | None = None,
        tangent_weight: float | None = None,
        normalize_tangents: bool = True,
        tangents_of: str = "log_odds",
        early_stopping: bool | str = "auto",
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
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        callback: Callable[[Progress], bool | None] | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.epsilon = epsilon
        self.alpha = alpha
        self.classes = classes
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
        UserWarning
            If ``warm_start`` has no influence. If the labels hardly tell how many of them are wrong. If alpha > 0 and
            columns of X are in odd units, with deviations outside 1e-3 to 1e3: standardize them.
        ConvergenceWarning
            If the training stopped before converging, or ``time_budget`` was over in the folds.
        """
        budget, unused = TimeBudget(self.time_budget), self._unused_warm_start()
        with self._fitting(X, y, sample_weight, in_parts=self._estimates()) as reporter:
            labeled = self._labeled_data(X, y, sample_weight, tangents, reporter)
            held_out = labeled.seed if self._stops_early() or self._estimates() else None
            with checkpointer_of(self, labeled.with_tangents, held_out=held_out) as checkpointer:
                trainer = _Trainer(self, labeled, checkpointer, budget)
                noise = self._estimate_noise(trainer, reporter)
                with reporter.training() if self._estimates() else nullcontext(reporter) as last:
                    run = trainer.prepare(noise, last)
                    training = run.train()
            attributes = self._attributes(run, training, noise)
            del run, trainer  # and with them what is on the devices
            odd_units = odd_units_warning(labeled.columns, self._feature_names, float(noise.alpha))
            warnings = [self._unclear_noise(noise), odd_units, budget.warning("epsilon_ and alpha_"), unused]
            return self._finish(training, attributes, reporter, warnings)

    def _labeled_data(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        tangents: ArrayLike | None,
        reporter: FitReporter,
    ) -> LabeledData:
        """Prepare the data: labels become the numbers of their classes."""
        dataset = load_with_targets(self, X, y, sample_weight, tangents, check_labels, reporter.rows_read)
        classes = find_classes(dataset, self.classes_ if self._is_warm() else None, self.classes)
        dataset = dataset.map(partial(encode_labels, classes)).merge_repeated()
        dataset, function = prepare_tangents(self, dataset, reporter.display)
        network = self._network(dataset.n_features, len(classes))
        if self._is_warm():
            check_warm_start(self, network)
        # Weights that were trained on labels must not judge them: trainings for an estimate start from new ones.
        new, seed = draw_weights_and_seed(self.random_state, network, dataset.mesh)
        return LabeledData(dataset, classes, network, ColumnMoments.of(dataset), new, seed, function)

    def _estimate_noise(self, trainer: _Trainer, reporter: FitReporter) -> NoiseEstimate:
        """Estimate the transition matrix and alpha, as far as they are not given."""
        labeled, alphas = trainer.labeled, self._alphas()
        n_classes = len(labeled.classes)
        if not self._estimates():
            return NoiseEstimate(transition_matrix(self.epsilon, n_classes), float(alphas[0]))
        if isinstance(self.epsilon, str):
            least = N_FOLDS if self.epsilon == "estimate_matrix" else 1
            refuse_rare_labels(labeled.dataset, labeled.classes, least, self.epsilon)
        splits = folds(N_FOLDS, labeled.dataset, labeled.seed)
        if not splits:  # a sample or two of each class: nothing to judge by
            T = np.eye(n_classes) if isinstance(self.epsilon, str) else transition_matrix(self.epsilon, n_classes)
            return NoiseEstimate(T, float(alphas[0]))
        estimation = NoiseEstimation(trainer, splits, n_classes, alphas, reporter)
        if isinstance(self.epsilon, str):
            return estimation.estimate_noise(STRUCTURES[self.epsilon])
        return estimation.estimate_alpha(transition_matrix(self.epsilon, n_classes))

    def _unclear_noise(self, noise: NoiseEstimate) -> Warning | None:
        """Make the warning of an estimate that says little."""
        if not isinstance(self.epsilon, str):
            return None
        if noise.profile is None:
            return UserWarning("There are too few labels to estimate how many are wrong: epsilon is taken for 0.")
        return None if noise.profile.warning is None else UserWarning(noise.profile.warning)

    def _attributes(self, run: EstimatorTraining, training: Training, noise: NoiseEstimate) -> dict[str, Any]:
        """Make the fitted attributes."""
        if not training.history:
            return {}
        at_end = run.problem.attributes_at(training.history[-1], training.theta)
        scores = list(noise.scores) if self._stops_early() and noise.scores else run.held_out_scores
        return {**at_end, **validation_attributes(scores), "likelihood_profile_": noise.profile}

    def predict(self, X: ArrayLike, out: Any = None) -> NDArray[Any]:
        """Return the most probable true label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples,), optional
            Where to write the result, a batch at a time: anything that takes slices of rows, such as a memory-mapped
            file, an HDF5 or a Zarr dataset.

        Returns
        -------
        array of shape (n_samples,); or ``out``
        """
        return self._probabilities(X, lambda probabilities: self.classes_[np.argmax(probabilities, axis=1)], out)

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
        return self._probabilities(X, out=out)

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
            In [0, 1]. 0 ranks all rows, also where epsilon is 0: then by the probability of the given label.

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

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        alphas = self._alphas()
        if len(alphas) == 0:
            raise ValueError("alpha must be a number, or a tuple of some numbers to choose from; got none")
        for alpha in alphas:
            validation.check_weight("alpha", alpha)
        validation.check_supervised_hyperparameters(self)
        check_tangent_hyperparameters(self)
        if self.classes is not None:
            check_classes(self.classes)
        validation.check_choice("tangents_of", self.tangents_of, TANGENTS_OF)
        if isinstance(self.epsilon, str):
            validation.check_choice("epsilon", self.epsilon, ("estimate", "estimate_matrix"))

    def _check_attributes(self) -> None:
        n_classes = len(self.classes_)
        if n_classes < 2 or not np.array_equal(np.unique(self.classes_), self.classes_):
            raise ValueError("its classes are not in order")
        if self._fitted_network().shapes[0][0] != self.n_features_in_:
            raise ValueError("its arrays do not fit together")
        self._check_weights(self.transition_matrix_)
        if self.transition_matrix_.shape != (n_classes, n_classes):
            raise ValueError("its transition matrix does not fit")
        transition_matrix(self.transition_matrix_, n_classes)

    def _estimates(self) -> bool:
        """Whether trainings for an estimate, of noise or of alpha, precede the one that is kept."""
        return isinstance(self.epsilon, str) or len(self._alphas()) > 1

    def _stops_early(self) -> bool:
        """Whether the number of iterations is chosen by labels held out."""
        return isinstance(self.epsilon, str) if self.early_stopping == "auto" else bool(self.early_stopping)

    def _ends_by_folds(self) -> bool:
        """Whether trainings in folds choose the number of iterations."""
        return self._stops_early() and self._estimates()

    def _alphas(self) -> tuple[float, ...]:
        return tuple(self.alpha) if isinstance(self.alpha, tuple | list) else (self.alpha,)

    def _network(self, n_features: int, n_classes: int) -> Network:
        n_outputs, output = (1, "logistic") if n_classes == 2 else (n_classes, "softmax")
        sizes = (n_features, *validation.layer_sizes(self.hidden_layer_sizes), n_outputs)
        return Network(sizes, self.hidden_activation, output)

    def _fitted_network(self) -> Network:
        return self._network(self.coefs_[0].shape[0], len(self.classes_))

    def _probabilities(self, X: ArrayLike, then: Callable[[Array], Any] = lambda p: p, out: Any = None) -> Any:
        return self._apply(class_probabilities, self._dataset_to_predict(X), then=then, out=out)

    def _label_indices(self, X: NDArray[np.floating], y: ArrayLike) -> NDArray[np.intp]:
        labels = validate_labels(y, X)
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y holds the label {unknown.tolist()[0]!r}, which the model was not fitted on; it knows "
                f"{self.classes_.tolist()}"
            )
        return np.searchsorted(self.classes_, labels)


@dataclass(frozen=True)
class _Trainer:
    """Trains the networks of a fit: a `HeldOutTrainer`."""

    classifier: NoisyLabelClassifier
    labeled: LabeledData
    checkpointer: Checkpointer | None
    budget: TimeBudget

    @property
    def chunk_size(self) -> int | None:
        """As the user asked for it."""
        return self.classifier.chunk_size

    def prepare(self, noise: NoiseEstimate, reporter: FitReporter) -> EstimatorTraining:
        """Prepare the training that is kept."""
        classifier, labeled = self.classifier, self.labeled
        data: Dataset | Split = labeled.dataset
        stop_at = noise.best_iteration if classifier._stops_early() and noise.scores else None
        if stop_at is None and classifier._stops_early() and classifier.early_stopping != "auto":
            data = hold_out(labeled.dataset, classifier.validation_fraction, labeled.seed, by_label=True)
        warm = classifier._is_warm() and not classifier._ends_by_folds()
        problem = self._problem(noise, data, stop_at=stop_at, warm=warm)
        return classifier._prepare_training(problem, reporter, self.checkpointer, budget=self.budget)

    def train_held_out(self, T: Array, alpha: float, split: Split, n_to_come: int, reporter: FitReporter) -> HeldOut:
        """Train a network with a transition matrix and weight decay, without the samples held out.

        It stops early where T is estimated, of which networks that know wrong labels by heart tell nothing. A choice of
        alpha alone is about the network that is kept: it stops early where that one does.
        """
        stops = isinstance(self.classifier.epsilon, str) or self.classifier._stops_early()
        problem = self._problem(NoiseEstimate(T, float(alpha)), split if stops else split.training)
        run = self.classifier._prepare_training(
            problem, reporter, self.checkpointer, polish=False, budget=self.budget, n_to_come=n_to_come
        )
        training = run.train()
        check_finished(training)
        parameters = unscaled_parameters(problem.objective, training.theta)
        in_time = training.stop_reason != "time_budget"
        return HeldOut(split.held_out, self.labeled.network, parameters, run.held_out_scores, in_time)

    def _problem(
        self, noise: NoiseEstimate, data: Dataset | Split, *, stop_at: int | None = None, warm: bool = False
    ) -> TrainingProblem:
        """Build the objective, which is about the probabilities of the given labels."""
        classifier, labeled = self.classifier, self.labeled
        of = TANGENTS_OF[classifier.tangents_of]
        terms: tuple[Term, ...] = (
            NoisyCrossEntropy(noise.transition_matrix),  # type: ignore[arg-type]
            WeightDecay(noise.alpha),
            *tangent_penalties(classifier, labeled.has_tangents, of),
        )
        scale = labeled.columns.scale(float(noise.alpha))
        objective = Objective(labeled.network, terms, input_scale=scale)
        return TrainingProblem(
            objective,
            initial_weights(classifier, labeled.network, scale.scaled_weights) if warm else labeled.new_theta,
            network_targets(data, len(labeled.classes), classifier.dtype),
            _AttributesAt(objective, labeled.classes, noise),
            labeled.network.layer_sizes,
            labeled.tangents,
            stop_at=stop_at,
        )


@dataclass(frozen=True)
class _AttributesAt:
    """Fitted attributes at an iterate."""

    objective: Objective
    classes: NDArray[Any]
    noise: NoiseEstimate

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        T = self.noise.transition_matrix
        return network_attributes(unscaled_parameters(self.objective, theta), progress) | {
            "classes_": self.classes,
            "alpha_": float(self.noise.alpha),
            "transition_matrix_": T,
            "epsilon_": float(np.mean(1 - np.diag(T))),
        }
