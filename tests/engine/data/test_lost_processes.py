"""Which processes of a distributed run were lost, as the runtime knows it."""

import jax
import pytest
from jax._src import distributed

from sparsam.engine.data import devices


class Client:
    def __init__(self, living):
        self.living = living

    def get_live_nodes(self, processes):
        if self.living is None:
            raise RuntimeError("UNAVAILABLE: failed to connect to all addresses")
        return self.living


@pytest.mark.parametrize(
    ("process", "living", "lost"),
    [(0, [0, 2], "1"), (1, [1], "0, 2"), (1, None, "0")],  # process 0 answers for the others
)
def test_lost_processes_are_named(monkeypatch, process, living, lost):
    monkeypatch.setattr(distributed.global_state, "client", Client(living))
    monkeypatch.setattr(devices, "n_processes", lambda mesh: 3)
    monkeypatch.setattr(jax, "process_index", lambda: process)
    with pytest.raises(ConnectionError, match=f"process {lost} of 3 was lost"), devices.name_lost_processes(None):
        raise jax.errors.JaxRuntimeError("Gloo all-reduce failed: Connection closed by peer")


def test_an_error_of_a_run_that_is_whole_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(distributed.global_state, "client", Client([0, 1, 2]))
    monkeypatch.setattr(devices, "n_processes", lambda mesh: 3)
    with pytest.raises(jax.errors.JaxRuntimeError, match="another"), devices.name_lost_processes(None):
        raise jax.errors.JaxRuntimeError("another")
