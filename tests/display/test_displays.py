"""Displays read an estimator, draw into the given axes, and keep the data."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sparsam
from sparsam import (
    CostCurveDisplay,
    CovarianceDisplay,
    FilterDisplay,
    InvarianceDisplay,
    LabelNoiseDisplay,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    ReconstructionDisplay,
    SparseAutoencoder,
    TangentPipeline,
)
from sparsam.display import filter_mosaic, plot_filters, plot_transition_matrix
from sparsam.estimators._labels.likelihood_profile import LikelihoodProfile
from sparsam.preprocessing import Whitening

pytestmark = pytest.mark.usefixtures("without_factors")

rng = np.random.default_rng(0)
IMAGES = rng.uniform(0.1, 0.9, size=(40, 16))
Y = rng.normal(size=(40, 3))
EPSILON = np.linspace(0, 0.5, 6)
PROFILE = LikelihoodProfile(EPSILON, -((EPSILON - 0.2) ** 2), 1000, 40.0)


class Fitted:
    """An estimator with nothing but public attributes and methods, which is all that displays use."""

    def __init__(self, **attributes):
        self.__dict__ |= attributes

    def fit(self, X, y=None):
        return self

    def __sklearn_tags__(self):
        return SimpleNamespace(requires_fit=True, estimator_type=None)


class Regressor(Fitted):
    def predict(self, X):
        return X[:, : self.predictive_covariance_.shape[0]]


class Classifier(Fitted):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        p = X[:, :8].mean(axis=1) / X.max()
        return np.stack([p, 1 - p], axis=1)

    def __sklearn_tags__(self):
        return SimpleNamespace(requires_fit=True, estimator_type="classifier")


HISTORY = {"iteration": [0, 1], "evaluations": [1, 3], "seconds": [0.1, 0.2], "J": [9.0, 2.0], "sparsity": [1.0, 0.5]}
AUTOENCODER = PCA(5).fit(IMAGES)
REGRESSOR = Regressor(predictive_covariance_=np.array([[1.0, 0.5, 0.1], [0.5, 2.0, 0.2], [0.1, 0.2, 1.0]]))
CLASSIFIER = Classifier(
    transition_matrix_=np.array([[0.9, 0.1], [0.2, 0.8]]),
    classes_=np.array(["cat", "dog"]),
    likelihood_profile_=PROFILE,
)
LOGISTIC = LogisticRegression().fit(IMAGES, IMAGES[:, 0] > 0.5)

# Each display: a function that draws it, options that draw a single picture, and an estimator that it refuses.
CASES = {
    FilterDisplay: (lambda **kw: FilterDisplay.from_estimator(AUTOENCODER, **kw), {}, LOGISTIC),
    ReconstructionDisplay: (lambda **kw: ReconstructionDisplay.from_estimator(AUTOENCODER, IMAGES, **kw), {}, LOGISTIC),
    CostCurveDisplay: (lambda **kw: CostCurveDisplay.from_estimator(Fitted(history_=HISTORY), **kw), {}, LOGISTIC),
    CovarianceDisplay: (
        lambda **kw: CovarianceDisplay.from_estimator(REGRESSOR, IMAGES, Y, **kw),
        {"outputs": (0, 2)},
        LOGISTIC,
    ),
    LabelNoiseDisplay: (lambda **kw: LabelNoiseDisplay.from_estimator(CLASSIFIER, **kw), {"kind": "profile"}, LOGISTIC),
    InvarianceDisplay: (
        lambda **kw: InvarianceDisplay.from_estimator(
            {"a": CLASSIFIER}, IMAGES, image_shape=(4, 4), **({"transforms": ["rotate", "scale"]} | kw)
        ),
        {"transforms": ["rotate"]},
        AUTOENCODER,
    ),
}
ARGUMENTS = {
    ReconstructionDisplay: (IMAGES,),
    CovarianceDisplay: (IMAGES, Y),
    InvarianceDisplay: (IMAGES,),
}
OPTIONS = {InvarianceDisplay: {"image_shape": (4, 4)}}
displays = pytest.mark.parametrize("display", CASES, ids=lambda display: display.__name__)


@displays
def test_without_axes_it_draws_a_new_figure(display):
    drawn = CASES[display][0]()
    assert isinstance(drawn, display)
    assert plt.get_fignums() == [drawn.figure_.number]
    for axes in np.ravel(np.array(drawn.ax_, dtype=object)):
        assert axes.figure.figure is drawn.figure_
        assert axes.has_data()
    assert set(np.ravel(np.array(drawn.ax_, dtype=object))) == {axes for axes in drawn.figure_.axes if axes.has_data()}


@displays
def test_it_draws_into_the_given_axes_and_no_others(display):
    make, single, _ = CASES[display]
    figure, axes = plt.subplots(1, 2)
    drawn = make(ax=axes[1], **single)
    assert isinstance(drawn, display)
    assert drawn.ax_ is axes[1]
    assert drawn.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert figure.axes == list(axes)
    assert not axes[0].has_data()
    assert axes[1].has_data()
    axes[0].remove()
    figure.canvas.draw()


@displays
def test_plot_returns_itself_and_draws_again(display):
    drawn = CASES[display][0](**CASES[display][1])
    first = drawn.ax_
    figure, ax = plt.subplots()
    options = {"transform": "rotate"} if display is InvarianceDisplay else CASES[display][1]
    assert drawn.plot(ax, **options) is drawn
    assert drawn.ax_ is ax is not first
    assert drawn.figure_ is figure


@displays
def test_another_estimator_is_refused_by_name(display):
    wrong = CASES[display][2]
    options = OPTIONS.get(display, {})
    with pytest.raises(TypeError, match=f"{display.__name__} draws .*{type(wrong).__name__} has no "):
        display.from_estimator(wrong, *ARGUMENTS.get(display, ()), **options)
    for no_estimator in (type(wrong), None, IMAGES):
        with pytest.raises(TypeError, match="takes a fitted estimator"):
            display.from_estimator(no_estimator, *ARGUMENTS.get(display, ()), **options)
    with pytest.raises(NotFittedError, match="not fitted"):
        display.from_estimator(type(wrong)(), *ARGUMENTS.get(display, ()), **options)
    with pytest.raises(TypeError, match=r"ax must be a matplotlib\.axes\.Axes"):
        CASES[display][0](ax=plt.subplots(2)[1], **CASES[display][1])
    assert len(plt.get_fignums()) == 1  # that of the two axes


@displays
def test_it_is_exported(display):
    assert display.__name__ in sparsam.display.__all__
    assert display.__name__ in sparsam.__all__
    assert getattr(sparsam, display.__name__) is getattr(sparsam.display, display.__name__) is display


def test_filters_are_those_of_the_innermost_network():
    pipeline = make_pipeline(StandardScaler(), PCA()).fit(IMAGES)
    assert_array_equal(FilterDisplay.from_estimator(pipeline).filters, pipeline[-1].components_)
    search = GridSearchCV(PCA(), {"n_components": [2]}).fit(IMAGES)
    assert len(FilterDisplay.from_estimator(search).filters) == 2
    whitened = make_pipeline(StandardScaler(), Whitening("pca", n_components=5), PCA(2)).fit(IMAGES)
    of_inputs = whitened[-1].components_ @ whitened[1].whitening_
    assert_allclose(FilterDisplay.from_estimator(whitened).filters, of_inputs, atol=1e-12)
    first_layer = Fitted(coefs_=[np.ones((16, 3)), np.ones((3, 1))])
    assert FilterDisplay.from_estimator(first_layer).filters.shape == (3, 16)
    display = FilterDisplay.from_estimator(AUTOENCODER, image_shape=(2, 8), cmap="viridis")
    expected = filter_mosaic(AUTOENCODER.components_.reshape(5, 2, 8), cmap="viridis")
    assert_array_equal(display.image_.get_array(), expected)
    with pytest.raises(ValueError, match=r"image_shape = \(3, 5\) does not fit rows of 16 features"):
        FilterDisplay.from_estimator(AUTOENCODER, image_shape=(3, 5))


def test_columns_of_a_table_are_no_pixels_unless_they_have_a_shape():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(0.1, 0.9, size=(60, 6)), columns=list("abcdef"))
    model = sparsam.SparseAutoencoder(3, max_iter=2).fit(table)
    for draw in (FilterDisplay.from_estimator, lambda *a, **o: ReconstructionDisplay.from_estimator(*a, table, **o)):
        with pytest.raises(ValueError, match=r"6 are not a square image.*plot_weights\(model.components_"):
            draw(model)
        assert draw(model, image_shape=(2, 3)).image_ is not None
        plt.close("all")
    pixels = pd.DataFrame(rng.normal(size=(60, 16))).add_prefix("pixel")
    whitened = make_pipeline(Whitening("pca", n_components=10), model.set_params(output_activation="identity"))
    assert FilterDisplay.from_estimator(whitened.fit(pixels)).filters.shape == (3, 16)
    reduced = make_pipeline(PCA(10), model).fit(pixels)  # its weights are not of the columns that have names
    assert FilterDisplay.from_estimator(reduced).filters.shape == (3, 10)


@pytest.mark.parametrize("image_shape", [(4, 12), (12, 4), (4, 4, 3)])
def test_a_faint_filter_is_as_readable_as_a_strong_one_by_default(image_shape):
    filters = np.random.default_rng(0).normal(size=(3, 48)) * [[1.0], [1e-3], [1e-6]]
    shown = filters.reshape(3, *image_shape)
    one = {"border_width": 0, "n_columns": 1}
    for mosaic in (
        filter_mosaic(shown, **one),
        np.asarray(plot_filters(shown, library="PIL", **one)),
        FilterDisplay.from_filters(shown, **one).image_.get_array(),
        FilterDisplay.from_estimator(Fitted(components_=filters), image_shape=image_shape, **one).image_.get_array(),
    ):
        for tile in np.split(mosaic, 3):
            assert tile.min() == 0 or tile.max() == 255
    assert (np.ptp(mosaic, axis=2).max() > 0) == (len(image_shape) == 3)


NETWORK = Fitted(coefs_=[np.ones((3, 2))], transform=None, predict=None)  # on three features


@pytest.mark.parametrize(
    ("steps", "part", "ends"),
    [
        ((PCA(3), LogisticRegression()), "pipe[:-1]", "PCA"),
        ((PCA(3), StandardScaler(), LogisticRegression()), "pipe[:-2]", "PCA"),
        ((StandardScaler(), PCA(3), NETWORK), "pipe[:-1]", "PCA"),  # its weights are not those of pixels
    ],
)
@pytest.mark.parametrize("search", [False, True])
def test_a_pipeline_that_ends_beyond_the_filters_is_refused_with_the_part_that_has_them(steps, part, ends, search):
    model = make_pipeline(*steps).fit(IMAGES, IMAGES[:, 0] > 0.5)
    if search:
        model, part = Fitted(best_estimator_=model), part.replace("pipe", "search.best_estimator_")
    with pytest.raises(TypeError, match=rf"FilterDisplay draws .*pass {re.escape(part)}, which ends with {ends}"):
        FilterDisplay.from_estimator(model)
    inner = model.best_estimator_ if search else model
    assert FilterDisplay.from_estimator(inner[: int(part[part.index(":") + 1 : -1])]).filters.shape == (3, 16)


def test_reconstructions_of_a_pipeline_that_classifies_are_those_of_the_part_before():
    model = make_pipeline(PCA(3), LogisticRegression()).fit(IMAGES, IMAGES[:, 0] > 0.5)
    with pytest.raises(TypeError, match=r"Pipeline has no inverse_transform: pass pipe\[:-1\], which ends with PCA"):
        ReconstructionDisplay.from_estimator(model, IMAGES)
    assert ReconstructionDisplay.from_estimator(model[:-1], IMAGES).reconstructions.shape == (10, 16)


def test_reconstructions_go_through_the_whole_pipeline():
    pipeline = make_pipeline(StandardScaler(), PCA(3)).fit(IMAGES)
    display = ReconstructionDisplay.from_estimator(pipeline, IMAGES, n_patches=4)
    assert_allclose(display.reconstructions, pipeline.inverse_transform(pipeline.transform(IMAGES[:4])))
    assert_array_equal(display.patches, IMAGES[:4])
    assert len(ReconstructionDisplay.from_estimator(pipeline, pd.DataFrame(IMAGES), n_patches=None).patches) == 40


def test_residuals_are_of_y_named_by_its_columns():
    table = pd.DataFrame(Y, columns=["a / m", "b / kg", "c / s"])
    display = CovarianceDisplay.from_estimator(REGRESSOR, IMAGES, table)
    assert_allclose(display.residuals, Y - IMAGES[:, :3])
    assert display.ax_.shape == (4,)  # three pairs and the matrix
    assert [axes.get_xlabel() for axes in display.ax_] == ["", "a / m", "b / kg", ""]
    assert [axes.get_ylabel() for axes in display.ax_] == ["b / kg", "c / s", "", ""]
    assert [label.get_text() for label in display.ax_[3].get_xticklabels()] == ["a", "b", "c"]
    assert display.plot(outputs=1).ax_.get_xlabel() == "residual of b / kg"
    for outputs in (3, (0, 1, 2), (1, 1), -1, "a"):
        with pytest.raises(ValueError, match="outputs must be one or two different numbers from 0 to 2"):
            display.plot(outputs=outputs)
    with pytest.raises(ValueError, match=r"y has the shape \(40, 2\)"):
        CovarianceDisplay.from_estimator(REGRESSOR, IMAGES, Y[:, :2])
    with pytest.raises(TypeError, match="Fitted predicts nothing"):
        CovarianceDisplay.from_estimator(Fitted(predictive_covariance_=np.eye(3)), IMAGES, Y)


def test_label_noise_has_both_pictures_where_epsilon_was_estimated():
    display = LabelNoiseDisplay.from_estimator(CLASSIFIER)
    assert [text.get_text() for text in display.ax_[0].texts] == ["0.90", "0.10", "0.20", "0.80"]
    assert display.ax_[1].get_xlabel().startswith(r"$\epsilon$")
    assert display.plot(kind="matrix").ax_.get_ylabel() == "true label"
    given = LabelNoiseDisplay.from_matrix(CLASSIFIER.transition_matrix_)
    assert [label.get_text() for label in given.ax_.get_yticklabels()] == ["0", "1"]
    with pytest.raises(ValueError, match=r"no likelihood profile.*epsilon='estimate'"):
        given.plot(kind="profile")
    with pytest.raises(ValueError, match='kind must be "matrix" or "profile"'):
        given.plot(kind="both")


def test_numbers_of_a_transition_matrix_are_left_out_where_they_are_zero_or_have_no_room():
    T = np.full((10, 10), 0.004) + 0.96 * np.eye(10)
    ax = plot_transition_matrix(T)
    assert [text.get_text() for text in ax.texts] == ["0.96"] * 10
    assert {text.get_color() for text in ax.texts} == {"white"}
    assert not ax.child_axes
    _, small = plt.subplots(figsize=(1.2, 1.2))
    plot_transition_matrix(T, ax=small)
    assert not small.texts
    assert len(small.child_axes) == 1  # its color bar
    with pytest.raises(ValueError, match=r"square, got the shape \(2, 3\)"):
        plot_transition_matrix(np.ones((2, 3)))
    with pytest.raises(ValueError, match="classes must hold 10 names, one per row of the matrix, got 3"):
        plot_transition_matrix(T, classes="abc")


def test_several_transforms_do_not_fit_into_one_axes():
    make, _, _ = CASES[InvarianceDisplay]
    display = make()
    assert [axes.get_title() for axes in display.ax_] == ["rotate", "scale"]
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="ax can show one transform only: set transform to one of rotate, scale"):
        display.plot(ax)
    with pytest.raises(ValueError, match="transform must be one of the report's"):
        display.plot(ax, transform="twist")
    assert display.plot(transform="scale", quantity="same").ax_.get_ylabel() == "share of unchanged answers"


def _of_a_covariance_of_the_input(X, Y, options):
    """Draw it from a pipeline: residuals are scaled to the mean deviations."""
    settings = {"covariance": "input", "covariance_alpha": 0.01, "cv": None}
    pipe = make_pipeline(StandardScaler(), MultivariateNormalRegressor((), **settings, **options)).fit(X, Y)
    display = CovarianceDisplay.from_estimator(pipe, X, Y)
    deviations = pipe.predict(X, return_std=True)[1]
    expected = (Y - pipe.predict(X)) / deviations * np.sqrt(np.diag(pipe[-1].predictive_covariance_))
    assert_allclose(display.residuals, expected)
    return display


@pytest.mark.slow
def test_every_display_of_fitted_networks(tmp_path):
    X = rng.normal(size=(120, 16))
    Y = X[:, :2] + rng.normal(size=(120, 2))
    labels = np.where(X[:, 0] > 0, "above", "below")
    options = {"random_state": 0, "tol": 1e-2}
    autoencoder = make_pipeline(SparseAutoencoder(4, rho=0.2, output_activation="identity", **options)).fit(X)
    regressor = make_pipeline(StandardScaler(), MultivariateNormalRegressor((3,), alpha=0.01, cv=None, **options)).fit(
        X, Y
    )
    classifier = TangentPipeline(StandardScaler(), NoisyLabelClassifier((), alpha=0.01, **options)).fit(X, labels)
    drawn = [
        FilterDisplay.from_estimator(autoencoder),
        FilterDisplay.from_estimator(regressor),
        ReconstructionDisplay.from_estimator(autoencoder, X),
        CostCurveDisplay.from_estimator(autoencoder),
        CostCurveDisplay.from_estimator(classifier, x="evaluations"),
        CovarianceDisplay.from_estimator(regressor, X, Y),
        LabelNoiseDisplay.from_estimator(classifier),
        InvarianceDisplay.from_estimator(classifier, X, labels, image_shape=(4, 4), quantity="score"),
    ]
    assert drawn[1].filters.shape == (3, 16)
    assert_allclose(drawn[5].covariance, regressor[-1].predictive_covariance_)
    assert drawn[6].classes == ["above", "below"]
    drawn.append(_of_a_covariance_of_the_input(X, Y, options))
    for k, display in enumerate(drawn):
        display.figure_.savefig(tmp_path / f"{k}.png")
        assert (tmp_path / f"{k}.png").stat().st_size > 2000


@pytest.mark.slow
def test_dollars_in_names_of_columns_and_classes_open_no_mathematics(tmp_path):
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    prices = pd.DataFrame(X + noise, columns=["$_$", "US$ per A$"])
    regressor = sparsam.MultivariateNormalRegressor((), max_iter=3, tol=1.0).fit(X, prices)
    label = np.where(X[:, 0] > 0, "$^$", "b")
    classifier = sparsam.NoisyLabelClassifier((), epsilon=0.1, max_iter=3, tol=1.0).fit(X, label)
    for display in (
        sparsam.CovarianceDisplay.from_estimator(regressor, X, prices),
        sparsam.LabelNoiseDisplay.from_estimator(classifier),
    ):
        display.figure_.savefig(tmp_path / "picture.png")
        plt.close(display.figure_)
