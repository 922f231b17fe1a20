r"""
Noise that differs from place to place
======================================

One covariance for all rows is wrong where the noise depends on the input: its intervals are too
wide here, and too narrow there. With ``covariance="input"``, `MultivariateNormalRegressor` fits
a covariance :math:`C(x)` together with the means.
"""

# %%
# Two outputs of one input, so that the truth is known: the deviation of the first grows, and the
# correlation changes its sign.
import matplotlib.pyplot as plt
import numpy as np

from sparsam import MultivariateNormalRegressor
from sparsam.display.residuals import covariance_ellipse

rng = np.random.default_rng(0)


def covariance(x):
    """Return C at each input."""
    first, second, rho = np.exp(0.8 * x[:, 0] - 1.2), np.full(len(x), 0.3), np.tanh(2 * x[:, 0])
    C = np.empty((len(x), 2, 2))
    C[:, 0, 0], C[:, 1, 1] = first**2, second**2
    C[:, 0, 1] = C[:, 1, 0] = rho * first * second
    return C


def measure(n_samples):
    """Draw inputs, and the two outputs with their noise."""
    x = rng.uniform(-1.5, 1.5, size=(n_samples, 1))
    noise = np.einsum(
        "nij,nj->ni", np.linalg.cholesky(covariance(x)), rng.normal(size=(n_samples, 2))
    )
    return x, np.hstack([np.sin(2 * x), np.cos(2 * x)]) + noise


X, Y = measure(800)
X_test, Y_test = measure(4000)
model = MultivariateNormalRegressor((20,), covariance="input", random_state=0).fit(X, Y)
constant = MultivariateNormalRegressor((20,), random_state=0).fit(X, Y)

# %%
# The band holds 90 % of the first output at each input; the dashed lines are those of one
# covariance for all. On the right are covariances at three inputs: each ellipse holds 90 % of the
# errors there. Dotted is the truth.
grid = np.linspace(-1.5, 1.5, 200)[:, None]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(X_test[:1000], Y_test[:1000, 0], ".", color="0.75", markersize=3)
mean, std = (part[:, 0] for part in model.predict(grid, return_std=True))
left.fill_between(grid[:, 0], mean - 1.645 * std, mean + 1.645 * std, alpha=0.3)
left.plot(grid, mean)
mean, std = (part[:, 0] for part in constant.predict(grid, return_std=True))
for sign in (-1, 1):
    left.plot(grid, mean + sign * 1.645 * std, "--", color="0.3", linewidth=1)
    left.plot(grid, np.sin(2 * grid) + sign * 1.645 * np.sqrt(covariance(grid)[:, :1, 0]), ":k")
left.set(xlabel="input", ylabel="first output")

places = np.array([[-1.0], [0.0], [1.0]])
for x, C, truth in zip(places, model.predict_covariance(places), covariance(places), strict=True):
    (line,) = right.plot(*covariance_ellipse(C, 0.9), label=f"input {x[0]:g}")
    right.plot(*covariance_ellipse(truth, 0.9), ":", color=line.get_color())
right.set(xlabel="error of the first output", ylabel="error of the second output")
right.set_aspect("equal")
right.legend(frameon=False)

# %%
# New rows are a good deal more probable, and the regions of all outputs together hold what they
# say at both ends of the inputs.
for name, fitted in (("one covariance", constant), ("covariance of the input", model)):
    inside = fitted.predict_region(X_test, 0.9).contains(Y_test)
    low, high = inside[X_test[:, 0] < -1].mean(), inside[X_test[:, 0] > 1].mean()
    likelihood = fitted.mean_log_likelihood(X_test, Y_test)
    print(f"{name:24s} {likelihood:6.3f} nats; inside: {low:.0%} below -1, {high:.0%} above 1")

# %%
# **Heavy tails.** A region of 90 % relies on normal noise. Here it is Student's t with three
# degrees of freedom; with ``calibration_fraction`` the fit leaves out rows, whose distances from
# their predictions give the radius, whatever the noise. At 99 % the difference is largest.
heavy = np.hstack([np.sin(2 * X), np.cos(2 * X)]) + 0.2 * rng.standard_t(3, size=(800, 2))
new = np.hstack([np.sin(2 * X_test), np.cos(2 * X_test)]) + 0.2 * rng.standard_t(3, size=(4000, 2))
plain = MultivariateNormalRegressor((20,), random_state=0).fit(X, heavy)
safe = MultivariateNormalRegressor((20,), calibration_fraction=0.25, random_state=0).fit(X, heavy)
for share in (0.8, 0.9, 0.99):
    shares = [fit.predict_region(X_test, share).contains(new).mean() for fit in (plain, safe)]
    print(f"{share:.0%} wanted: normal {shares[0]:.1%}, calibrated {shares[1]:.1%}")
