r"""
What word vectors are made of
=============================

Word vectors know that March is a month and that Ohio is a state, but none of their 50 axes says so.
A sparse autoencoder with more units than axes finds directions that do: each word is rebuilt from a
few units, and many of the units stand for something that has a name.
"""

# %%
# The 3,000 most frequent English words of three letters and more, with vectors of GloVe
# (Pennington, Socher and Manning, 2014; public domain), scaled to length 1, so that all words have
# the same weight.
import numpy as np

with np.load("../data/word_vectors.npz") as file:  # in this example's folder
    words, vectors = file["words"], file["vectors"].astype(np.float32)
X = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

# %%
# ``sparsity="l1"`` sets a price ``beta`` on all activity, so that ReLU units are exactly 0 on most
# words. With four times as many units as axes there is a unit for many a theme. A larger ``beta``
# than the default, 0.05, leaves fewer active: a tenth of the units.
from sparsam import SparseAutoencoder

autoencoder = SparseAutoencoder(
    200,
    sparsity="l1",
    beta=0.08,
    hidden_activation="relu",
    output_activation="identity",
    random_state=0,
)
Z = autoencoder.fit_transform(X)
print(f"{(Z > 0).sum(axis=1).mean():.1f} of 200 units are active on a word, on average,")
print(f"and explain {autoencoder.explained_variance_ratio_:.0%} of the variance")

# %%
# Read the ten strongest words of a unit, and say what they have in common. Here are twelve units,
# each found by a word on which it is the strongest: z_j times the length of its weights to the
# outputs is the length that it adds to the reconstruction.
described = {
    "february": "months",
    "sister": "family",
    "guilty": "criminal trials",
    "album": "popular music",
    "eastern": "compass points",
    "bosnian": "Yugoslav wars",
    "israel": "Israel, Palestine",
    "johnson": "surnames",
    "aircraft": "aviation",
    "car": "cars",
    "soccer": "kinds of sport",
    "stocks": "stock exchange",
}
row = {word: k for k, word in enumerate(words)}
W, b = autoencoder.coefs_[1], autoencoder.intercepts_[1]
lengths = np.linalg.norm(W, axis=1)
units = [int(np.argmax(Z[row[word]] * lengths)) for word in described]


def strongest_words(unit, n=10):
    """The words with the highest activation."""
    return words[np.argsort(-Z[:, unit], kind="stable")[:n]]


for unit, description in zip(units, described.values(), strict=True):
    print(f"{description:18s}", *strongest_words(unit))

# %%
# Not all are pure: the family has an actress and two names of queens, and the wars of Yugoslavia
# have Lebanon. Would another start find the same units? Each of the twelve is compared with the
# most similar unit of a second fit: the cosine of their weights to the outputs.
from sklearn.base import clone

again = clone(autoencoder).set_params(random_state=1).fit(X)
W_again = again.coefs_[1]
cosines = (W @ W_again.T) / np.outer(lengths, np.linalg.norm(W_again, axis=1))
most_similar = cosines.max(axis=1)
print("the twelve:", *(f"{cosine:.2f}" for cosine in most_similar[units]))
print(f"all 200:    mean {most_similar.mean():.2f}, {np.mean(most_similar > 0.9):.0%} above 0.9")

# %%
# The twelve were chosen because they come back, which fewer than half of all units do. What a unit
# stands for is only worth a name if it does not depend on the start.
#
# The picture has the four strongest words of each of the twelve units: nearly all activity lies on
# the diagonal.
import matplotlib.pyplot as plt

shown = list(dict.fromkeys(word for unit in units for word in strongest_words(unit, 4)))
activations = Z[[row[word] for word in shown]][:, units]
activations = activations / Z[:, units].max(axis=0)
figure, ax = plt.subplots(figsize=(9.5, 3.4), layout="constrained")
image = ax.imshow(activations.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
ax.set_xticks(range(len(shown)), shown, rotation=90, fontsize=8)
ax.set_yticks(range(len(units)), described.values(), fontsize=9)
ax.set_xticks(np.arange(len(shown)) - 0.5, minor=True)
ax.set_yticks(np.arange(len(units)) - 0.5, minor=True)
ax.grid(which="minor", color="white", linewidth=0.8)
ax.tick_params(which="both", length=0)
ax.spines[:].set_visible(False)
_ = figure.colorbar(image, label="activation / its maximum", pad=0.01)

# %%
# A word is the sum of its units, and rebuilt from the k strongest of them better and better.


def rebuilt(word, k):
    """The reconstruction from the k strongest units, and the numbers of these."""
    z = Z[row[word]]
    kept = np.argsort(-z * lengths)[:k]
    return z[kept] @ W[kept] + b, kept


mean = X.mean(axis=0)


def explained(word, k):
    """Share of the word's squared distance from the mean of all words."""
    x = X[row[word]]
    return 1 - np.sum((rebuilt(word, k)[0] - x) ** 2) / np.sum((x - mean) ** 2)


for word in ("october", "cancer"):
    print(word)
    for k in (1, 2, 3, 4, 6, 10):
        unit = rebuilt(word, k)[1][-1]
        print(f"  k = {k:2d}: {explained(word, k):4.0%}  with", *strongest_words(unit, 3))

# %%
n_units = np.arange(1, 31)
shares = np.array([[explained(word, k) for k in n_units] for word in words[::10]])
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
low, median, high = np.percentile(shares, [10, 50, 90], axis=0)
ax.fill_between(n_units, low, high, alpha=0.25, linewidth=0, label="80 % of the words")
ax.plot(n_units, median, label="median")
ax.set(xlabel="strongest units, k", ylabel="explained share of a word", ylim=(0, 1), xlim=(1, 30))
_ = ax.legend(loc="lower right")

# %%
# Is a unit one thing? Its coherence is the mean cosine between its ten strongest words, about the
# mean of all words: 1 if they are the same, 0 for words at random.
directions = X - mean
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
coherence = np.empty(200)
for unit in range(200):
    u = directions[np.argsort(-Z[:, unit], kind="stable")[:10]]
    coherence[unit] = (np.sum(u.sum(axis=0) ** 2) - 10) / 90
least, median, greatest = np.percentile(coherence, [0, 50, 100])
print(f"median coherence {median:.2f}, from {least:.2f} to {greatest:.2f}")
for unit in np.argsort(coherence)[:8]:
    print(f"{coherence[unit]:.2f}", *strongest_words(unit))

# %%
# The units of least coherence have no clear meaning, and it would be wrong to make up a name for
# them. Some join several themes, others have a theme for a few words and chance for the rest.
# Strong words alone flatter a unit, too: it is active on a tenth of all words, with less and less
# to do with its theme the weaker it is. A report has words drawn at random from those, for each
# unit, and a search that rebuilds any word, as above:
#
# .. code-block:: python
#
#    sparsam.report(autoencoder, X, names=words, path="words.html")
months = units[0]
active = np.flatnonzero(Z[:, months] > 0)
drawn = np.random.default_rng(0).choice(active, 10, replace=False)
print(f"the unit of months is active on {len(active)} words, among them")
print(*words[drawn])
