"""Small models, and a parser of pages."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import sparsam
from sparsam import AutoencoderOutlierDetector, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder

HOSTILE = "<script>alert(1)</script>"


class Contents(HTMLParser):
    """The elements of a page, its text, and the JSON in it."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.json = [], [], {}
        self._inside = {}
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        self._inside = {"tag": tag, **dict(attributes)}
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._inside = {}

    def handle_data(self, data):
        if self._inside.get("type") == "application/json":
            self.json[self._inside["id"]] = json.loads(data)
        elif self._inside.get("tag") not in ("script", "style"):
            self.words.append(data)

    def all(self, tag, **attributes):
        return [a for name, a in self.elements if name == tag and attributes.items() <= a.items()]


@pytest.fixture(scope="session")
def contents():
    return Contents


@pytest.fixture(scope="session")
def patches():
    return np.random.default_rng(0).uniform(0.1, 0.9, size=(300, 16)) * np.linspace(0.5, 1, 300)[:, None]


@pytest.fixture(scope="session")
def autoencoder(patches):
    with pytest.warns(ConvergenceWarning):
        return SparseAutoencoder(6, rho=0.2, beta=0.5, max_iter=40, random_state=0).fit(patches)


@pytest.fixture(scope="session")
def measured():
    """Return inputs, and two targets with correlated noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    return X, X + rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=500)


@pytest.fixture(scope="session")
def regressor(measured):
    return MultivariateNormalRegressor((), random_state=0).fit(measured[0][:300], measured[1][:300])


@pytest.fixture(scope="session")
def labelled():
    """Return images of bars, upright or lying, and their labels; the first ten are wrong."""
    rng = np.random.default_rng(0)
    upright = rng.integers(2, size=200)
    X = rng.uniform(0, 0.1, size=(200, 8, 8))
    X[upright == 1, :, 3:5] += 0.8
    X[upright == 0, 3:5, :] += 0.8
    given = np.where(np.arange(200) < 10, 1 - upright, upright)
    return X.reshape(200, 64), np.array(["lying", "upright"])[given]


@pytest.fixture(scope="session")
def classifier(labelled):
    return NoisyLabelClassifier((), epsilon=0.05, alpha=1e-2, random_state=0).fit(*labelled)


@pytest.fixture(scope="session")
def sounds():
    """Return rows of 64 numbers that are not 8 x 8 pixels, and an autoencoder of them without a sparsity penalty."""
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(64) * rng.uniform(0.1, 0.6, (200, 1)) + rng.uniform(0, 6, (200, 1)))
    with pytest.warns(ConvergenceWarning):
        return X, SparseAutoencoder(4, beta=0, output_activation="identity", max_iter=20, random_state=0).fit(X)


@pytest.fixture(scope="session")
def colors():
    """Return color patches of 4 x 4 pixels, and an autoencoder of them."""
    X = np.random.default_rng(0).uniform(0.1, 0.9, size=(200, 48)) * np.linspace(0.5, 1, 200)[:, None]
    with pytest.warns(ConvergenceWarning):
        return X, SparseAutoencoder(3, rho=0.2, beta=0.1, max_iter=20, random_state=0).fit(X)


@pytest.fixture(scope="session")
def named():
    """Return a table whose columns have units and names, one of them HTML markup, and a pipeline."""
    rng = np.random.default_rng(0)
    height = rng.normal(1.7, 0.1, 200)
    columns = {"height / m": height, "weight / kg": 80 * (height - 0.7) + rng.normal(0, 5, 200), HOSTILE: height**2}
    X = pd.DataFrame(columns | {"noise": rng.normal(size=200)})
    with pytest.warns(ConvergenceWarning):
        return X, make_pipeline(
            MinMaxScaler(), SparseAutoencoder(2, rho=0.3, beta=0.01, max_iter=20, random_state=0)
        ).fit(X)


KINDS = ("animal", "colour", "month", "river", HOSTILE, "Wörter \u2028 語", "state", "verb")


@pytest.fixture(scope="session")
def words():
    """Return rows near eight directions, their names, and an autoencoder with L1 sparsity."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(10, 8)))[0].T
    kinds = np.arange(400) % 8
    X = directions[kinds] * rng.uniform(1, 2, size=(400, 1)) + 0.1 * rng.normal(size=(400, 10)) + 5
    names = [f"{KINDS[kind]} {row // 8}" for row, kind in enumerate(kinds)]
    names[8] = names[0]  # twice
    with pytest.warns(ConvergenceWarning):
        model = SparseAutoencoder(
            24,
            sparsity="l1",
            hidden_activation="relu",
            output_activation="identity",
            max_iter=60,
            dtype="float64",
            random_state=0,
        ).fit(X)
    return X, names, model


@pytest.fixture(scope="session")
def words_page(words):
    return sparsam.report(words[2], words[0], names=words[1])


@pytest.fixture(scope="session")
def pages(autoencoder, patches, regressor, measured, classifier, labelled, sounds, colors, named, words_page):
    X, Y = measured
    return {
        "autoencoder": sparsam.report(autoencoder, patches, image_shape=(4, 4)),
        "colors": sparsam.report(colors[1], colors[0], image_shape=(4, 4, 3)),
        "named": sparsam.report(named[1], named[0]),
        "words": words_page,
        "pictures with names": sparsam.report(
            autoencoder, patches, image_shape=(4, 4), names=[f"patch {row}" for row in range(300)]
        ),
        "sounds": sparsam.report(sounds[1], sounds[0]),
        "regressor": sparsam.report(regressor, X[:300], Y[:300], test=(X[300:], Y[300:]), names=["height", "width"]),
        "classifier": sparsam.report(classifier, *labelled, image_shape=(8, 8)),
        "detector": sparsam.report(AutoencoderOutlierDetector(random_state=0).fit(named[0]), named[0]),
    }
