"""A folder of odd files, read by `load_images` and by the commands: every image is right, or its file is refused."""

import json
import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

from sparsam import SparseAutoencoder, save
from sparsam.images import load_images

pytest.importorskip("h5py")
pytestmark = pytest.mark.slow

SMALL = ("--n-patches", 200, "--patch-size", 4, "--n-components", 3, "--max-iter", 2, "--border", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def outcomes(folder):
    """Return the expected result of each file, by its path."""
    make = runpy.run_path(str(Path(__file__).with_name("odd_files.py")))["make"]
    found = {folder / name: outcome for name, outcome in make(folder).items()}
    return {path: found[path] for path in sorted(found, key=lambda path: path.parts)}


def differences(images, outcome):
    """Describe how images differ from the expected ones."""
    if len(images) != len(outcome.images):
        return f"{len(images)} images instead of {len(outcome.images)}"
    for image, expected in zip(images, outcome.images, strict=True):
        if image.shape != expected.shape or image.dtype != np.float64:
            return f"{image.dtype} {image.shape} instead of {expected.shape}"
        distance = np.abs(image - expected).max() / max(1, np.abs(expected).max())
        if distance > outcome.tolerance:
            return f"differs by {distance:.3g}"
    return None


def test_there_are_two_hundred(outcomes):
    refused = [path for path, outcome in outcomes.items() if outcome.refusal]
    assert len(outcomes) >= 200
    assert 60 <= len(refused) <= len(outcomes) - 100


def test_each_file_has_its_images_or_is_refused_by_name(outcomes):
    wrong = {}
    for path, outcome in outcomes.items():
        try:
            images = load_images(path)
        except (ValueError, FileNotFoundError) as error:
            words = outcome.refusal
            if words is None or str(path) not in str(error) or not re.search(words, str(error), re.DOTALL):
                wrong[path.name] = str(error)
        else:
            difference = "not refused" if outcome.refusal else differences(images, outcome)
            if difference:
                wrong[path.name] = difference
    assert wrong == {}


def test_the_folder_gives_them_all_and_names_what_it_skips(folder, outcomes):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = iter(load_images(folder))
    wrong = {}
    for path, outcome in outcomes.items():
        of_file = [next(images) for _ in outcome.images]
        difference = differences(of_file, outcome)
        if difference:
            wrong[path.name] = difference
    assert wrong == {}
    assert next(images, None) is None
    skipped = [str(warning.message) for warning in caught if "skipped" in str(warning.message)]
    refused = [path for path, outcome in outcomes.items() if outcome.refusal]
    assert len(skipped) == len(refused)
    for message, path in zip(skipped, refused, strict=True):
        assert message.startswith(f"skipped {path}: cannot be read: ")
        assert re.search(outcomes[path].refusal, message, re.DOTALL)


def test_learn_walks_the_folder(run, folder, outcomes, tmp_path):
    result = run("learn", folder, *SMALL, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["data"]["n_images"] == sum(len(outcome.images) for outcome in outcomes.values())
    assert np.isfinite(metrics["J"])
    skipped = re.findall(r"^skipped (.*?): cannot be read: \S", result.stderr, re.MULTILINE)
    assert skipped == [str(path) for path, outcome in outcomes.items() if outcome.refusal]


def test_learn_takes_single_files_or_names_them(run, outcomes, tmp_path, reduction):
    learned = set()
    refused = [path for path, outcome in outcomes.items() if outcome.refusal][::reduction]
    for path, outcome in outcomes.items():
        if outcome.refusal and path not in refused:
            continue
        kind = path.suffix.lower()
        if outcome.refusal is None and kind in learned:
            continue  # one of each kind is enough, since their contents are tested above
        result = run("learn", path, *SMALL, "--out", tmp_path / "run", "--overwrite", "--verbose", 0)
        if outcome.refusal is None:
            learned.add(kind)
            assert result.exit_code == 0, (path, result.output)
        else:
            assert result.exit_code == 1, path
            last = result.stderr[result.stderr.index("Error: ") :]
            assert str(path) in last
            assert re.search(outcome.refusal, last, re.DOTALL), (path, last)
            assert "Traceback" not in result.output
    assert len(learned) >= 9


def test_encode_takes_rows_or_names_the_file(run, outcomes, tmp_path, reduction):
    """The command encodes a table with the model's features, even if it was made as an image, and refuses the rest."""
    model, codes = tmp_path / "model.safetensors", tmp_path / "codes.npy"
    rows = np.random.default_rng(0).uniform(0.1, 0.9, (60, 16))
    estimator = SparseAutoencoder(3, max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(estimator.fit(rows), model)
    encoded, others = set(), [path for path in outcomes if not path.name.endswith("-image.npy")][::reduction]
    for path, outcome in outcomes.items():
        if path not in others and not path.name.endswith("-image.npy"):
            continue
        result = run("encode", model, path, "-o", codes, "--overwrite")
        if path.name.endswith("-image.npy"):  # 14 rows of 16 numbers
            assert result.exit_code == 0, (path, result.output)
            np.testing.assert_allclose(np.load(codes), estimator.transform(outcome.images[0]), rtol=1e-5, atol=1e-6)
            encoded.add(path)
            codes.unlink()
        else:
            assert result.exit_code == 1, (path, result.output)
            assert result.stderr.startswith("Error: ")
            assert path.name in result.stderr, result.stderr
            assert "Traceback" not in result.output
            assert not codes.exists()
    assert len(encoded) == 10
