r"""
Errors that go together
=======================

Several outputs of one experiment often err together: a warm day moves all the sensors.
`MultivariateNormalRegressor` fits a network and the covariance :math:`C` of what it leaves
unexplained (PRML exercise 5.3). What is that worth?
"""

# %%
# A made-up experiment with three outputs, so that the truth is known. Two of them share most of
# their noise.
import numpy as np

from sparsam import MultivariateNormalRegressor

rng = np.random.default_rng(0)
C_true = np.array([[1.0, 0.8, -0.3], [0.8, 1.0, -0.2], [-0.3, -0.2, 1.0]]) * 0.3**2


def measure(n_samples):
    """Inputs, and the three outputs with their noise."""
    x = rng.uniform(-2, 2, size=(n_samples, 2))
    mean = np.column_stack([np.sin(2 * x[:, 0]), x[:, 0] * x[:, 1], np.exp(-(x[:, 1] ** 2))])
    return x, mean + rng.multivariate_normal(np.zeros(3), C_true, size=n_samples)


X, Y = measure(800)
X_test, Y_test = measure(4000)

model = MultivariateNormalRegressor((20,), random_state=0).fit(X, Y)
print("covariance / 0.09, estimated:\n", (model.predictive_covariance_ / 0.09).round(2))
print("true:\n", (C_true / 0.09).round(2))

# %%
# The residuals, output against output, with the ellipses in which 50 % and 95 % of them should
# lie.
from sparsam.display import plot_residuals

_ = plot_residuals(
    Y_test - model.predict(X_test),
    model.predictive_covariance_,
    names=["first", "second", "third"],
)

# %%
# **How probable are new measurements?** In nats a sample, greater is better; the same network
# without correlations, with one variance for all, and the true model for comparison.
from scipy.stats import multivariate_normal

means_test = np.column_stack(
    [np.sin(2 * X_test[:, 0]), X_test[:, 0] * X_test[:, 1], np.exp(-(X_test[:, 1] ** 2))]
)
best = multivariate_normal(cov=C_true).logpdf(Y_test - means_test).mean()
print(f"{'the truth itself':20s}   {best:.3f}")
for structure in ("full", "diag", "spherical"):
    peer = MultivariateNormalRegressor((20,), covariance=structure, random_state=0).fit(X, Y)
    print(f"covariance={structure!r:11s} {peer.mean_log_likelihood(X_test, Y_test):.3f}")

# %%
# **One output tells of another.** Where the first output has been measured,
# ``predict_conditional`` moves the others accordingly. An ordinary network, here scikit-learn's
# (with the same weight decay, which there is divided by the number of samples), has nothing to
# say to that.
from sklearn.neural_network import MLPRegressor

known = np.column_stack([Y_test[:, 0], np.full((len(Y_test), 2), np.nan)])
filled, deviation = model.predict_conditional(X_test, known, return_std=True)
ordinary = MLPRegressor(
    hidden_layer_sizes=(20,),
    activation="tanh",
    solver="lbfgs",
    alpha=0.8,
    max_iter=5000,
    random_state=0,
).fit(X, Y)


def rms(residuals):
    """Root mean square, an output each."""
    return np.sqrt(np.mean(residuals**2, axis=0))


for name, prediction in (
    ("MLPRegressor", ordinary.predict(X_test)),
    ("predict", model.predict(X_test)),
    ("predict_conditional", filled),
):
    _, second, third = rms(Y_test - prediction)
    print(f"{name:20s}: error of the second output {second:.3f}, of the third {third:.3f}")
print(
    f"promised, given the first: second output {deviation[0, 1]:.3f}, third {deviation[0, 2]:.3f}"
)

# %%
# **Gaps in the training data** are no obstacle: each sample counts with what was observed of
# it, which is exact. Here 40 % of all measurements are lost; the usual way out is to drop every
# sample with a gap.
gaps = Y.copy()
gaps[rng.random(Y.shape) < 0.4] = np.nan
something, everything = ~np.isnan(gaps).all(axis=1), ~np.isnan(gaps).any(axis=1)
for name, rows in (("anything observed", something), ("no gap", everything)):
    partial = MultivariateNormalRegressor((20,), random_state=0).fit(X[rows], gaps[rows])
    nats = partial.mean_log_likelihood(X_test, Y_test)
    print(f"samples with {name:17s}: {rows.sum():3d} of {len(Y)}, {nats:.3f} nats a sample")
