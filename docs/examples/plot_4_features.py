"""
Features from what has no labels
================================

Labels are dear, images are cheap. A sparse autoencoder learns features from many digits without
their labels; a linear classifier then learns from the few that are labeled.
"""

# %%
# `SparseAutoencoder` is a scikit-learn transformer, so that the two make an ordinary pipeline,
# and ``GridSearchCV`` works on it. Here features are learned apart, since they see more digits
# than the classifier does: 1,200 without labels, of which a few are labeled; the other 597 are
# to be recognized.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsam import SparseAutoencoder
from sparsam.display import plot_filters

X, y = load_digits(return_X_y=True)
X = X / 16.0
unlabeled, labels, X_test, y_test = X[:1200], y[:1200], X[1200:], y[1200:]

autoencoder = SparseAutoencoder(100, rho=0.1, beta=0.3, alpha=3e-4, random_state=0).fit(unlabeled)
_ = plot_filters(autoencoder.components_)

# %%
# The same classifier on the pixels themselves, on 30 principal components, and on the sparse
# code. Whether its inputs are standardized is chosen by cross-validation. Four draws of the
# labeled digits.
codes = {
    "pixels": X,
    "principal components": PCA(30).fit(unlabeled).transform(X),
    "sparse code": autoencoder.transform(X),
}


def accuracies(code, n_labels):
    """On the test digits, one for each draw of labeled ones."""
    draws = StratifiedShuffleSplit(4, train_size=n_labels, random_state=0)
    classifier = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"standardscaler": [StandardScaler(), "passthrough"]},
        cv=3,
    )
    return [
        classifier.fit(code[:1200][labeled], labels[labeled]).score(code[1200:], y_test)
        for labeled, _ in draws.split(unlabeled, labels)
    ]


results = {name: {n: accuracies(code, n) for n in (30, 100, 300)} for name, code in codes.items()}
print(f"{'labels':22s}" + "".join(f"{n:>16d}" for n in (30, 100, 300)))
for name, by_number in results.items():
    print(
        f"{name:22s}" + "".join(f"{np.mean(a):9.3f} ± {np.std(a):.3f}" for a in by_number.values())
    )

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, by_number in results.items():
    means, deviations = (np.array([f(a) for a in by_number.values()]) for f in (np.mean, np.std))
    ax.errorbar(list(by_number), 1 - means, deviations, label=name, marker="o", capsize=3)
ax.set(
    xscale="log", xticks=[30, 100, 300], xlabel="digits with a label", ylabel="error on test digits"
)
ax.get_xaxis().set_major_formatter("{x:.0f}")
ax.minorticks_off()
ax.legend()
plt.show()
