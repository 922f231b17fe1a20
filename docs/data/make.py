"""Write the example tables from data sets that come with scikit-learn, and word vectors of GloVe.

Run ``python docs/data/make.py`` for the tables, and ``python docs/data/make.py glove.6B.50d.txt``
for the word vectors.
"""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_digits

NAMES = {
    "s1": "cholesterol",
    "s2": "ldl",
    "s3": "hdl",
    "s4": "ratio",
    "s5": "log_triglycerides",
    "s6": "glucose",
    "target": "progression",
}


def diabetes() -> pd.DataFrame:
    """Return the table of patients in its own units, with names for the measurements."""
    return load_diabetes(as_frame=True, scaled=False).frame.rename(columns=NAMES)


def wrong_digits() -> np.ndarray:
    """Return whether the label of each digit is made wrong: one in ten, drawn with seed 0."""
    return np.random.default_rng(0).random(1797) < 0.1


def digits() -> pd.DataFrame:
    """Return digits of 4 x 4 pixels, sums of 2 x 2 original ones, with some wrong labels."""
    pixels, truth = load_digits(return_X_y=True)
    coarse = pixels.reshape(-1, 4, 2, 4, 2).sum(axis=(2, 4)).reshape(-1, 16).astype(int)
    another = (truth + np.random.default_rng(1).integers(1, 10, size=len(truth))) % 10
    names = [f"row{i}_column{j}" for i in range(4) for j in range(4)]
    table = pd.DataFrame(coarse, columns=names)
    return table.assign(digit=np.where(wrong_digits(), another, truth))


def word_vectors(lines, n_words: int = 3000) -> dict[str, np.ndarray]:
    """Return the most frequent words of at least three letters, and their vectors in float16.

    Each line of GloVe's file is a word and its numbers, the most frequent word first.
    """
    split = (line.split() for line in lines)
    long_words = (parts for parts in split if parts[0].isalpha() and len(parts[0]) > 2)
    found = list(islice(long_words, n_words))
    return {
        "words": np.array([word for word, *_ in found]),
        "vectors": np.array([numbers for _, *numbers in found], dtype=np.float16),
    }


if __name__ == "__main__":
    folder = Path(__file__).parent
    if sys.argv[1:]:
        with Path(sys.argv[1]).open(encoding="utf-8") as lines:
            np.savez_compressed(folder / "word_vectors.npz", **word_vectors(lines))
        sys.exit()
    diabetes().to_csv(folder / "diabetes.csv", index=False)
    digits().to_csv(folder / "digits.csv", index=False)
