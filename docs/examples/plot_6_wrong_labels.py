r"""
Finding wrong labels
====================

A fifth of the labels of a data set are wrong, and nobody knows which. `NoisyLabelClassifier`
knows that labels may be wrong (PRML exercise 5.4): it estimates how often, learns the true ones,
and names the suspects.
"""

# %%
# 1,200 digits, 20 % of whose labels are replaced by another digit. 597 further ones with their
# true labels show what was learned.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sparsam import NoisyLabelClassifier

rng = np.random.default_rng(0)
X, truth = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16.0, truth, train_size=1200, random_state=0
)
is_wrong = rng.random(1200) < 0.2
given = np.where(is_wrong, (y_train + rng.integers(1, 10, size=1200)) % 10, y_train)
print(f"{is_wrong.sum()} of 1200 labels are wrong")

# %%
# The probability of a wrong label is estimated from labels that were held out, each once, and the
# weight decay, of three, with it. The labels trained on are no judge: a network that is large
# enough, and is trained long enough, explains wrong labels as well as right ones.
from sparsam.display import plot_likelihood_profile

decays = (1e-3, 3e-3, 1e-2)
model = NoisyLabelClassifier((50,), epsilon="estimate", alpha=decays, random_state=0)
model.fit(X_train, given)
low, high = model.likelihood_profile_.interval
print(f"estimated epsilon: {model.epsilon_:.3f}, in [{low:.3f}, {high:.3f}]")
print(f"really wrong:      {is_wrong.mean():.3f}")
_ = plot_likelihood_profile(model.likelihood_profile_)

# %%
# **Is the truth learned better?** The same network with ``epsilon=0``, which believes every
# label, and two from scikit-learn.
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

believer = NoisyLabelClassifier(
    (50,), epsilon=0.0, alpha=decays, early_stopping=True, random_state=0
)
mlp = MLPClassifier((50,), activation="tanh", early_stopping=True, max_iter=1000, random_state=0)
peers = {
    "epsilon estimated": model,
    "epsilon = 0": believer.fit(X_train, given),
    "MLPClassifier": mlp.fit(X_train, given),
    "LogisticRegression": LogisticRegression(C=0.1, max_iter=2000).fit(X_train, given),
}
for name, peer in peers.items():
    print(
        f"{name:20s}: {peer.score(X_test, y_test):.3f} of the test digits right, "
        f"log-loss {log_loss(y_test, peer.predict_proba(X_test)):.2f}"
    )

# %%
# **Which labels are wrong?** ``find_label_errors`` names those that are wrong with a
# probability of more than one half, the most suspect first.
suspects = model.find_label_errors(X_train, given)
print(f"{len(suspects)} suspects, {is_wrong[suspects].sum()} of them rightly so")
print(f"of {is_wrong.sum()} labels that are wrong")

# %%
# Here are the first twenty, with the label given to them, and what the model takes them for.
import matplotlib.pyplot as plt

# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(2, 10, figsize=(9, 2.8), layout="constrained")
for ax, n, seen in zip(axes.flat, suspects, model.predict(X_train[suspects]), strict=False):
    ax.imshow(X_train[n].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"given {given[n]}\nrather {seen}", fontsize=9)
    ax.axis("off")
plt.show()

# %%
# And those that it was wrong about: right labels that it suspects, and wrong ones that it let
# pass.
missed = np.setdiff1d(np.flatnonzero(is_wrong), suspects)
falsely = np.setdiff1d(suspects, np.flatnonzero(is_wrong))
print(f"{len(falsely)} right labels are suspected, {len(missed)} wrong ones are not")
