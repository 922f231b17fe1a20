"""A program's own settings of JAX do not break the estimators, nor change a bit of their results."""

import threading
import warnings
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from sparsam import (
    Checkpoint,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    TangentPipeline,
    encoder_tangents,
)
from sparsam.engine import precision
from sparsam.estimators.fit_many import fit_many
from sparsam.verification.spot_check import spot_check

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (60, 6))
Y = X[:, :2] @ np.array([[1.0, 0.5], [-0.5, 1.0]]) + 0.1 * RNG.normal(size=(60, 2))
LABELS = (X[:, 0] > 0.5).astype(int)
TANGENTS = np.tile(np.eye(6)[None, 5:], (60, 1, 1))


class Rows:
    """Streamed rows."""

    def __iter__(self):
        yield from np.split(X, 4)


def autoencoder(**parameters):
    return SparseAutoencoder(3, rho=0.2, beta=0.1, random_state=0, max_iter=12, **parameters)


def fit_autoencoder():
    model = autoencoder().fit(X)
    coded = model.transform(X)
    yield from (*model.coefs_, coded, model.inverse_transform(coded), model.predict(X), model.score_samples(X))
    yield from (model.cost(X), model.score(X), encoder_tangents(X, model, 1))


def fit_in_float64_with_checkpoints(folder):
    model = autoencoder(dtype="float64", output_activation="identity", checkpoint=Checkpoint(folder, every=0)).fit(X)
    yield from (*model.coefs_, model.predict(X))


def fit_regressor():
    model = MultivariateNormalRegressor((3,), random_state=0, max_iter=12).fit(X, Y)
    yield from (*model.coefs_, model.covariance_, model.predict(X), model.score(X, Y), model.mean_log_likelihood(X, Y))


def fit_classifier():
    model = NoisyLabelClassifier((3,), random_state=0, max_iter=12, early_stopping=True).fit(X, LABELS)
    yield from (*model.coefs_, model.predict_proba(X), model.label_error_proba(X, LABELS), model.score(X, LABELS))


def fit_tangent_pipeline():
    network = NoisyLabelClassifier((3,), epsilon=0.0, tangent_weight=1.0, random_state=0, max_iter=12)
    model = TangentPipeline(StandardScaler(), network).fit(X, LABELS, tangents=TANGENTS)
    yield from (*model.estimator_.coefs_, model.predict_proba(X))


def fit_streamed():
    model = autoencoder().fit(Rows())
    yield from (*model.coefs_, model.transform(Rows()), model.cost(Rows()))


def fit_together():
    fitted = {}
    estimators = [autoencoder(alpha=alpha) for alpha in (1e-4, 1e-2)]
    fit_many(estimators, X, lambda number, model: fitted.update({number: model}))
    for number in range(2):
        yield from fitted[number].coefs_


def verify():
    checked = spot_check(X[:20], n_components=3, random_state=0)
    yield from (checked.autodiff, [derivative.autodiff for derivative in checked.derivatives])


JOBS = {
    "autoencoder": fit_autoencoder,
    "checkpoints": fit_in_float64_with_checkpoints,
    "regressor": fit_regressor,
    "classifier": fit_classifier,
    "tangent pipeline": fit_tangent_pipeline,
    "streamed": fit_streamed,
    "together": fit_together,
    "verification": verify,
}


SETTINGS = [
    ("jax_numpy_rank_promotion", "raise"),
    ("jax_numpy_dtype_promotion", "strict"),
    ("jax_enable_x64", True),
    ("jax_debug_nans", True),
    ("jax_debug_infs", True),
    ("jax_transfer_guard", "disallow"),
    ("jax_transfer_guard", "disallow_explicit"),
    ("jax_transfer_guard_host_to_device", "disallow"),
    ("jax_transfer_guard_device_to_host", "disallow_explicit"),
    ("jax_disable_jit", True),
    ("jax_default_matmul_precision", "bfloat16"),
    ("jax_check_tracer_leaks", True),
]
LEFT_ALONE = [  # with these, JAX compiles all programs again
    ("jax_default_prng_impl", "rbg"),
    ("jax_threefry_partitionable", False),
    ("jax_log_compiles", True),
    ("jax_default_device", jax.devices()[0]),
    ("jax_enable_checks", True),
]
CASES = [(*setting, job) for setting in SETTINGS for job in JOBS]
CASES += [(*setting, "together") for setting in LEFT_ALONE]


def results_of(job, tmp_path_factory):
    arguments = (tmp_path_factory.mktemp("checkpoints"),) if job == "checkpoints" else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, which does not matter here
        return [np.asarray(result) for result in JOBS[job](*arguments)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Results with JAX's default settings."""
    return cache(lambda job: results_of(job, tmp_path_factory))


def setting_id(value):
    return str(value) if not isinstance(value, jax.Device) else "device"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value", "job"), CASES, ids=setting_id)
def test_settings_of_the_program_change_no_bit(name, value, job, plain, tmp_path_factory):
    expected, before = plain(job), getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        results = results_of(job, tmp_path_factory)
        assert getattr(jax.config, name) == value
    finally:
        jax.config.update(name, before)
    assert len(results) == len(expected) > 0
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted, strict=True)


SCOPES = {
    "rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "type promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "transfers": lambda: jax.transfer_guard("disallow"),
    "no jit": jax.disable_jit,
}


@pytest.mark.parametrize("scope", SCOPES)
def test_settings_of_a_scope_hold_in_callbacks_and_after_the_fit(scope, plain):
    def seen():
        values = jax.config
        return (
            values.jax_numpy_rank_promotion,
            values.jax_numpy_dtype_promotion,
            values.jax_transfer_guard_host_to_device,
            values.jax_disable_jit,
            values.jax_enable_x64,
        )

    in_callback = []
    with SCOPES[scope](), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        users = seen()
        model = autoencoder(callback=lambda progress: in_callback.append(seen())).fit(X)
        assert seen() == users
    assert set(in_callback) == {users}
    assert seen() != users
    np.testing.assert_array_equal(model.coefs_[0], plain("autoencoder")[0])


def test_threads_do_not_disturb_each_other():
    inside, checked, sums = threading.Event(), threading.Event(), []

    def promoting_sum():
        return jnp.ones(3) + jnp.ones((2, 3))

    def compute():
        with precision("float64"):
            inside.set()
            assert checked.wait(60)
            sums.append(promoting_sum())

    other = threading.Thread(target=compute)
    with jax.numpy_rank_promotion("raise"):
        other.start()
        assert inside.wait(60)
        with pytest.raises(ValueError, match="rank_promotion"):
            promoting_sum()
        assert jnp.ones(1).dtype == np.float32
        checked.set()
        other.join()
    assert [total.dtype for total in sums] == [np.float64]
