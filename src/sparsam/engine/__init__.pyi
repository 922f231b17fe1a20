from .data.batch import Batch
from .data.devices import all_devices
from .data.samples import Samples
from .data.sources import map_rows
from .jax_settings import precision
from .minimizer.lbfgs import RUNNING, ask, initialize, needs_factors, tell, tell_factors
from .network.activations import get_activation
from .network.network import ForwardPass, Network, Parameters, outer_products, weighted_sum
from .objective.error_functions import (
    CrossEntropy,
    ErrorFunction,
    GaussianError,
    HeteroscedasticGaussianError,
    NoisyCrossEntropy,
    ProfileGaussianError,
    SquaredError,
)
from .objective.objective import Evaluation, Objective, Term
from .objective.penalties import CovarianceDecay, KLSparsity, L1Sparsity, TangentPropagation, WeightDecay
from .training.callbacks import FitCallback, FunctionCallback
from .training.checkpoints import Checkpointer
from .training.growing_sample import nested_samples
from .training.plateau import Plateau
from .training.result import Training
from .training.state import Progress
from .training.stop_reasons import STOP_REASONS
from .training.streaming import StreamedSamples
from .training.train import train

__all__ = [
    "RUNNING",
    "STOP_REASONS",
    "Batch",
    "Checkpointer",
    "CovarianceDecay",
    "CrossEntropy",
    "ErrorFunction",
    "Evaluation",
    "FitCallback",
    "ForwardPass",
    "FunctionCallback",
    "GaussianError",
    "HeteroscedasticGaussianError",
    "KLSparsity",
    "L1Sparsity",
    "Network",
    "NoisyCrossEntropy",
    "Objective",
    "Parameters",
    "Plateau",
    "ProfileGaussianError",
    "Progress",
    "Samples",
    "SquaredError",
    "StreamedSamples",
    "TangentPropagation",
    "Term",
    "Training",
    "WeightDecay",
    "all_devices",
    "ask",
    "get_activation",
    "initialize",
    "map_rows",
    "needs_factors",
    "nested_samples",
    "outer_products",
    "precision",
    "tell",
    "tell_factors",
    "train",
    "weighted_sum",
]
