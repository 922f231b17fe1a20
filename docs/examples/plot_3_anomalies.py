"""
Anomalies are what cannot be reconstructed
==========================================

An autoencoder learns to reconstruct what it has seen. What it cannot reconstruct is unusual:
``score_samples`` is minus the squared error of each sample, so that small values mean anomalies.
"""

# %%
# The setting: only digits of one kind are known. What is trained on half of them must then tell
# the other half from all other digits. Ten kinds, ten problems.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from sparsam import SparseAutoencoder

X, label = load_digits(return_X_y=True)
X = X / 16.0


def area_under_roc(normality, is_normal):
    """How often a normal sample seems more normal than an anomaly."""
    return roc_auc_score(is_normal, normality)


rows = []
for kind in range(10):
    known, others = X[label == kind], X[label != kind]
    train, rest = known[::2], known[1::2]
    test = np.vstack([rest, others])
    is_normal = np.arange(len(test)) < len(rest)

    model = SparseAutoencoder(16, rho=0.2, beta=0.1, alpha=1e-3, random_state=0).fit(train)
    pca = PCA(16).fit(train)
    distance, _ = NearestNeighbors(n_neighbors=1).fit(train).kneighbors(test)
    rows.append(
        {
            "sparse autoencoder": model.score_samples(test),
            "principal components": -np.sum(
                (pca.inverse_transform(pca.transform(test)) - test) ** 2, axis=1
            ),
            "nearest neighbor": -distance[:, 0],
            "isolation forest": IsolationForest(random_state=0).fit(train).score_samples(test),
        }
    )
    rows[-1] = {name: area_under_roc(normality, is_normal) for name, normality in rows[-1].items()}

print(f"{'area under ROC':22s} mean  worst kind")
for name in rows[0]:
    areas = np.array([row[name] for row in rows])
    print(f"{name:22s} {areas.mean():.3f} {areas.min():.3f} ({areas.argmin()})")

# %%
# An autoencoder of a single kind does well here, and so does everything else that measures a
# distance to what is known; the isolation forest, which looks at one pixel at a time, does less
# well. What the autoencoder has beside the score is an answer to *why*: the reconstruction
# shows what was expected instead. Here one is trained on all digits; these are the ten that it
# finds the strangest, above what it made of them.
from sparsam.display import plot_reconstructions

model = SparseAutoencoder(49, rho=0.1, beta=0.1, alpha=1e-3, random_state=0).fit(X)
normality = model.score_samples(X)
strangest = np.argsort(normality)[:10]
_ = plot_reconstructions(X[strangest], model.predict(X[strangest]), n_patches=10)
print("labels:        ", *label[strangest])
print("squared errors:", *np.round(-2 * normality[strangest], 1))
print(f"median squared error of all digits: {np.median(-2 * normality):.1f}")
