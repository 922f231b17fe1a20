"""A stack of sparse autoencoders, trained one by one and then together, as a scikit-learn transformer."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.estimators import _validation as validation
from sparsam.estimators._autoencoder_base import IN_UNIT_RANGE, AutoencoderBase
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._progress.sklearn_callbacks import with_callbacks
from sparsam.estimators._training.centered_inputs import centered_weights
from sparsam.estimators._training.flat_weights import ravel
from sparsam.estimators._training.part_of_fit import PartOfFit, digest_of
from sparsam.estimators._training.train_estimator import TrainingProblem
from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.checkpoint import Checkpoint
from sparsam.inspection.fit_statistics import FitStatistics
from sparsam.inspection.weak_fit import WeakFit, diagnose_stack

__all__ = ["StackedAutoencoder"]


class StackedAutoencoder(AutoencoderBase):
    """Stack of sparse autoencoders: each one encodes the code of the one before it.

    The autoencoders are trained one by one, each on the code of the one before it. Then they are unrolled into one
    network, with the encoders from the first to the last and the decoders from the last to the first, and trained
    together ("fine-tuned") to a minimum of ::

        J = 1/S sum_n s_n 1/2 |y_n - x_n|^2  +  sum_l alpha_l/2 (|W_l|^2 + |V_l|^2)
            +  sum_l beta_l sum_j KL(rho_l || rho_hat_lj)

    where W_l encodes and V_l decodes in autoencoder l, alpha_l, beta_l and rho_l are its own, and rho_hat_lj is the
    mean activation of unit j of its code over all samples. The decoders' units have no sparsity penalty. If the first
    autoencoder minimizes the cross-entropy, that replaces the squared error. If the autoencoders are tied, V_l = W_l'
    decays once. Nothing is corrupted or held out in the common training.

    Parameters
    ----------
    autoencoders : list of SparseAutoencoder or None, default None
        They are cloned, not changed. Their hyperparameters ``dtype``, ``chunk_size``, ``mesh``, ``time_budget``,
        ``polish``, ``checkpoint``, ``warm_start`` and ``verbose`` have no influence: those of the stack apply. None
        stands for two, with 25 and 10 units and rho 0.1.
    fine_tune : bool, default True
        Whether to train the stack together after its autoencoders. Without, ``loss_`` and the other results of the
        training describe J of the stack at the weights of the autoencoders.
    solver : {"kronecker-lbfgs", "lbfgs"}, default "kronecker-lbfgs"
        Minimizer of the common training, as in `SparseAutoencoder`.
    max_iter : int, default 1000
        Maximum number of iterations of the common training.
    tol : float, default 1e-5
        Tolerance of the gradient of the common training.
    time_budget : float or None, default None
        Seconds after which to stop all trainings together. The common training gets at least half of them.
    chunk_size : int or None, default None
        Number of rows to process at once, as in `SparseAutoencoder`.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the trainings and of the fitted weights.
    polish : bool, default False
        Whether to continue the common training in float64, as in `SparseAutoencoder`.
    warm_start : bool, default False
        Whether `fit` starts the common training from the fitted weights, if there are any, without training the
        autoencoders again; with ``fine_tune=False`` nothing is trained then.
    random_state : int, RandomState instance or None, default None
        Seed for the initial weights of the autoencoders whose own random_state is None.
    mesh : jax.sharding.Mesh or None, default None
        Devices to train on, as in `SparseAutoencoder`.
    checkpoint : path, Checkpoint or None, default None
        Folder in which to save checkpoints of all trainings, as in `SparseAutoencoder`.
    callback : callable or None, default None
        As in `SparseAutoencoder`, for the common training. Callbacks of the autoencoders are called in their trainings.
    verbose : int, default 0
        1 prints the progress of all trainings.

    Attributes
    ----------
    autoencoders_ : list of SparseAutoencoder
        The autoencoders as they were trained one by one, before the common training.
    components_ : array of shape (n_units, n_features)
        Filters of the first layer: W_1 transposed.
    coefs_, intercepts_ : lists of arrays
        Weights and biases of the layers of the unrolled network, the encoders first.
    mean_activation_ : array of shape (n_components,)
        rho_hat of the innermost code on the training data.
    explained_variance_ratio_ : float
        Share of the variance of the training data that their reconstructions explain (R^2).
    loss_, n_iter_, n_evaluations_, gradient_norm_, converged_, stop_reason_, loss_curve_, history_, terms_
        Results of the common training, as in `SparseAutoencoder`; with ``fine_tune=False``, `converged_` says whether
        the training of every autoencoder converged.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    References
    ----------
    G. E. Hinton & R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", *Science* 313, 2006;
    Y. Bengio, P. Lamblin, D. Popovici & H. Larochelle, "Greedy layer-wise training of deep networks", NIPS 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sparsam import SparseAutoencoder, StackedAutoencoder
    >>> X = load_digits().data[:300] / 16
    >>> stack = StackedAutoencoder([SparseAutoencoder(30, beta=0.0), SparseAutoencoder(10, beta=0.0)], random_state=0)
    >>> stack.fit(X).transform(X).shape
    (300, 10)
    >>> [autoencoder.n_components for autoencoder in stack.autoencoders_], len(stack.coefs_)
    ([30, 10], 4)
    >>> bool(stack.explained_variance_ratio_ > 0.5)
    True
    """

    autoencoders_: list[SparseAutoencoder]

    def __init__(
        self,
        autoencoders: Sequence[SparseAutoencoder] | None = None,
        *,
        fine_tune: bool = True,
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
        self.autoencoders = autoencoders
        self.fine_tune = fine_tune
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
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train the autoencoders one by one, then together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            In [0, 1] if the first autoencoder has logistic outputs. Or rows that are not in memory, as in
            `SparseAutoencoder.fit`; the codes are then computed again in each pass.
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
            If J overflows. The estimator is not changed if this happens in the training of an autoencoder.
        KeyboardInterrupt
            If Ctrl-C interrupts the training of an autoencoder; the estimator is not changed.

        Warns
        -----
        ConvergenceWarning, UserWarning
            As `SparseAutoencoder.fit`. Warnings about the training of an autoencoder begin with its number.
        """
        return self._fit(X, y, sample_weight, about_training=bool(self.fine_tune))

    def _fit_dataset(
        self, dataset: Dataset, columns: ColumnMoments | None, fit: PartOfFit
    ) -> tuple[Training, dict[str, Any], Warning | None]:
        dataset = dataset.merge_repeated()
        if self._is_warm():
            self._check_warm_start()
            layers, parameters = self.autoencoders_, self._fitted_parameters()
        else:
            layers = self._fit_layers(dataset, fit)
            parameters = unrolled(layers)
        origin = None if columns is None else columns.origin
        network = replace(self._network(layers, dataset.n_features), tied=self._is_tied())
        theta = ravel(network, centered_weights(origin, parameters))
        depends_on = {**fit.depends_on, **digest_of(layers)}
        objective = self._objective(network)
        problem = self._problem_of(dataset, objective, theta, origin, new_weights=False, depends_on=depends_on)
        training, attributes, weak = self._train_together(problem, layers, fit)
        return training, attributes | {"autoencoders_": layers}, weak

    def _check_warm_start(self) -> None:
        """Raise ValueError if the fitted stack has other layers than the hyperparameters name."""
        names = ("n_components", "hidden_activation", "output_activation", "tied")
        fitted, asked = (
            [{name: getattr(part, name) for name in names} for part in stack]
            for stack in (self.autoencoders_, self._stack())
        )
        if fitted != asked:
            raise ValueError(
                f"warm_start=True starts from the fitted weights, but these belong to autoencoders {fitted}, and this "
                f"fit needs {asked}: set warm_start=False, or fit a clone"
            )

    def _fit_layers(self, dataset: Dataset, fit: PartOfFit) -> list[SparseAutoencoder]:
        """Fit each autoencoder on the code of the one before it."""
        generator = check_random_state(self.random_state)
        fitted: list[SparseAutoencoder] = []
        stack = self._stack()
        for number, autoencoder in enumerate(stack, 1):
            name = f"autoencoder {number} of {len(stack)}"
            part = replace(
                fit,
                label=f"{fit.label}: {name}" if fit.label else name,
                n_to_come=fit.n_to_come + len(stack) + 1 - number,
                seed=generator.randint(2**31 - 1),
                depends_on={**fit.depends_on, **digest_of(fitted)},
                of_code=number > 1,
            )
            fitted.append(autoencoder._fit_part(self, dataset, part))
            dataset = dataset.map(_Encode(fitted[-1]), int(fitted[-1].n_components))
        return fitted

    def _train_together(
        self, problem: TrainingProblem, layers: Sequence[SparseAutoencoder], fit: PartOfFit
    ) -> tuple[Training, dict[str, Any], Warning | None]:
        """Train the unrolled network; or only evaluate J, if it is not fine-tuned."""
        if self.fine_tune:
            return self._train(problem, fit)
        training, attributes, weak = self._train(replace(problem, stop_at=0), fit, polish=False)
        if training.stop_reason != "held_out":
            return training, attributes, weak
        unfinished = [layer.stop_reason_ for layer in layers if layer.stop_reason_ != "converged"]
        return replace(training, stop_reason=unfinished[0] if unfinished else "converged"), attributes, weak

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyperparameters by name; those of the autoencoders as ``autoencoder1__rho`` and so on.

        Parameters
        ----------
        deep : bool, default True
            Whether to include the autoencoders, and their hyperparameters.

        Returns
        -------
        dict
        """
        parameters: dict[str, Any] = super().get_params(deep=False)
        if deep and isinstance(self.autoencoders, list | tuple | None):
            for number, autoencoder in enumerate(self._stack(), 1):
                name = f"autoencoder{number}"
                parameters[name] = autoencoder
                own = autoencoder.get_params() if hasattr(autoencoder, "get_params") else {}
                parameters |= {f"{name}__{key}": value for key, value in own.items()}
        return parameters

    def set_params(self, **params: Any) -> Self:
        """Set hyperparameters; ``autoencoder1``, ... replace an autoencoder, ``autoencoder1__rho`` sets one of its own.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        if "autoencoders" in params:
            self.autoencoders = params.pop("autoencoders")
        if self.autoencoders is None and any(re.match("autoencoder[0-9]", name) for name in params):
            self.autoencoders = self._stack()
        known = self.get_params()
        for name in [name for name in params if re.fullmatch("autoencoder[0-9]+", name) and name in known]:
            autoencoders = list(self._stack())
            autoencoders[int(name[len("autoencoder") :]) - 1] = params.pop(name)
            self.autoencoders = autoencoders
        super().set_params(**params)
        return self

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        validation.check_hyperparameters(self)
        validation.check_flag("fine_tune", self.fine_tune)
        if not isinstance(self.autoencoders, list | tuple | None) or not self._stack():
            raise TypeError(f"autoencoders must be a list of SparseAutoencoder, got {self.autoencoders!r}")
        before: SparseAutoencoder | None = None
        for number, autoencoder in enumerate(self._stack(), 1):
            if not isinstance(autoencoder, SparseAutoencoder):
                raise TypeError(
                    f"autoencoders must be a list of SparseAutoencoder, but number {number} is {autoencoder!r}"
                )
            try:
                autoencoder.check_hyperparameters()
            except (TypeError, ValueError) as error:
                raise type(error)(f"autoencoder {number}: {error}") from error
            if autoencoder.sparsity == "l1":
                raise ValueError(
                    f"autoencoder {number} has sparsity='l1', which is for an autoencoder with one hidden layer: use "
                    "sparsity='kl', or fit it alone"
                )
            bounded = autoencoder.output_activation in IN_UNIT_RANGE
            if before is not None and bounded and before.hidden_activation not in IN_UNIT_RANGE:
                raise ValueError(
                    f"autoencoder {number} has {autoencoder.output_activation} outputs, which are in [0, 1], but "
                    f"reconstructs the {before.hidden_activation} units of the one before it: set its "
                    "output_activation='identity'"
                )
            before = autoencoder
        if len({bool(autoencoder.tied) for autoencoder in self._stack()}) > 1:
            raise ValueError("some autoencoders are tied and some are not: set tied=True, or False, in all of them")

    def _check_attributes(self) -> None:
        super()._check_attributes()
        for layer in self.autoencoders_:
            if not isinstance(layer, SparseAutoencoder):
                raise ValueError("its autoencoders are of another class")
            layer.check_fitted()
        encoders = [layer.coefs_[0].shape for layer in self.autoencoders_]
        if encoders != [coef.shape for coef in self.coefs_[: len(encoders)]]:
            raise ValueError("its autoencoders do not fit its layers")

    def _draws_rows(self) -> bool:
        return any(autoencoder._draws_rows() for autoencoder in self._stack())

    def _is_tied(self) -> bool:
        return all(autoencoder.tied for autoencoder in self._stack())

    def _encoder_layers(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        stack = self._stack()
        return tuple(int(part.n_components) for part in stack), tuple(part.hidden_activation for part in stack)

    @property
    def _output(self) -> str:
        stack = self._stack()
        first = stack[0] if isinstance(stack, list | tuple) and stack else None
        return str(getattr(first, "output_activation", ""))

    @property
    def _rho_of_code(self) -> float | None:
        return self._stack()[-1]._rho_of_code

    def _diagnose(self, statistics: FitStatistics) -> WeakFit | None:
        return diagnose_stack(statistics)

    def _stack(self) -> Sequence[SparseAutoencoder]:
        """Return the autoencoders to train."""
        if self.autoencoders is None:
            return [SparseAutoencoder(25, rho=0.1), SparseAutoencoder(10, rho=0.1)]
        return self.autoencoders

    def _objective(self, network: Network) -> Objective:
        stack = self._stack()
        alphas = [float(autoencoder.alpha) for autoencoder in stack]
        decoders = [0.0 if self._is_tied() else alpha for alpha in reversed(alphas)]  # tied weights decay once
        terms: list[Term] = [stack[0]._error_function(), WeightDecay((*alphas, *decoders))]
        betas = [autoencoder._beta for autoencoder in stack]
        sparse = [layer for layer, beta in enumerate(betas) if beta > 0]
        if sparse:
            rho = tuple(float(stack[layer].rho) for layer in sparse)
            beta = tuple(betas[layer] for layer in sparse)
            terms.append(KLSparsity(rho, beta, tuple(sparse)))
        return Objective(network, tuple(terms))

    @staticmethod
    def _network(layers: Sequence[SparseAutoencoder], n_features: int) -> Network:
        codes = [int(layer.n_components) for layer in layers]
        encoders = [layer.hidden_activation for layer in layers]
        *decoders, output = [layer.output_activation for layer in reversed(layers)]
        sizes = (n_features, *codes, *reversed(codes[:-1]), n_features)
        return Network(sizes, (*encoders, *decoders), output)

    def _fitted_network(self) -> Network:
        check_is_fitted(self)
        return self._network(self.autoencoders_, self.coefs_[0].shape[0])


def unrolled(layers: Sequence[SparseAutoencoder]) -> Parameters:
    """Combine fitted autoencoders into one network: encoders from first to last, then decoders from last to first."""
    ordered = [*((layer, 0) for layer in layers), *((layer, 1) for layer in reversed(layers))]
    coefs = tuple(layer.coefs_[half] for layer, half in ordered)
    intercepts = tuple(layer.intercepts_[half] for layer, half in ordered)
    return Parameters(coefs, intercepts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Encode:
    """Replace the inputs of a batch by their code."""

    autoencoder: SparseAutoencoder

    def __call__(self, batch: Batch) -> Batch:
        return batch._replace(inputs=self.autoencoder._encoded(batch))
