r"""
Invariances that are known
==========================

A digit that is shifted by a pixel is the same digit. Tangent propagation (PRML exercise 5.26)
tells a network so: it penalizes how much the outputs change along directions that you name. How
much is that worth with few labels?
"""

# %%
# The tangents of an image are the derivatives by a shift, a turn and so on: blue where the
# picture would darken, red where it would brighten.
import numpy as np
from sklearn.datasets import load_digits

from sparsam.display import plot_tangents
from sparsam.images import image_tangents

X, y = load_digits(return_X_y=True)
X = X / 16.0
transforms = ("translate_x", "translate_y", "rotate", "scale")
tangents = image_tangents(X, (8, 8), transforms)
_ = plot_tangents(X[:4], tangents[:4], (8, 8), names=transforms)

# %%
# 100 digits to learn from, three draws of them. The weight decay of the network without
# tangents is chosen by cross-validation, and so are both weights of the one with.
#
# The other way to tell a network of shifts is to show it shifted digits. So there is a third
# one: it gets eight times the data, each digit and seven copies that are moved at random, and
# the weight decay of the first.
from functools import partial

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, train_test_split

from sparsam import NoisyLabelClassifier
from sparsam.images.transforms import transform_images

DECAYS = [3e-4, 3e-3]
SIZES = {
    "translate_x": 0.5,
    "translate_y": 0.5,
    "rotate": 0.15,
    "scale": 0.1,
}  # standard deviations of the moves

plain = NoisyLabelClassifier((50,), epsilon=0.0, tol=1e-4, random_state=0)
tangent = NoisyLabelClassifier(
    (50,),
    epsilon=0.0,
    tol=1e-4,
    random_state=0,
    tangents=partial(image_tangents, image_shape=(8, 8), transforms=transforms),
)


def moved_copies(images, n_copies, rng):
    """Move each image at random, several times."""
    copies = np.tile(images, (n_copies, 1))
    for transform, size in SIZES.items():
        copies = transform_images(copies, (8, 8), transform, rng.normal(0, size, size=len(copies)))
    return copies


errors = {"without": [], "tangents": [], "moved copies": []}
for draw in range(3):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=100, stratify=y, random_state=draw
    )
    without = GridSearchCV(plain, {"alpha": DECAYS}, scoring="neg_log_loss", cv=3).fit(
        X_train, y_train
    )
    grid = {"alpha": DECAYS, "tangent_weight": [3e-4, 1e-3, 3e-3]}
    along = GridSearchCV(tangent, grid, scoring="neg_log_loss", cv=3).fit(X_train, y_train)
    copies = moved_copies(X_train, 7, np.random.default_rng(draw))
    shown = clone(plain).set_params(**without.best_params_)
    shown = shown.fit(np.vstack([X_train, copies]), np.tile(y_train, 8))
    for name, network in zip(
        errors, (without.best_estimator_, along.best_estimator_, shown), strict=True
    ):
        errors[name].append(1 - network.score(X_test, y_test))

for name, by_draw in errors.items():
    print(f"{name:14s}: {np.mean(by_draw):.3f} ± {np.std(by_draw):.3f} of the test digits wrong")

# %%
# How often do the networks of the last draw stay with their answer when digits really are
# moved? ``invariance_report`` moves them.
from sparsam import invariance_report
from sparsam.display import plot_invariance

report = invariance_report(
    {"without": without.best_estimator_, "tangents": along.best_estimator_, "moved copies": shown},
    X_test[:500],
    y_test[:500],
    image_shape=(8, 8),
    transforms={"translate_x": [-1, -0.5, 0.5, 1], "rotate": [-0.3, -0.15, 0.15, 0.3]},
)
_ = plot_invariance(report, quantity="score")
print(report.groupby(["transform", "estimator"])["same"].mean().round(3))

# %%
# Digits of 8 x 8 pixels are a hard case: a shift by a pixel is an eighth of the picture, and a
# derivative tells of small moves only. Tangents help a little, and moved copies more. With
# larger images tangents take more of the errors away, and moved copies still more of them where
# there is time for so many: ``benchmarks/TANGENTS.md`` in the repository has both, on MNIST.
# Tangents are what there is where a direction is known but no finite move: learned ones
# (`encoder_tangents`), or those of a physical symmetry.
