"""The sparse autoencoder of the CS294A notes as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from numbers import Integral
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sparsam.engine.data.devices import all_gather
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import CrossEntropy, ErrorFunction, SquaredError
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import KLSparsity, L1Sparsity, WeightDecay
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.estimators import _validation as validation
from sparsam.estimators._autoencoder_base import AutoencoderBase
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.corruption import corrupt
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split, hold_out
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
from sparsam.estimators._training.centered_inputs import centered_weights
from sparsam.estimators._training.initial_weights import initial_weights
from sparsam.estimators._training.part_of_fit import PartOfFit
from sparsam.estimators._training.supervised import seed_to_hold_out
from sparsam.estimators._training.train_estimator import TrainingProblem
from sparsam.estimators._validation import LARGEST_WEIGHT
from sparsam.estimators.checkpoint import Checkpoint
from sparsam.inspection.fit_statistics import FitStatistics
from sparsam.inspection.weak_fit import WeakFit, diagnose_fit

__all__ = ["SparseAutoencoder"]

HIDDEN_ACTIVATIONS = ("logistic", "tanh", "relu", "satlin")
OUTPUT_ACTIVATIONS = ("logistic", "identity", "satlin")
DEFAULT_BETA = {"kl": 3.0, "l1": 0.05}
"""Weight of each sparsity penalty; that of "kl" is the notes'."""
ERRORS: dict[str, ErrorFunction] = {"squared": SquaredError(), "cross-entropy": CrossEntropy()}


