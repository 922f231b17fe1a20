"""What only the regressor needs: target scale, noise covariance, likelihoods."""
