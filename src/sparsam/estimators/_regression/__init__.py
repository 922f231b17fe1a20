"""Parts of the regressor: target scale, noise covariance, likelihoods."""
