from . import display, gradcheck, images, reference
from .estimators.autoencoder import SparseAutoencoder
from .estimators.classifier import NoisyLabelClassifier
from .estimators.noise_covariance import DegenerateCovarianceWarning
from .estimators.regressor import MultivariateNormalRegressor
from .estimators.standard_errors import likelihood_ratio_test
from .persistence import load, save

__all__ = [
    "DegenerateCovarianceWarning",
    "MultivariateNormalRegressor",
    "NoisyLabelClassifier",
    "SparseAutoencoder",
    "display",
    "gradcheck",
    "images",
    "likelihood_ratio_test",
    "load",
    "reference",
    "save",
]
