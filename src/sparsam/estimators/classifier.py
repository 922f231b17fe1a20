"""Classification with wrong labels in the training data (PRML exercise 5.4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score

from sparsam.engine.data.devices import sum_of_processes
from sparsam.engine.network.network import Network
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.estimators import _validation as validation
from sparsam.estimators._autoencoder_base import AutoencoderBase
from sparsam.estimators._base import NetworkEstimator
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset_fingerprint import fingerprint_of
from sparsam.estimators._data.odd_units import odd_units_warning
from sparsam.estimators._data.splits import Split, folds
from sparsam.estimators._label_trainer import TANGENTS_OF, LabelTrainer
from sparsam.estimators._labels.class_probabilities import class_probabilities
from sparsam.estimators._labels.class_weight import TAKEN_AS_RIGHT, check_class_weight, refuse_noise, weigh_classes
from sparsam.estimators._labels.cross_fitting import cross_fitted_probabilities
from sparsam.estimators._labels.encoding import (
    LabelCheck,
    check_classes,
    encode_labels,
    find_classes,
    refuse_rare_labels,
    take_labeled,
    validate_labels,
)
from sparsam.estimators._labels.labeled_data import LabeledData
from sparsam.estimators._labels.likelihood_profile import LikelihoodProfile
from sparsam.estimators._labels.noise_estimation import N_FOLDS, NoiseEstimate, NoiseEstimation
from sparsam.estimators._labels.noise_model import given_probabilities, wrong_probabilities
from sparsam.estimators._labels.noise_structures import STRUCTURES
from sparsam.estimators._labels.transitions import says_all_right, transition_matrix
from sparsam.estimators._labels.unlabeled import UnlabeledRows, check_unlabeled, inputs_only, labeled_rows
from sparsam.estimators._pretraining import (
    SHARE,
    check_fitted_pretraining,
    check_pretraining,
    draws_rows,
    fit_pretraining,
    fitted_activations,
    hidden_layers,
    learns_inputs,
)
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
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
from sparsam.estimators._training.train_estimator import EstimatorTraining
from sparsam.estimators.checkpoint import Checkpoint

__all__ = ["LikelihoodProfile", "NoisyLabelClassifier"]

Array = NDArray[np.float64]
CONFUSED = "If certain classes are confused with each other, epsilon='estimate_matrix' models that."


class NoisyLabelClassifier(ClassifierMixin, NetworkEstimator):
    """Network that learns the true labels of samples from given labels, some of which are wrong.

    Its outputs y are the probabilities of the TRUE label. The given label t has the probability
    p_t = sum_i y_i T_it, T_ij = P(given j | true i), and the network minimizes minus its mean log-likelihood plus
    weight decay ::

        J = -1/S sum_n s_n ln p_n,t_n  +  alpha/2 sum_l |W_l|^2

    With two classes and the same probability for both, this is PRML exercise 5.4: p = (1 - epsilon) y +
    epsilon (1 - y). The influence of a label that contradicts similar samples is then bounded by 1/epsilon.

    The columns of X are centered and scaled for the minimizer only: with alpha = 0 their units make no difference, and
    otherwise alpha refers to weights in the units of X.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (50,)
        Number of units in each hidden layer. () is logistic regression.
    epsilon : "estimate", "estimate_matrix", float, pair or array (n_classes, n_classes), default "estimate"
        Probability of a wrong label: one probability for all classes (with more than two classes all wrong labels are
        equally probable); for two classes the pair (P(1 | 0), P(0 | 1)) in the order of ``classes_``; or T. 0 is the
        ordinary cross-entropy. "estimate" estimates the one probability, "estimate_matrix" T, from held-out labels: it
        alternates between training networks in four folds and maximizing the likelihood of the held-out labels over the
        noise. This takes two to nine rounds of four trainings for each alpha: one probability most often three, a
        matrix, whose elements settle later, often all nine. If one class is taken for another more often than the
        reverse, use "estimate_matrix": one probability for all can then come out as 0, since the network explains such
        labels as well.
    alpha : float or tuple of floats, default 1e-4
        Weight decay; biases do not decay. From several values the one with the greatest likelihood of held-out noisy
        labels is chosen; its networks stop early if the final one does. If epsilon is estimated, both are chosen
        together.
    classes : array-like of shape (n_classes,) or None, default None
        All possible labels, in order, if some may be missing from y: then the model of a part of the data, or of a
        fold, has outputs and a T for all classes. Estimating epsilon needs samples of each class. None: those in
        y.
    unlabeled : number, str or None, default None
        Value of y that marks a missing label, such as -1, as NaN, None and pandas' NA always do. None: every other
        value is a label. Rows without a label are no part of J, of the classes, nor of the estimates; ``pretraining``
        learns from their inputs.
    class_weight : dict, {"balanced"} or None, default None
        Factors of ``sample_weight`` by given label, as in scikit-learn: for held-out samples, too, but not in the
        pretraining. A class that is not in the dict has 1; "balanced" gives all classes in y the same total weight. It
        needs labels that are right: with any other T, p = y T would not hold for the weighted samples. So a given
        epsilon must be 0, and the training goes to the minimum; instead of an estimate 0 is used, with a warning, and
        folds choose the number of iterations.
    hidden_activation : {"tanh", "logistic", "relu"}, default "tanh"
        Activation function h of the hidden units.
    pretraining : SparseAutoencoder, StackedAutoencoder, FrozenEstimator or None, default None
        Autoencoder whose encoder gives the first hidden layers, at the start of the training; those of
        ``hidden_layer_sizes`` follow. It is cloned and fitted on all rows of X, also those without a label, with the
        settings of the computation (``dtype``, ``mesh``, ...) of this estimator. A fitted one in scikit-learn's
        ``FrozenEstimator`` is used as it is. All layers are then trained. With ``warm_start`` it has no influence.
    tangents : callable X -> array (n_samples, n_tangents, n_features), or None, default None
        Directions at each sample along which the outputs should not change (PRML section 5.5.4, exercise 5.26): for
        images `functools.partial(sparsam.images.image_tangents, image_shape=...)`. It is called with rows of the X
        passed to `fit`, in any number and order, and must compute each sample's tangents from its row only. Pass an
        array of tangents to `fit` instead.
    tangent_weight : float or None, default None
        Weight of 1/S sum_n s_n 1/2 sum_tau |Jac_n tau|^2, where Jac is the Jacobian of the outputs (see
        ``tangents_of``) with respect to the inputs. None is 1e-3 if there are tangents. 0 switches them off.
    normalize_tangents : bool, default True
        Whether to scale the tangents, with one factor for the first tangents of all samples, one for the second, and so
        on, to the root-mean-square length of X's deviation from its mean, so that tangent_weight means the same in any
        unit and at any image size.
    tangents_of : {"log_odds", "probabilities"}, default "log_odds"
        Outputs that should not change along the tangents. PRML uses the probabilities; but these are constant wherever
        the network is certain, however wrong it is nearby, so that a network can avoid the penalty by being certain.
        On 320 digits the penalty removes a tenth of the errors, and on the log-odds more than a quarter.
    early_stopping : bool or "auto", default "auto"
        Whether to stop the training where held-out noisy labels are the most likely. "auto" does so if labels may be
        wrong: trained to the minimum, a network with hidden layers memorizes wrong labels, whatever epsilon is. The
        final network is then trained on all data, up to the iteration that was the best for four folds together: those
        of the estimate or, if epsilon is given, or ``class_weight`` takes the place of its estimate, folds for this
        alone. "auto" trains to the minimum if epsilon = 0 or, where it is given, without hidden layers. True uses the
        folds of the noise or of alpha; without these it holds out a part of the data, which takes one training and not
        five.
        With False the final network is trained to the minimum; the networks that estimate the noise stop early all the
        same.
    validation_fraction : float, default 0.1
        Part of the data to hold out, in (0, 1), stratified by label. A sample with an integer weight counts as that
        many copies, some of which may be held out and others not.
    n_iter_no_change : int, default 20
        Number of iterations without a new best after which early stopping ends the training.
    warm_start : bool, default False
        Whether `fit` starts from the fitted weights, if there are any. It has no influence, and a warning says so, if
        folds choose the number of iterations: this number counts from new weights, so the final network starts from new
        weights, too.
    solver, max_iter, tol, time_budget, chunk_size, dtype, polish, start_on_sample
        As for `SparseAutoencoder`; trainings that held-out rows stop do not begin on a sample.
    random_state, mesh, checkpoint, callback, verbose
        As for `SparseAutoencoder`. ``random_state`` also draws the folds or the held-out part: for an integer, from a
        random stream of their own. If epsilon is estimated, which takes many trainings, ``max_iter`` limits each of
        them, and ``time_budget`` all together.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    alpha_ : float
        The weight decay of the fit.
    epsilon_ : float
        Probability of a wrong label; with a matrix the mean over the true classes.
    transition_matrix_ : array of shape (n_classes, n_classes)
        T, in the order of ``classes_``.
    likelihood_profile_ : LikelihoodProfile or None
        The likelihood of held-out labels as a function of epsilon, with an interval for epsilon; None if the noise was
        not estimated.
    pretraining_ : SparseAutoencoder, StackedAutoencoder or None
        The fitted autoencoder whose encoder the training started from.
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        Weights of each layer, in float64. For two classes there is one output, the probability of ``classes_[1]``.
    validation_scores_ : list of float
        Mean log-likelihood of the held-out labels, in nats per label, at each of ``validation_iterations_``; for folds,
        of all folds together. Empty without early stopping.
    validation_iterations_ : list of int
        Iterations that were scored: the first five, then at most ``n_iter_no_change`` / 4 apart. They
        continue beyond the best iteration.
    loss_, loss_curve_, history_, sample_history_, terms_
        As for `SparseAutoencoder`. With early stopping they end at the best iteration.
    n_iter_, n_evaluations_, gradient_norm_, converged_, stop_reason_
        As for `SparseAutoencoder`. With early stopping they end at the best iteration.

    Notes
    -----
    Identifiability: labels alone determine only y T. An unrestricted network can explain them with any T, so noise is
    separated from truth only by the restrictions on the network: its size, alpha and early stopping. Labels bound
    epsilon only from above: a smaller epsilon, with y bounded away from 0 and 1, explains them as well. If the true
    label is itself uncertain, part of this uncertainty can be taken for noise. The likelihood does not determine the
    names of the true classes either: the rows of T and the network's outputs can be permuted together.
    "estimate_matrix" chooses the permutation with the largest trace of T, which is correct if for every true class the
    right label is more frequent than any one wrong label.

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
        unlabeled: float | str | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        hidden_activation: str = "tanh",
        pretraining: AutoencoderBase | FrozenEstimator | None = None,
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
        start_on_sample: bool = True,
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
        self.unlabeled = unlabeled
        self.class_weight = class_weight
        self.hidden_activation = hidden_activation
        self.pretraining = pretraining
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
        """Minimize J over the weights, after estimating epsilon if that is asked for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, which are read again in every step, as in `SparseAutoencoder.fit`. An object
            that yields chunks must yield tuples (X, y, sample_weight, tangents), where the last ones may be omitted.
            Each of its rows is drawn on its own to be held out or not, whatever its label.
        y : array-like of shape (n_samples,)
            The given labels: numbers or strings. Rows with NaN, None, pandas' NA or ``unlabeled`` have no label.
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
        UserWarning
            If ``warm_start`` or rows without a label have no influence. If ``class_weight`` replaces the estimate of
            epsilon, the estimate is very uncertain, or there are too few labels for folds. If alpha > 0 and columns of
            X are in odd units, with deviations above 1e3 or so small that weight decay suppresses them: standardize
            them.
        ConvergenceWarning
            If the training stopped before converging, or ``time_budget`` ended a training in the folds.
        """
        budget, unused = TimeBudget(self.time_budget), self._unused_warm_start()
        with self._fitting(X, y, sample_weight, in_parts=self._trains_folds()) as reporter:
            labeled = self._labeled_data(X, y, sample_weight, tangents, reporter)
            draws = self._stops_early() or self._trains_folds() or draws_rows(self.pretraining)
            held_out = labeled.seed if draws else None
            with checkpointer_of(self, labeled.with_tangents, held_out=held_out) as checkpointer:
                fit = PartOfFit(reporter, checkpointer, budget, "pretraining", SHARE, labeled.seed)
                labeled = self._pretrained(labeled, fit)
                trainer = LabelTrainer(self, labeled, checkpointer, budget)
                splits = self._splits(labeled) if self._trains_folds() else []
                noise = self._estimate_noise(trainer, splits, reporter)
                with reporter.training() if self._trains_folds() else nullcontext(reporter) as last:
                    run = trainer.prepare(noise, last)
                    training = run.train()
            attributes = self._attributes(run, training, noise)
            del run, trainer  # frees the data on the devices
            warnings = [
                UserWarning(TAKEN_AS_RIGHT) if self._takes_labels_as_right() else None,
                self._unused_rows(labeled.unlabeled),
                self._without_folds(splits),
                self._unclear_noise(noise),
                odd_units_warning(labeled.columns, self._feature_names, float(noise.alpha)),
                budget.warning(self._estimated_in_folds(), ends_by_folds=self._ends_by_folds()),
                unused,
            ]
            return self._finish(training, attributes, reporter, warnings)

    def _labeled_data(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        tangents: ArrayLike | None,
        reporter: FitReporter,
    ) -> LabeledData:
        """Check the data, leave out rows without a label, and replace labels by the numbers of their classes."""
        check = LabelCheck(self.unlabeled)
        all_rows = load_with_targets(self, X, y, sample_weight, tangents, check, reporter.rows_read)
        unlabeled = UnlabeledRows(*sum_of_processes([check.n_unlabeled, all_rows.n_rows], all_rows.mesh).tolist())
        if unlabeled.count:
            reporter.begin(str(unlabeled))
        dataset = all_rows.map(partial(take_labeled, self.unlabeled), keeps_rows=unlabeled.count == 0)
        classes = find_classes(dataset, self.classes_ if self._is_warm() else None, self.classes)
        transitions = self._transitions(len(classes))
        dataset = dataset.map(partial(encode_labels, classes))
        if self.class_weight is not None:
            dataset = weigh_classes(dataset, self.class_weight, classes)
        if not dataset.total_weight > 0:
            raise ValueError("the weight of every row with a label is zero: there is nothing to fit")
        dataset = dataset.merge_repeated()
        dataset, function = prepare_tangents(self, dataset, reporter.display)
        network = self._network(dataset.n_features, len(classes))
        if self._is_warm():
            check_warm_start(self, network)
        # Weights that were trained on the held-out labels would bias the folds, which therefore start from new ones.
        new, seed = draw_weights_and_seed(self.random_state, network, dataset.mesh)
        others = (unlabeled.count or self.class_weight is not None) and learns_inputs(self)
        return LabeledData(
            dataset,
            unlabeled,
            classes,
            transitions,
            network,
            ColumnMoments.of(dataset),
            new,
            seed,
            function,
            all_rows.map(inputs_only) if others else None,
        )

    def _transitions(self, n_classes: int) -> Array | None:
        """Return the transition matrix T that is given or assumed; None if it is to be estimated."""
        if self._estimates_noise():
            return None
        if self._takes_labels_as_right():
            return np.eye(n_classes)
        T = transition_matrix(self.epsilon, n_classes)
        if self.class_weight is not None:
            refuse_noise(T)
        return T

    def _pretrained(self, labeled: LabeledData, fit: PartOfFit) -> LabeledData:
        """Fit the autoencoder whose encoder gives the first layers, if there is one."""
        dataset = labeled.dataset
        if labeled.all_rows is not None:
            dataset = labeled.all_rows
            if fit.checkpointer is not None:  # the fingerprint of the fit is that of the labeled rows
                fit = replace(fit, depends_on={"all rows": fingerprint_of(dataset)})
        return replace(labeled, pretrained=fit_pretraining(self, dataset, fit), all_rows=None)

    def _splits(self, labeled: LabeledData) -> list[Split]:
        """Split the data into folds; the list is empty if there is only a sample or two of each class."""
        if self._estimates_noise():
            least = N_FOLDS if self.epsilon == "estimate_matrix" else 1
            refuse_rare_labels(labeled.dataset, labeled.classes, least, str(self.epsilon))
        return folds(N_FOLDS, labeled.dataset, labeled.seed)

    def _estimate_noise(self, trainer: LabelTrainer, splits: list[Split], reporter: FitReporter) -> NoiseEstimate:
        """Estimate the transition matrix and alpha in the folds, if there are any, unless they are given."""
        labeled, alphas = trainer.labeled, self._alphas()
        T, n_classes = labeled.transitions, len(labeled.classes)
        if not splits:
            return NoiseEstimate(np.eye(n_classes) if T is None else T, float(alphas[0]))
        estimation = NoiseEstimation(trainer, splits, n_classes, alphas, reporter)
        return estimation.estimate_noise(STRUCTURES[str(self.epsilon)]) if T is None else estimation.estimate_alpha(T)

    def _unused_rows(self, unlabeled: UnlabeledRows) -> Warning | None:
        """Make the warning that rows without a label have no influence, if that is the case."""
        return None if learns_inputs(self) else unlabeled.unused_warning(has_pretraining=self.pretraining is not None)

    def _without_folds(self, splits: list[Split]) -> Warning | None:
        """Make the warning that there are too few labels for the folds that the fit needs, if that is the case."""
        if splits or not self._trains_folds():
            return None
        effects = ["epsilon = 0 is used, since the share of wrong labels is unknown"] * self._estimates_noise()
        if len(self._alphas()) > 1:
            effects.append(f"alpha = {self._alphas()[0]:g}, the first value, is used")
        if self.early_stopping == "auto" and self._stops_early():
            effects.append("the training does not stop early")
        cure = "Set epsilon to a number, or fit more rows." if self._estimates_noise() else "Fit more rows."
        return UserWarning(f"There are too few labels for folds: {', and '.join(effects)}. {cure}")

    def _unclear_noise(self, noise: NoiseEstimate) -> Warning | None:
        """Make the warning that the estimate of epsilon is uncertain, if it is."""
        if noise.profile is None or noise.profile.warning is None:
            return None
        matrix = "" if noise.profile.settled or self.epsilon == "estimate_matrix" else f" {CONFUSED}"
        return UserWarning(noise.profile.warning + matrix)

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
            Array to write the result into, a batch at a time: anything that supports assignment to slices of rows, such
            as a memory-mapped file, an HDF5 or a Zarr dataset.

        Returns
        -------
        array of shape (n_samples,); or ``out``
        """
        return self._probabilities(X, lambda probabilities: self.classes_[np.argmax(probabilities, axis=1)], out)

    def predict_proba(self, X: ArrayLike, out: Any = None) -> Array:
        """Compute the probability y of each TRUE label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_classes), optional
            Array to write the result into, as in `predict`.

        Returns
        -------
        array of shape (n_samples, n_classes); or ``out``
            In the order of ``classes_``.
        """
        return self._probabilities(X, out=out)

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Compute the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_noisy_proba(self, X: ArrayLike) -> Array:
        """Compute the probability of each GIVEN label, p = y T.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
        """
        return given_probabilities(self.predict_proba(X), self.transition_matrix_)

    def label_error_proba(self, X: ArrayLike, y: ArrayLike, cv: Any = None) -> Array:
        """Compute the posterior probability that a given label t is wrong, 1 - T_tt y_t / p_t.

        With ``cv`` each row is judged by a network that was trained on other rows, with the transition matrix T of this
        fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The given labels.
        cv : int, splitter, iterable or None, default None
            Number of folds, stratified and shuffled, or what scikit-learn takes in its place. None: by this network.
            The rows are then usually those of the fit; each fold costs a training, without the weights and tangents
            that were given to `fit`. Rows without a label are in no fold; if there is a pretraining, it learns from all
            of them in each.

        Returns
        -------
        array of shape (n_samples,)
            NaN for a row without a label.

        Notes
        -----
        A network that was trained on a label has partly learned it, also if it is wrong; one that was trained on fewer
        rows is less sure of all. Neither is always better (``benchmarks/LIKELIHOODS.md`` in the repository). If
        held-out labels end the training, as where epsilon is estimated, this network's suspects are wrong more often:
        of as many as it expects, 94 to 99 % in four data sets with a fifth of the labels flipped at random, where the
        folds have 80 to 92 %. The folds miss fewer of the wrong labels. The areas under the ROC curve are 0.98 to 0.99
        and 0.96 to 1.00, greater with folds on two sets of digits and less on the other tables. A network trained to
        the minimum (``early_stopping=False``) has memorized most wrong labels, and finds fewer than half of them: use
        ``cv=5`` for it (on digits, 0.96 and 0.99).
        """
        probabilities = self.predict_proba(X)
        numbers = self._class_numbers(probabilities, y)
        if cv is not None:
            probabilities = cross_fitted_probabilities(self, X, numbers, cv, add_unlabeled=learns_inputs(self))
        rows = np.flatnonzero(numbers >= 0)
        found = np.full(len(numbers), np.nan)
        found[rows] = wrong_probabilities(probabilities[rows], self.transition_matrix_, numbers[rows])
        return found

    def find_label_errors(self, X: ArrayLike, y: ArrayLike, threshold: float = 0.5, cv: Any = None) -> NDArray[np.intp]:
        """Find the rows whose label is wrong with more than a threshold probability, the most probable first.

        Rows without a label are never among them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The given labels.
        threshold : float, default 0.5
            In [0, 1]. 0 ranks all rows; if epsilon is 0, it ranks them by the probability of the given label.
        cv : int, splitter, iterable or None, default None
            As in `label_error_proba`: judge each row by a network that was trained on other rows.

        Returns
        -------
        array of int
            Row numbers.
        """
        validation.check_number("threshold", threshold, low=0, high=1)
        wrong = self.label_error_proba(X, y, cv)
        order = np.argsort(-wrong, kind="stable")
        return order[wrong[order] > threshold]

    def mean_log_likelihood(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the mean log-likelihood of the given labels, ln p_t: nats per sample, greater is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The given labels; rows without one are left out.
        sample_weight : array-like of shape (n_samples,), optional
            Without the factors of ``class_weight``.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no row has a label, or a label is not one of ``classes_``.
        """
        p = self.predict_noisy_proba(X)
        weights = validation.check_sample_weight(sample_weight, p)
        numbers = self._class_numbers(p, y)
        rows = labeled_rows(numbers >= 0)
        with np.errstate(divide="ignore"):
            log_p = np.log(p[rows, numbers[rows]])
        return float(np.average(log_p, weights=None if weights is None else weights[rows]))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the accuracy on the given labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The given labels; rows without one are left out.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no row has a label.
        """
        predicted = self.predict(X)
        weights = validation.check_sample_weight(sample_weight, predicted)
        given, has_label = validate_labels(y, predicted, self.unlabeled)
        rows = labeled_rows(has_label)
        return float(accuracy_score(given, predicted[rows], sample_weight=None if weights is None else weights[rows]))

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        alphas = self._alphas()
        if len(alphas) == 0:
            raise ValueError("alpha must be a number, or a tuple of numbers to choose from; got an empty tuple")
        for alpha in alphas:
            validation.check_weight("alpha", alpha)
        validation.check_supervised_hyperparameters(self)
        check_pretraining(self.pretraining)
        check_tangent_hyperparameters(self)
        if self.classes is not None:
            check_classes(self.classes)
        check_unlabeled(self.unlabeled, self.classes)
        check_class_weight(self.class_weight)
        validation.check_choice("tangents_of", self.tangents_of, TANGENTS_OF)
        if isinstance(self.epsilon, str):
            validation.check_choice("epsilon", self.epsilon, ("estimate", "estimate_matrix"))

    def _check_attributes(self) -> None:
        n_classes = len(self.classes_)
        if n_classes < 2 or not np.array_equal(np.unique(self.classes_), self.classes_):
            raise ValueError("its classes are not in order")
        check_fitted_pretraining(self)
        if self._fitted_network().shapes[0][0] != self.n_features_in_:
            raise ValueError("its arrays do not fit together")
        self._check_weights(self.transition_matrix_)
        if self.transition_matrix_.shape != (n_classes, n_classes):
            raise ValueError("its transition matrix does not fit")
        transition_matrix(self.transition_matrix_, n_classes)

    def _estimates_noise(self) -> bool:
        """Whether the noise is estimated: weights of the classes take the labels as right."""
        return isinstance(self.epsilon, str) and self.class_weight is None

    def _takes_labels_as_right(self) -> bool:
        """Whether epsilon = 0 replaces the estimate, because the classes are weighted."""
        return isinstance(self.epsilon, str) and self.class_weight is not None

    def _trains_folds(self) -> bool:
        """Whether trainings in folds, for the noise, alpha or the number of iterations, precede the final training."""
        return self._estimates() or (self.early_stopping == "auto" and self._stops_early())

    def _estimates(self) -> bool:
        """Whether the noise is estimated, or alpha chosen."""
        return self._estimates_noise() or len(self._alphas()) > 1

    def _estimated_in_folds(self) -> list[str]:
        """Name the attributes that trainings in folds estimate."""
        return ["epsilon_"] * self._estimates_noise() + ["alpha_"] * (len(self._alphas()) > 1)

    def _stops_early(self) -> bool:
        """Whether held-out labels choose the number of iterations."""
        if self.early_stopping != "auto":
            return bool(self.early_stopping)
        if isinstance(self.epsilon, str):
            return True
        has_hidden_layers = bool(np.size(self.hidden_layer_sizes)) or self.pretraining is not None
        return has_hidden_layers and not says_all_right(self.epsilon)

    def _ends_by_folds(self) -> bool:
        """Whether trainings in folds choose the number of iterations."""
        return self._stops_early() and self._trains_folds()

    def _alphas(self) -> tuple[float, ...]:
        return tuple(self.alpha) if isinstance(self.alpha, tuple | list) else (self.alpha,)

    def _network(self, n_features: int, n_classes: int) -> Network:
        n_outputs, output = (1, "logistic") if n_classes == 2 else (n_classes, "softmax")
        hidden_sizes, activations = hidden_layers(self)
        return Network((n_features, *hidden_sizes, n_outputs), activations, output)

    def _fitted_network(self) -> Network:
        sizes = (self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_))
        return Network(sizes, fitted_activations(self), "logistic" if len(self.classes_) == 2 else "softmax")

    def _probabilities(self, X: ArrayLike, then: Callable[[Array], Any] = lambda p: p, out: Any = None) -> Any:
        return self._apply(class_probabilities, self._dataset_to_predict(X), then=then, out=out)

    def _class_numbers(self, X: NDArray[Any], y: ArrayLike) -> NDArray[np.intp]:
        """Return the number of the class of each row's label; -1 for a row without a label."""
        given, has_label = validate_labels(y, X, self.unlabeled)
        unknown = np.setdiff1d(given, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y contains the label {unknown.tolist()[0]!r}, but the model was fitted on the labels "
                f"{self.classes_.tolist()}"
            )
        numbers = np.full(len(has_label), -1)
        numbers[has_label] = np.searchsorted(self.classes_, given)
        return numbers
