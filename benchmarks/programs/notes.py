"""Reference program: the sparse autoencoder of the CS294A notes, as a reader would write it in NumPy and SciPy.

It imports only these two. One cost function is vectorized and follows the notes' formulas; another works in place,
which is faster and harder to read. As a process, the program reads patches and initial weights, trains, and writes the
weights::

    python notes.py patches.npy theta0.npy theta.npy N_COMPONENTS ALPHA RHO BETA TOL M COST

with COST as_written or in_place.
"""

import sys

import numpy as np
from scipy.optimize import fmin_l_bfgs_b


def as_written(theta, visible_size, hidden_size, decay_weight, sparsity_param, beta, data):
    """Compute cost and gradient of the notes' sparse autoencoder; theta = [W1, W2, b1, b2], samples in rows."""
    m, split = len(data), visible_size * hidden_size
    W1 = theta[:split].reshape(visible_size, hidden_size)
    W2 = theta[split : 2 * split].reshape(hidden_size, visible_size)
    b1 = theta[2 * split : 2 * split + hidden_size]
    b2 = theta[2 * split + hidden_size :]

    a2 = logistic(data @ W1 + b1)
    a3 = logistic(a2 @ W2 + b2)
    cost = 0.5 / m * np.sum((a3 - data) ** 2) + 0.5 * decay_weight * (np.sum(W1**2) + np.sum(W2**2))
    sparsity_delta = 0.0
    if beta != 0:
        rho, rho_hat = sparsity_param, a2.mean(axis=0)
        cost += beta * np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
        sparsity_delta = beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))

    delta3 = -(data - a3) * a3 * (1 - a3)
    delta2 = (delta3 @ W2.T + sparsity_delta) * a2 * (1 - a2)
    W1_gradient = data.T @ delta2 / m + decay_weight * W1
    W2_gradient = a2.T @ delta3 / m + decay_weight * W2
    gradient = np.concatenate([W1_gradient.ravel(), W2_gradient.ravel(), delta2.mean(axis=0), delta3.mean(axis=0)])
    return cost, gradient


def logistic(a):
    """Compute 1 / (1 + exp(-a)); exp may overflow to infinity, which correctly gives 0."""
    return 1 / (1 + np.exp(-a))


def logistic_in_place(a):
    """Replace a by 1 / (1 + exp(-a)); exp may overflow to infinity, which correctly gives 0."""
    np.negative(a, out=a)
    np.exp(a, out=a)
    a += 1
    return np.reciprocal(a, out=a)


def in_place(theta, visible_size, hidden_size, decay_weight, sparsity_param, beta, data):
    """Compute the same with as few passes over memory as NumPy allows."""
    n, split = len(data), visible_size * hidden_size
    W1 = theta[:split].reshape(visible_size, hidden_size)
    W2 = theta[split : 2 * split].reshape(hidden_size, visible_size)
    b1 = theta[2 * split : 2 * split + hidden_size]
    b2 = theta[2 * split + hidden_size :]

    hidden = data @ W1
    hidden += b1
    logistic_in_place(hidden)
    output = hidden @ W2
    output += b2
    logistic_in_place(output)

    # delta_output = (y - x) y (1 - y) = (y - x) (y - y^2)
    residual = output - data
    cost = 0.5 / n * np.vdot(residual, residual) + 0.5 * decay_weight * (np.vdot(W1, W1) + np.vdot(W2, W2))
    delta_output = residual
    delta_output *= output
    np.subtract(1, output, out=output)
    delta_output *= output

    delta_hidden = delta_output @ W2.T
    if beta != 0:
        rho, rho_hat = sparsity_param, hidden.mean(axis=0)
        cost += beta * np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
        delta_hidden += beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))
    W2_gradient = hidden.T @ delta_output
    delta_hidden *= hidden
    np.subtract(1, hidden, out=hidden)
    delta_hidden *= hidden
    W1_gradient = data.T @ delta_hidden

    gradient = np.concatenate(
        [
            (W1_gradient / n + decay_weight * W1).ravel(),
            (W2_gradient / n + decay_weight * W2).ravel(),
            delta_hidden.sum(axis=0) / n,
            delta_output.sum(axis=0) / n,
        ]
    )
    return cost, gradient


COSTS = {"as_written": as_written, "in_place": in_place}


def train(cost, theta, args, tol, m, callback=None):
    """Minimize until the gradient is at most tol; with factr=10, only rounding can stop it earlier."""
    return fmin_l_bfgs_b(
        cost, theta, args=args, m=m, factr=10, pgtol=tol, maxfun=10**6, maxiter=10**6, callback=callback
    )


def main():
    """Train as a whole process."""
    patches, theta, result = sys.argv[1:4]
    data, theta = np.load(patches), np.load(theta)
    n_components, m = int(sys.argv[4]), int(sys.argv[9])
    alpha, rho, beta, tol = map(float, sys.argv[5:9])
    np.seterr(over="ignore")
    args = (data.shape[1], n_components, alpha, rho, beta, data)
    theta, _, _ = train(COSTS[sys.argv[10]], theta, args, tol, m)
    np.save(result, theta)


if __name__ == "__main__":
    main()