class SparseAutoencoder(AutoencoderBase):
    """Sparse autoencoder: a network that reconstructs its input through hidden units that are seldom active.

    It minimizes ::

        J = 1/S sum_n s_n 1/2 |y_n - x_n|^2  +  alpha/2 (|W_1|^2 + |W_2|^2)  +  beta sum_j KL(rho || rho_hat_j)

    over the weights, with z_n = h(x_n W_1 + b_1), y_n = h_out(z_n W_2 + b_2), sample weights s_n, S = sum_n s_n, and
    rho_hat_j = 1/S sum_n s_n z_nj the mean activation of hidden unit j over all samples (of (z + 1)/2 for tanh units).
    With ``sparsity="l1"``, for units that each stand for a direction of the inputs, the last term is ::

        beta sum_j rho_hat_j |w_2j|,        w_2j row j of W_2

    the mean total length of what the units add to a reconstruction. J is then that of x_n in units of the
    root-mean-square length of the rows about their mean, so that nothing depends on the units of X.

    Every step uses all of the data: the solver goes to the minimum itself, where the gradient vanishes, and has no
    learning rate.

    Parameters
    ----------
    n_components : int, default 25
        Number of hidden units. The notes use 25 for patches of 64 pixels.
    sparsity : {"kl", "l1"}, default "kl"
        Sparsity penalty. "kl", the notes', sets how often a unit is active. "l1" penalizes all activity: most
        units are exactly 0 on a row, and there may be many more units than inputs. It needs
        ``hidden_activation="relu"`` and ``output_activation="identity"``.
    rho : float, default 0.01
        Target mean activation of a hidden unit, in (0, 1). Without influence on "l1".
    beta : float or None, default None
        Weight of the sparsity penalty; 0 switches it off. None is 3, as in the notes, for "kl", and 0.05 for "l1".
    alpha : float, default 1e-4
        Weight decay; biases do not decay. With "l1" sparsity it keeps W_1 and W_2 equally large, and little more.
    hidden_activation : {"logistic", "tanh", "relu", "satlin"}, default "logistic"
        Activation function h of the hidden units. "satlin" is MATLAB's, a clipped to [0, 1]. ReLU units are unbounded,
        so that their mean activation cannot be compared with rho, and satlin units may be 0 on all rows: both need
        ``beta=0``, or, ReLU units, ``sparsity="l1"``.
    output_activation : {"logistic", "identity", "satlin"}, default "logistic"
        Activation function h_out of the outputs. "logistic", as in the notes, needs data in [0, 1], as does "satlin",
        a clipped to [0, 1], whose slope vanishes where an output is 0 or 1; "identity", a
        linear decoder, takes any data, with any origin: the minimizer gets centered data, which does not change J.
    tied : bool, default False
        Whether the decoder has the encoder's weights, transposed: W_2 = W_1'. They decay once. Such filters are
        templates: each unit adds to the reconstruction the pattern that it responds to.
    error : {"squared", "cross-entropy"}, default "squared"
        Error function E_n: 1/2 |y_n - x_n|^2, or for data in [0, 1], such as shares or intensities of pixels, with
        logistic outputs, -sum_k [x_nk ln y_nk + (1 - x_nk) ln(1 - y_nk)].
    corruption : float, default 0.0
        Share of the inputs to mask, in [0, 1): a denoising autoencoder. J is then that of four copies of each row, in
        each of which this share of the inputs is 0 (with linear outputs the mean of its column), and which the
        network reconstructs without the gaps. The copies are drawn once, by ``random_state``.
    early_stopping : bool, default False
        Whether to hold out a part of the rows, and to stop where the error on them is least. It is for tables with few
        rows; features of many rows are better at the minimum.
    validation_fraction : float, default 0.1
        Part of the rows to hold out, in (0, 1). A row with an integer weight counts as that many copies.
    n_iter_no_change : int, default 20
        Number of iterations without a new least error after which early stopping ends the training.
    solver : {"kronecker-lbfgs", "lbfgs"}, default "kronecker-lbfgs"
        L-BFGS preconditioned by Kronecker factors of the curvature, or plain L-BFGS. The former needs a fraction of the
        evaluations; the latter starts from a multiple of the identity, as in textbooks.
    max_iter : int, default 1000
        Maximum number of iterations.
    tol : float, default 1e-5
        Tolerance of the gradient: the training has converged when no component is larger. Regressors and classifiers
        measure the gradient for centered and scaled inputs. An autoencoder that explains under 1 % of the variance of
        its inputs at tol continues to tol / 100: it may be on a plateau, where J at first hardly decreases. With "l1"
        sparsity it is the gradient of J with its kinks rounded, see `gradient_norm_`.
    time_budget : float or None, default None
        Seconds after which to stop, converged or not. The time starts at the first evaluation of J: reading the data
        and compiling, a second or more in the first fit of a process, do not count. A resumed fit has the full time
        again.
    chunk_size : int or None, default None
        Number of rows to process at once. None chooses a size for which a chunk stays in the processor's cache. It
        does not influence the result beyond rounding, unless the fit begins on a sample, which is a number of chunks.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the training and of the fitted weights. float32 converges to the default tol at half the cost.
    polish : bool, default False
        Whether to continue in float64 after a float32 training, until no component of the gradient exceeds 1e-8. The
        fitted weights are then float64. max_iter and time_budget limit both together.
    start_on_sample : bool, default True
        Whether to begin on a random sample of the rows, which grows until it is all of them. It makes a training on a
        million rows up to three times as fast, and ends at a minimum on all rows in any case. It applies only to about
        ten thousand rows or more, and to trainings from new weights that no held-out rows stop. n_iter_,
        max_iter and callbacks count iterations on all rows; on a sample there are at most 50, then it doubles. With
        "l1" sparsity, and at least 4096 rows, a training begins with steps on batches of 256 rows (Adam's) instead.
    warm_start : bool, default False
        Whether `fit` starts from the fitted weights, if there are any.
    random_state : int, RandomState instance or None, default None
        Seed of the initial weights. They are drawn from U(-r, r) with r = sqrt(6 / (n_in + n_out + 1)); with
        ``sparsity="l1"``, the rows of W_2 are random directions of length 0.3, and W_1 is the transpose.
    mesh : jax.sharding.Mesh or None, default None
        Devices to train on; the samples are divided among them. None uses all devices of this process.
        `sparsam.engine.all_devices()` uses those of all processes of a distributed run, where each process passes its
        own rows.
    checkpoint : path, Checkpoint or None, default None
        Folder in which to save checkpoints of the training; or a `sparsam.Checkpoint`, which also sets how often to
        save, and whether to resume from the folder: a fit that was killed, or one that ended before it converged and
        now has a larger max_iter, a smaller tol or more time. The result has the same bits as one long fit.
    callback : callable or None, default None
        Called about ten times a second with a `sparsam.engine.Progress`; returning True stops the training. Not called
        while the training is on a sample.
        scikit-learn's callbacks are set by ``set_callbacks`` (from scikit-learn 1.9 on). A callback whose hook has the
        argument ``fitted_estimator`` is called after each iteration; others about ten times a second, for all
        iterations since the last call.
    verbose : int, default 0
        1 prints progress at once and then every second, also for the steps before the training, and why the
        training stopped. In a notebook it draws a bar.

    Attributes
    ----------
    components_ : array of shape (n_components, n_features)
        The learned filters: W_1 transposed.
    coefs_ : list of two arrays, (n_features, n_components) and (n_components, n_features)
        W_1, W_2.
    intercepts_ : list of two arrays, (n_components,) and (n_features,)
        b_1, b_2; with linear outputs they are float64, since they contain the mean of X.
    mean_activation_ : array of shape (n_components,)
        rho_hat on the training data; with ``early_stopping``, on those that were not held out.
    beta_ : float
        Weight of the sparsity penalty: beta, or its default.
    explained_variance_ratio_ : float
        Share of the variance of these data that their reconstructions explain (R^2), at the end of the training:
        1 - sum_n s_n |y_n - x_n|^2 / sum_n s_n |x_n - mean x|^2. It is 0 for the best constant, and NaN for constant
        data.
    loss_ : float
        J at the end, as the training computed it; with ``corruption``, of the corrupted copies, where the others of
        these results are of the rows as they are.
    n_iter_, n_evaluations_ : int
        Numbers of iterations, and of evaluations of J and its gradient, on all rows.
    gradient_norm_ : float
        Max-norm of the gradient at the end: its largest component in absolute value. With "l1" sparsity J has a kink
        wherever a pre-activation a is 0, where its gradient jumps. It is then the gradient of J with h(a) rounded to a
        parabola for |a| < 0.007 s, s the root-mean-square deviation of X: a mean of gradients of J on either side of
        the kinks that are as near. If it vanishes, no direction leads down, but for that width.
    converged_ : bool
        Whether gradient_norm_ <= tol, or, if the training continued to tol / 100 (see ``tol``), whether it reached
        that.
    stop_reason_ : str
        "converged", "precision", "max_iter", "time_budget", "held_out" (by early stopping), "callback", "interrupted"
        or, after a FloatingPointError, "not_finite"; see `sparsam.engine.STOP_REASONS`. "imported" if another program
        trained the weights (`sparsam.from_sae_folder`): what only the training could measure is then NaN.
    loss_curve_ : list of float
        J at the first weights that were evaluated on all rows, and after each iteration.
    history_ : pandas.DataFrame
        A row for each entry of loss_curve_: iteration, evaluations, seconds since the fit began, J, each term of J,
        gradient_norm.
    sample_history_ : pandas.DataFrame
        The same for the iterations on a sample (see ``start_on_sample``), which precede those of history_, with its
        share of the rows. ``evaluations`` is in units of all rows. Empty if the fit began on all rows.
    terms_ : dict of str to float
        The terms of J at the fitted weights.
    validation_scores_ : list of float
        Minus the mean of E_n on the held-out rows, at each of ``validation_iterations_``. Empty without early stopping.
    validation_iterations_ : list of int
        Iterations that were scored: the first five, then at most ``n_iter_no_change`` / 4 apart. They
        continue beyond the best iteration, at which the other results end.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    References
    ----------
    A. Ng, *CS294A Lecture notes: Sparse autoencoder*, Stanford, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam import SparseAutoencoder
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, (200, 1)) @ np.ones((1, 6))  # rank one
    >>> model = SparseAutoencoder(n_components=2, beta=0.0, random_state=0).fit(X)
    >>> model.stop_reason_
    'converged'
    >>> model.transform(X).shape, model.components_.shape
    ((200, 2), (2, 6))
    >>> bool(model.score(X) > -0.02)
    True
    """

    def __init__(
        self,
        n_components: int = 25,
        *,
        sparsity: str = "kl",
        rho: float = 0.01,
        beta: float | None = None,
        alpha: float = 1e-4,
        hidden_activation: str = "logistic",
        output_activation: str = "logistic",
        tied: bool = False,
        error: str = "squared",
        corruption: float = 0.0,
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
        start_on_sample: bool = True,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        mesh: Mesh | None = None,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        callback: Callable[[Progress], bool | None] | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.sparsity = sparsity
        self.rho = rho
        self.beta = beta
        self.alpha = alpha
        self.hidden_activation = hidden_activation
        self.output_activation = output_activation
        self.tied = tied
        self.error = error
        self.corruption = corruption
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
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Minimize J over the weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            In [0, 1] for logistic outputs. Or rows that are not in memory: a memory-mapped array (``np.load(file,
            mmap_mode="r")``), an h5py, Zarr or Dask array, or an object whose ``__iter__`` yields chunks of rows (or
            tuples of rows and weights), the same ones on every iteration. They are read again in every step, a batch
            at a time, and repeated rows are not merged; stored arrays below 64 MiB are read once and kept in memory.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            s_n, not negative; an integer weight gives exactly the same bits as that many copies of the row.

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
            If J overflows; the estimator then has the last finite weights. If J is not finite even at the initial
            weights, the estimator is not changed.

        Warns
        -----
        ConvergenceWarning
            If the training stopped before converging. Or if it converged, but explains under 1 % of the variance of its
            inputs: alpha and beta outweigh the error at this scale of the data, and the warning states by how much to
            lower them, or to stretch the data. Or if more than half of the hidden units are dead, saturated or constant
            (see `unit_statistics`): the warning says whether to lower alpha, to raise it, or to use fewer units.
        UserWarning
            With linear outputs, if a few columns of X have nearly all of its variance, or a training that did not
            converge has X in large units, with a standard deviation above 10: then standardize X.
        UserWarning
            If Ctrl-C interrupted the training; the estimator then has the weights reached so far. As with
            scikit-learn's MLP, no KeyboardInterrupt is raised: in a loop over fits, check ``stop_reason_``. A second
            Ctrl-C within five seconds raises it, and ends the loop or the search.
        """
        return self._fit(X, y, sample_weight)

    def _fit_dataset(
        self, dataset: Dataset, columns: ColumnMoments | None, fit: PartOfFit
    ) -> tuple[Training, dict[str, Any], Warning | None]:
        problem = self._problem(dataset, columns, fit.depends_on)
        if not self._draws_rows():
            return self._train(problem, fit)
        seed = seed_to_hold_out(self.random_state, check_random_state(self.random_state))
        seed = int(all_gather(seed, dataset.mesh)[0])
        clean = parts = self._parts(dataset.merge_repeated(), seed)
        if self.corruption > 0:
            parts = tuple(corrupt(part, float(self.corruption), problem.input_scale, seed) for part in clean)
        problem = replace(problem, data=Split(*parts) if self.early_stopping else parts[0])
        return self._train(problem, fit, rows=clean[0] if self.corruption > 0 else None)

    def _parts(self, dataset: Dataset, seed: int) -> tuple[Dataset, ...]:
        """Hold out a part of the rows with early stopping; return the training part first."""
        return tuple(hold_out(dataset, self.validation_fraction, seed)) if self.early_stopping else (dataset,)

    def _draws_rows(self) -> bool:
        return bool(self.early_stopping) or self.corruption > 0

    def _problem(
        self, dataset: Dataset, columns: ColumnMoments | None, depends_on: Mapping[str, Any] = MappingProxyType({})
    ) -> TrainingProblem:
        """Build the objective, and choose the initial weights."""
        origin = None if columns is None else columns.origin
        unit = 1.0 if columns is None else self._unit_of_length(columns.variance)
        network = replace(self._network(dataset.n_features, int(self.n_components)), tied=bool(self.tied))
        draw = Network.initialize_dictionary if self.sparsity == "l1" else Network.initialize
        theta = initial_weights(self, network, partial(centered_weights, origin, unit=unit), draw)
        return self._problem_of(
            dataset,
            self._objective_in(1.0, network),
            theta,
            origin,
            unit,
            {"beta_": self._beta, "_unit": unit},
            new_weights=not self._is_warm(),
            has_kinks=self.sparsity == "l1",
            depends_on=depends_on,
        )

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        validation.check_hyperparameters(self)
        validation.check_weight("alpha", self.alpha)
        validation.check_number("n_components", self.n_components, Integral, low=1)
        # A rho closer to 0 or 1 would be rounded to it in the engine's type.
        resolution = float(np.finfo(self.dtype).eps)
        inside = f"in (0, 1), and at least {resolution:.2g} from 0 and 1, which is the precision of {self.dtype}"
        validation.check_number("rho", self.rho, low=resolution, high=1 - resolution, interval=inside)
        validation.check_choice("sparsity", self.sparsity, tuple(DEFAULT_BETA))
        if self.beta is not None:
            validation.check_number("beta", self.beta, low=0, high=LARGEST_WEIGHT)
        validation.check_choice("hidden_activation", self.hidden_activation, HIDDEN_ACTIVATIONS)
        validation.check_choice("output_activation", self.output_activation, OUTPUT_ACTIVATIONS)
        validation.check_flag("tied", self.tied)
        validation.check_choice("error", self.error, tuple(ERRORS))
        validation.check_number("corruption", self.corruption, low=0, high=1 - 1e-9, interval="in [0, 1)")
        validation.check_early_stopping(self)
        if self.error == "cross-entropy" and self.output_activation != "logistic":
            raise ValueError(
                "error='cross-entropy' needs outputs that are probabilities: use output_activation='logistic', or "
                "error='squared'"
            )
        if self.sparsity == "l1":
            self._check_l1()
        elif self.beta != 0 and get_activation(self.hidden_activation).probabilities is None:
            reason = "may be 0 on all rows" if self.hidden_activation == "satlin" else "are unbounded"
            other = "" if self.hidden_activation == "satlin" else ", or sparsity='l1'"
            raise ValueError(
                f"beta = {self._beta:g} turns on the sparsity penalty, which compares "
                f"mean activations with rho in (0, 1), but {self.hidden_activation} units {reason}: use "
                f"hidden_activation='logistic' or 'tanh', or beta=0{other}"
            )

    def _check_l1(self) -> None:
        if self.hidden_activation != "relu":
            raise ValueError(
                "sparsity='l1' penalizes the size of activations, so that most are exactly 0, which "
                f"{self.hidden_activation} units cannot be over a range of inputs; satlin units, which can, are 1 at "
                "most: use hidden_activation='relu'"
            )
        if self.output_activation != "identity":
            raise ValueError(
                "sparsity='l1' penalizes the length of what each unit adds to a reconstruction, and with "
                f"{self.output_activation} outputs a reconstruction is not a sum: use output_activation='identity'"
            )

    @property
    def _beta(self) -> float:
        """The hyperparameter beta, or its default."""
        return DEFAULT_BETA[self.sparsity] if self.beta is None else float(self.beta)

    def _unit_of_length(self, variance: float) -> float:
        """Return the length in whose units the training has inputs of this total variance."""
        return float(np.sqrt(variance)) if self.sparsity == "l1" and variance > 0 else 1.0

    def _encoder_layers(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        return (int(self.n_components),), (self.hidden_activation,)

    def _error_function(self) -> ErrorFunction:
        return ERRORS[self.error]

    @property
    def _output(self) -> str:
        return self.output_activation

    @property
    def _rho_of_code(self) -> float | None:
        return float(self.rho) if self.beta != 0 and self.sparsity == "kl" else None

    def _diagnose(self, statistics: FitStatistics) -> WeakFit | None:
        return diagnose_fit(self, statistics, self._beta)

    def _objective(self, network: Network) -> Objective:
        return self._objective_in(self._unit, network)

    def _objective_in(self, length: float, network: Network) -> Objective:
        """Build the objective for inputs in units of which a training's are ``length``."""
        beta, decay = self._beta * length, float(self.alpha) * length**2
        alpha = (decay, 0.0) if self.tied else decay
        terms: list[Term] = [self._error_function(), WeightDecay(alpha)]
        if beta > 0:  # otherwise its pass over the data would be wasted
            terms.append(L1Sparsity(beta) if self.sparsity == "l1" else KLSparsity(float(self.rho), beta))
        return Objective(network, tuple(terms))

    def _network(self, n_features: int, n_components: int) -> Network:
        return Network((n_features, n_components, n_features), self.hidden_activation, self.output_activation)

    def _fitted_network(self) -> Network:
        return self._network(*self.coefs_[0].shape)
