"""Files of `AutoencoderOutlierDetector`: detectors come back to the bit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from sparsam import AutoencoderOutlierDetector, SparseAutoencoder, StackedAutoencoder, load, save
from sparsam.preprocessing import Whitening

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]

ROWS = pd.DataFrame(np.random.default_rng(0).uniform(0.1, 0.9, size=(30, 4)), columns=list("abcd"))


def small(**options):
    return SparseAutoencoder(3, beta=0.0, random_state=0, max_iter=5, output_activation="identity", **options)


AUTOENCODERS = {
    "default": None,
    "alone": small(),
    "stack": StackedAutoencoder([small(), small()], max_iter=3, random_state=0),
    "pipeline": make_pipeline(Whitening("pca"), small()),
    "scaled": make_pipeline(StandardScaler(with_mean=False), small()),
    "minimum and maximum": make_pipeline(MinMaxScaler(), small()),
    "frozen": "frozen",  # fitted in the test
}


@pytest.mark.parametrize("autoencoder", AUTOENCODERS.values(), ids=AUTOENCODERS)
@pytest.mark.parametrize("contamination", ["auto", 0.2])
def test_detectors_come_back_to_the_bit(autoencoder, contamination, tmp_path):
    if autoencoder == "frozen":
        autoencoder = FrozenEstimator(make_pipeline(StandardScaler(with_std=False), small()).fit(ROWS))
    model = AutoencoderOutlierDetector(autoencoder, contamination=contamination, random_state=0).fit(ROWS)
    save(model, tmp_path / "detector.safetensors")
    loaded = load(tmp_path / "detector.safetensors")
    assert vars(loaded).keys() == vars(model).keys()
    assert repr(loaded) == repr(model)
    assert (loaded.decision_function(ROWS) == model.decision_function(ROWS)).all()
    pd.testing.assert_frame_equal(loaded.explain(ROWS), model.explain(ROWS), check_exact=True)
    assert loaded.fit(ROWS).offset_ == pytest.approx(model.offset_, rel=1e-6)


def test_steps_that_no_file_holds_are_named(tmp_path):
    model = AutoencoderOutlierDetector(make_pipeline(RobustScaler(), small())).fit(ROWS)
    with pytest.raises(TypeError, match="can be saved, not RobustScaler"):
        save(model, tmp_path / "detector.safetensors")
