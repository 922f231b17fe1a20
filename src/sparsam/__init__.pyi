from . import display, gradcheck, images, reference
from .estimators.autoencoder import SparseAutoencoder
from .estimators.classifier import NoisyLabelClassifier
from .estimators.likelihood_ratio import likelihood_ratio_test
from .estimators.noise_covariance import DegenerateCovarianceWarning
from .estimators.regressor import MultivariateNormalRegressor
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
