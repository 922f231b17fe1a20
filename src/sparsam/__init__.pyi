from . import display, gradcheck, images, reference
from .display import (
    CostCurveDisplay,
    CovarianceDisplay,
    FilterDisplay,
    InvarianceDisplay,
    LabelNoiseDisplay,
    ReconstructionDisplay,
)
from .estimators.autoencoder import SparseAutoencoder
from .estimators.classifier import NoisyLabelClassifier
from .estimators.learned_tangents import encoder_tangents
from .estimators.likelihood_ratio import likelihood_ratio_test
from .estimators.noise_covariance import DegenerateCovarianceWarning
from .estimators.regressor import MultivariateNormalRegressor
from .estimators.tangent_pipeline import TangentPipeline
from .gabor import fit_gabors
from .invariance import invariance_report
from .persistence import load, save
from .reports import report
from .studies.comparison import compare_studies
from .studies.study import parameter_study
from .units import unit_statistics

__all__ = [
    "CostCurveDisplay",
    "CovarianceDisplay",
    "DegenerateCovarianceWarning",
    "FilterDisplay",
    "InvarianceDisplay",
    "LabelNoiseDisplay",
    "MultivariateNormalRegressor",
    "NoisyLabelClassifier",
    "ReconstructionDisplay",
    "SparseAutoencoder",
    "TangentPipeline",
    "compare_studies",
    "display",
    "encoder_tangents",
    "fit_gabors",
    "gradcheck",
    "images",
    "invariance_report",
    "likelihood_ratio_test",
    "load",
    "parameter_study",
    "reference",
    "report",
    "save",
    "unit_statistics",
]
