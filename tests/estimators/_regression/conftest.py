"""Systems of equations that tests share: Grunfeld's investments, Kmenta's market for food, and drawn ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.published.rows.sur import FIVE_FIRMS, THEILS_FIRMS, investments

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def grunfeld():
    return investments(FIVE_FIRMS)


@pytest.fixture(scope="session")
def grunfeld_theil():
    """The two firms of H. Theil, *Principles of Econometrics*, 1971, p. 295."""
    return investments(THEILS_FIRMS)


@pytest.fixture(scope="session")
def kmenta():
    """X, y and the mask of demand and supply of food: J. Kmenta, *Elements of Econometrics*, 1986, table 13-1."""
    table = pd.read_csv(DATA / "kmenta.csv")
    X = table[["price", "income", "farmPrice", "trend"]]
    mask = np.array([[1, 1], [1, 0], [0, 1], [0, 1]], bool)
    return X, pd.DataFrame({"demand": table["consump"], "supply": table["consump"]}), mask


def simulate_system(rng, n_samples, n_features, n_outputs):
    """Draw X, y and the mask of a system: each output has some of the inputs, and errors are correlated."""
    mask = rng.random((n_features, n_outputs)) < 0.6
    mask[rng.integers(n_features, size=n_outputs), np.arange(n_outputs)] = True
    X = rng.normal(rng.normal(size=n_features), rng.uniform(0.5, 2.0, n_features), size=(n_samples, n_features))
    root = np.eye(n_outputs) + rng.uniform(-0.5, 0.5, size=(n_outputs, n_outputs))
    y = X @ (mask * rng.normal(size=mask.shape)) + rng.normal(size=n_outputs)
    return X, y + rng.normal(size=y.shape) @ root.T, mask


@pytest.fixture(scope="session")
def simulate():
    return simulate_system
