from . import display, engine, gradcheck, images, inspection, preprocessing, reference, studies
from ._utils.program_cache import keep_compiled_programs
from .display import (
    CostCurveDisplay,
    CovarianceDisplay,
    FilterDisplay,
    InvarianceDisplay,
    LabelNoiseDisplay,
    ReconstructionDisplay,
)
from .estimators._regression.likelihood_ratio import likelihood_ratio_test
from .estimators._regression.linear_system import LinearSystem, fit_linear_system
from .estimators._regression.noise_covariance import DegenerateCovarianceWarning
from .estimators._regression.prediction_region import PredictionRegion
from .estimators.autoencoder import SparseAutoencoder
from .estimators.checkpoint import Checkpoint
from .estimators.classifier import NoisyLabelClassifier
from .estimators.encoder_tangents import encoder_tangents
from .estimators.outlier_detector import AutoencoderOutlierDetector
from .estimators.regressor import MultivariateNormalRegressor
from .estimators.stacked_autoencoder import StackedAutoencoder
from .estimators.tangent_pipeline import TangentPipeline
from .inspection.gabor import fit_gabors
from .inspection.invariance import invariance_report
from .inspection.sparsity import sparsity_report
from .inspection.units import unit_statistics
from .io.onnx.export import to_onnx
from .io.persistence import load, save
from .io.sae_lens.export import to_sae_folder
from .io.sae_lens.reading import from_sae_folder
from .reports import report
from .studies.comparison import compare_studies
from .studies.study import parameter_study

__all__ = [
    "AutoencoderOutlierDetector",
    "Checkpoint",
    "CostCurveDisplay",
    "CovarianceDisplay",
    "DegenerateCovarianceWarning",
    "FilterDisplay",
    "InvarianceDisplay",
    "LabelNoiseDisplay",
    "LinearSystem",
    "MultivariateNormalRegressor",
    "NoisyLabelClassifier",
    "PredictionRegion",
    "ReconstructionDisplay",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TangentPipeline",
    "compare_studies",
    "display",
    "encoder_tangents",
    "engine",
    "fit_gabors",
    "fit_linear_system",
    "from_sae_folder",
    "gradcheck",
    "images",
    "inspection",
    "invariance_report",
    "keep_compiled_programs",
    "likelihood_ratio_test",
    "load",
    "parameter_study",
    "preprocessing",
    "reference",
    "report",
    "save",
    "sparsity_report",
    "studies",
    "to_onnx",
    "to_sae_folder",
    "unit_statistics",
]
