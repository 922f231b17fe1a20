"""The sparse autoencoder of the CS294A notes as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.batch import Batch
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import Network, Parameters, affine
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.engine.training.state import Progress
from sparsam.engine.training.streaming import summed
from sparsam.engine.training.train import Training, precision
from sparsam.estimators import _validation as validation
from sparsam.estimators._base import NetworkEstimator
from sparsam.estimators._data.apply_network import Compiled, network_outputs
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import BATCH_BYTES, Dataset, InMemoryDataset, streamed_samples
from sparsam.estimators._data.odd_units import few_columns_warning
from sparsam.estimators._data.streamed import load_dataset
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
from sparsam.estimators._training.device_data import DeviceData
from sparsam.estimators._training.fit_checkpoints import checkpointer_of
from sparsam.estimators._training.fitted_attributes import initial_weights, network_attributes, unravel
from sparsam.estimators._training.reconstruction import InputVariance, unit_activity
from sparsam.estimators._training.train_estimator import TrainingProblem
from sparsam.estimators._validation import LARGEST_WEIGHT
from sparsam.estimators.checkpoint import Checkpoint
from sparsam.inspection.weak_fit import diagnose_fit, explained_variance

__all__ = ["SparseAutoencoder"]

Array = NDArray[np.floating]


class SparseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator):
    """Sparse autoencoder: a network that reconstructs its input through hidden units that are seldom active.

    It minimizes ::

        J = 1/S sum_n s_n 1/2 |y_n - x_n|^2  +  alpha/2 (|W_1|^2 + |W_2|^2)  +  beta sum_j KL(rho || rho_hat_j)

    over the weights, with z_n = h(x_n W_1 + b_1), y_n = h_out(z_n W_2 + b_2), sample weights s_n, S = sum_n s_n, and
    rho_hat_j = 1/S sum_n s_n z_nj the mean activation of hidden unit j over all samples (of (z + 1)/2 for tanh units).
    Every step uses all of the data: the solver goes to the minimum itself, where the gradient vanishes, and has no
    learning rate.

    Parameters
    ----------
    n_components : int, default 25
        Number of hidden units. The notes use 25 for patches of 64 pixels.
    rho : float, default 0.01
        Target mean activation of a hidden unit, in (0, 1).
    beta : float, default 3.0
        Weight of the sparsity penalty; 0 switches it off.
    alpha : float, default 1e-4
        Weight decay; biases do not decay.
    hidden_activation : {"logistic", "tanh", "relu"}, default "logistic"
        Activation function h of the hidden units. ReLU units are unbounded, so that their mean activation cannot be
        compared with rho: they need ``beta=0``.
    output_activation : {"logistic", "identity"}, default "logistic"
        Activation function h_out of the outputs. "logistic", as in the notes, needs data in [0, 1]; "identity", a
        linear decoder, takes any data, with any origin: the minimizer gets centered data, which does not change J.
    solver : {"kronecker-lbfgs", "lbfgs"}, default "kronecker-lbfgs"
        L-BFGS preconditioned by Kronecker factors of the curvature, or plain L-BFGS. The former needs a fraction of the
        evaluations; the latter starts from a multiple of the identity, as in textbooks.
    max_iter : int, default 1000
        Maximum number of iterations.
    tol : float, default 1e-5
        Tolerance of the gradient: the training has converged when no component is larger. Regressors and classifiers
        measure the gradient for centered and scaled inputs. An autoencoder that explains under 1 % of the variance of
        its inputs at tol continues to tol / 100: it may be on a plateau, where J at first hardly decreases.
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
        million rows up to three times as fast, and ends at a minimum on all rows in any case. Only data of at least
        some ten thousand rows use it, and only trainings from new weights that no held-out rows stop. n_iter_,
        max_iter and callbacks count iterations on all rows; on a sample there are at most 50, then it doubles.
    warm_start : bool, default False
        Whether `fit` starts from the fitted weights, if there are any.
    random_state : int, RandomState instance or None, default None
        Seed of the initial weights. They are drawn from U(-r, r) with r = sqrt(6 / (n_in + n_out + 1)).
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
        rho_hat on the training data.
    explained_variance_ratio_ : float
        Share of the variance of the training data that their reconstructions explain (R^2), at the end of the training:
        1 - sum_n s_n |y_n - x_n|^2 / sum_n s_n |x_n - mean x|^2. It is 0 for the best constant, and NaN for constant
        data.
    loss_ : float
        J at the end, as the training computed it.
    n_iter_, n_evaluations_ : int
        Numbers of iterations, and of evaluations of J and its gradient, on all rows.
    gradient_norm_ : float
        Max-norm of the gradient at the end: its largest component in absolute value.
    converged_ : bool
        Whether gradient_norm_ <= tol, or, if the training continued to tol / 100 (see ``tol``), whether it reached
        that.
    stop_reason_ : str
        "converged", "precision", "max_iter", "time_budget", "callback", "interrupted" or, after a FloatingPointError,
        "not_finite"; see `sparsam.engine.STOP_REASONS`.
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

    _input_mean: NDArray[np.float64] | None = None  # of X, for linear outputs; None in models of version 0.1.0

    def __init__(
        self,
        n_components: int = 25,
        *,
        rho: float = 0.01,
        beta: float = 3.0,
        alpha: float = 1e-4,
        hidden_activation: str = "logistic",
        output_activation: str = "logistic",
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
        self.rho = rho
        self.beta = beta
        self.alpha = alpha
        self.hidden_activation = hidden_activation
        self.output_activation = output_activation
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
            (see `unit_statistics`).
        UserWarning
            With linear outputs, if a few columns of X have nearly all of its variance: then standardize X.
        UserWarning
            If Ctrl-C interrupted the training; the estimator then has the weights reached so far. As with
            scikit-learn's MLP, no KeyboardInterrupt is raised: in a loop over fits, check ``stop_reason_``. A second
            Ctrl-C within five seconds raises it, and ends the loop or the search.
        """
        with self._fitting(X, y, sample_weight) as reporter:
            problem, columns = self._problem(X, sample_weight, reporter.rows_read)
            assert isinstance(problem.data, Dataset)
            with checkpointer_of(self, problem.data) as checkpointer:
                run = self._prepare_training(problem, reporter, checkpointer)
                training = run.train()
                assert run.inputs is not None
                attributes, warning = self._results(problem, training, run.data, run.inputs)
                del run  # frees the data on the devices
            few = None if columns is None else few_columns_warning(columns, self._feature_names)
            return self._finish(training, attributes, reporter, [few, warning])

    def _problem(
        self, X: ArrayLike, sample_weight: ArrayLike | None, on_rows_read: Callable[[int], None] = lambda n_rows: None
    ) -> tuple[TrainingProblem, ColumnMoments | None]:
        """Prepare the data and build the objective; return also the moments of the inputs, if outputs are linear.

        With linear outputs J does not depend on the origin of X, because biases do not decay: the minimizer gets
        centered inputs, which are also its targets. They are not scaled, since that would weight the targets
        differently.
        """
        dataset = load_dataset(self, X, sample_weight, self._check_range, on_rows_read=on_rows_read)
        columns = None
        if self.output_activation == "identity":
            dataset = dataset.merge_repeated()
            columns = ColumnMoments.of(dataset)
        origin = None if columns is None else columns.origin
        network = self._network(dataset.n_features, int(self.n_components))
        objective = replace(self._objective(network), input_scale=origin)
        theta = initial_weights(self, network, partial(_centered, origin))
        attributes_at = _AttributesAt(network, origin)
        return TrainingProblem(
            objective,
            theta,
            dataset,
            attributes_at,
            network.layer_sizes,
            reconstructs=True,
            new_weights=not self._is_warm(),
        ), columns

    def _check_range(self, batch: Batch, row: int) -> Batch:
        if self.output_activation == "logistic":
            validation.check_unit_range(batch.inputs, row)
        return batch

    def _results(
        self, problem: TrainingProblem, training: Training, data: DeviceData, inputs: InputVariance
    ) -> tuple[dict[str, Any], Warning | None]:
        """Make the fitted attributes, and a warning if the fit is weak (see `diagnose_fit`).

        The statistics of the hidden units take a pass over the data.
        """
        if not training.history:
            return {}, None
        objective, last = problem.objective, training.history[-1]
        rho = float(self.rho) if self.beta > 0 else None
        with precision(self.dtype):
            weights = objective.network.unravel(training.theta.astype(self.dtype))  # type: ignore[arg-type]
            samples, n_rows = data.samples_in(self.dtype), data.dataset.n_rows
            units = unit_activity(objective, weights, samples, inputs, n_samples=n_rows, rho=rho)
        explained = explained_variance(last.terms[SquaredError.name], inputs.variance)
        at_end = problem.attributes_at(last, training.theta)
        attributes = {**at_end, "mean_activation_": units.mean, "explained_variance_ratio_": explained}
        weak = diagnose_fit(self, training.stop_reason, explained, inputs.variance, len(inputs.mean), units)
        return attributes, ConvergenceWarning(weak.text) if weak is not None and weak.at_minimum else None

    def transform(self, X: ArrayLike, out: Any = None) -> NDArray[np.floating]:
        """Compute the activations of the hidden units, z = h(x W_1 + b_1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_components), optional
            Array to write the result into, a batch at a time: anything that supports assignment to slices of rows, such
            as a memory-mapped file, an HDF5 or a Zarr dataset.

        Returns
        -------
        Z : array of shape (n_samples, n_components), in the precision of the weights; or ``out``
        """
        return self._apply_to_rows(_encode, X, out)

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Reconstruct inputs from hidden activations, y = h_out(z W_2 + b_2).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Activations z; the name X is the one of scikit-learn's transformers.

        Returns
        -------
        y : array of shape (n_samples, n_features), in the precision of the weights
        """
        check_is_fitted(self)
        activations = validation.check_batch(X, 0)
        if activations.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {activations.shape[1]} columns, but there are {self._n_features_out} hidden units: pass the "
                "result of transform"
            )
        return self._apply(_decode, InMemoryDataset(Batch(activations)), dtype=self.coefs_[0].dtype)

    def predict(self, X: ArrayLike, out: Any = None) -> NDArray[np.floating]:
        """Reconstruct each sample: compute y, the `inverse_transform` of `transform`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_features), optional
            Array to write the result into, as in `transform`.

        Returns
        -------
        y : array of shape (n_samples, n_features), in the precision of the weights; or ``out``
        """
        return self._apply_to_rows(network_outputs, X, out, then=self._uncentered_rows)

    def cost(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute J of the fitted weights on X, in float64.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
            J; on the training data it is about `loss_`. It depends on alpha, rho and beta: use `score` to compare
            settings.
        """
        check_is_fitted(self)
        self.check_hyperparameters()  # they may have been set since the fit
        dataset = self._dataset_to_predict(X, sample_weight)
        network = self._fitted_network()
        with precision(np.float64):
            objective = self._objective(network)
            parameters = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self._fitted_parameters())
            batches = dataset.split_batches(max(BATCH_BYTES // (4 * dataset.n_features), 1))
            stream = streamed_samples(batches, np.float64, network.layer_sizes, self.chunk_size)
            sums = _sums(objective, parameters, stream)
            return float(_cost(objective, sums, np.asarray(stream.total_weight), parameters))  # type: ignore[arg-type]

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute minus the mean of E_n = 1/2 |y_n - x_n|^2: greater is better, comparable across settings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        scores, weights = [], []
        for batch in self._dataset_to_predict(X, sample_weight).batches():
            of_batch = self._apply_to_dataset(_negative_error, InMemoryDataset(batch))
            scores.append(of_batch.astype(np.float64))
            weights.append(batch.weights)
        return float(np.average(np.concatenate(scores), weights=np.concatenate(weights)))

    def score_samples(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute -E_n for each sample: a low score marks a sample unlike the training data (an anomaly).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,), float64
        """
        return self._apply_to_rows(_negative_error, X).astype(np.float64)

    @property
    def components_(self) -> NDArray[np.floating]:
        """The learned filters, (n_components, n_features)."""
        check_is_fitted(self)
        return self.coefs_[0].T

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.output_activation == "logistic"
        tags.transformer_tags.preserves_dtype = ["float64"] if self.dtype == "float64" else []
        return tags

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        validation.check_hyperparameters(self)
        validation.check_weight("alpha", self.alpha)
        validation.check_number("n_components", self.n_components, Integral, low=1)
        # A rho closer to 0 or 1 would be rounded to it in the engine's type.
        resolution = float(np.finfo(self.dtype).eps)
        inside = f"in (0, 1), and at least {resolution:.2g} from 0 and 1, which is the precision of {self.dtype}"
        validation.check_number("rho", self.rho, low=resolution, high=1 - resolution, interval=inside)
        validation.check_number("beta", self.beta, low=0, high=LARGEST_WEIGHT)
        validation.check_choice("hidden_activation", self.hidden_activation, ("logistic", "tanh", "relu"))
        validation.check_choice("output_activation", self.output_activation, ("logistic", "identity"))
        if self.beta > 0 and get_activation(self.hidden_activation).probabilities is None:
            raise ValueError(
                f"beta = {self.beta} turns on the sparsity penalty, which compares mean activations with rho in "
                f"(0, 1), but {self.hidden_activation} units are unbounded: use hidden_activation='logistic' or "
                "'tanh', or beta=0"
            )

    def _check_attributes(self) -> None:
        m = self.mean_activation_.size
        if self.mean_activation_.shape != (m,) or self.coefs_[0].shape != (self.n_features_in_, m):
            raise ValueError("its arrays do not fit together")
        mean = np.zeros(self.n_features_in_) if self._input_mean is None else self._input_mean
        if mean.shape != (self.n_features_in_,):
            raise ValueError("its arrays do not fit together")
        self._check_weights(self.mean_activation_, mean)
        self._n_features_out = m

    def _objective(self, network: Network) -> Objective:
        terms: list[Term] = [SquaredError(), WeightDecay(float(self.alpha))]
        if self.beta > 0:  # otherwise its pass over the data would be wasted
            terms.append(KLSparsity(float(self.rho), float(self.beta)))
        return Objective(network, tuple(terms))

    def _network(self, n_features: int, n_components: int) -> Network:
        return Network((n_features, n_components, n_features), self.hidden_activation, self.output_activation)

    def _fitted_network(self) -> Network:
        return self._network(*self.coefs_[0].shape)

    def _apply_to_rows(self, function: Compiled, X: ArrayLike, out: Any = None, **options: Any) -> Array:
        return self._apply_to_dataset(function, self._dataset_to_predict(X), out=out, **options)

    def _apply_to_dataset(self, function: Compiled, dataset: Dataset, **options: Any) -> Array:
        """Apply a compiled function to inputs, centered in float64 like those of the training."""
        dtype, origin = self.coefs_[0].dtype, self._origin()
        if origin is not None:
            dataset = dataset.map(partial(origin.scaled, dtype=dtype))
        parameters = _centered(origin, self._fitted_parameters())
        results: Array = self._apply(function, dataset, parameters, dtype=dtype, **options)
        return results

    def _uncentered_rows(self, outputs: Array) -> Array:
        """Shift outputs of the network for centered inputs back to the origin of X."""
        if self._input_mean is None:
            return outputs
        return (outputs + self._input_mean).astype(outputs.dtype)

    def _origin(self) -> InputScale | None:
        return None if self._input_mean is None else InputScale(self._input_mean, np.ones_like(self._input_mean))


@dataclass(frozen=True)
class _AttributesAt:
    """Compute the fitted attributes at an iterate."""

    network: Network
    origin: InputScale | None

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        attributes = network_attributes(_uncentered(self.origin, unravel(self.network, theta)), progress)
        mean = None if self.origin is None else self.origin.mean
        return attributes | {"_n_features_out": self.network.layer_sizes[1], "_input_mean": mean}


def _uncentered(origin: InputScale | None, parameters: Parameters) -> Parameters:
    """Convert weights for inputs and outputs x - mean to weights for x; biases in float64, as they contain the mean."""
    if origin is None:
        return parameters
    bias_1, bias_2 = origin.unscaled_weights(parameters).intercepts
    return Parameters(parameters.coefs, (bias_1, bias_2 + origin.mean))


def _centered(origin: InputScale | None, parameters: Parameters) -> Parameters:
    """Inverse of `_uncentered`."""
    if origin is None:
        return parameters
    bias_1, bias_2 = origin.scaled_weights(parameters).intercepts
    return Parameters(parameters.coefs, (bias_1, bias_2 - origin.mean))


# JAX compiles these functions once for each architecture. The user's samples are in rows, the engine's in columns.


@partial(quick_jit, static_argnums=0)
def _encode(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    return network.forward(parameters, X.T).hidden[0].T


@partial(quick_jit, static_argnums=0)
def _decode(network: Network, parameters: Parameters, Z: jax.Array) -> jax.Array:
    a = affine(Z.T, parameters.coefs[1], parameters.intercepts[1])
    return get_activation(network.output_activation).function(a).T


@partial(quick_jit, static_argnums=0)
def _negative_error(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    return -SquaredError().per_sample(network, network.forward(parameters, X.T), X.T)


_sums = summed(Objective.sums)


@quick_jit
def _cost(objective: Objective, sums: Any, total_weight: jax.Array, parameters: Parameters) -> jax.Array:
    return jnp.sum(objective.values(sums, total_weight, parameters))
