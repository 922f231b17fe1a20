"""The time that a fit may take, divided among its trainings."""

import pytest

from sparsam.estimators._training import time_budget as module
from sparsam.estimators._training.time_budget import TimeBudget


def test_the_last_training_has_half_of_the_time_and_what_is_left_over(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    budget = TimeBudget(60.0, start=100.0)
    for n_to_come in (6, 5, 4):
        assert budget.share(n_to_come) == pytest.approx(6.0)
        clock[0] += 6.0
    clock[0] -= 2.0  # the last one took four
    assert budget.share(3) == pytest.approx(7.0)
    clock[0] += 14.0
    assert budget.share(1) == pytest.approx(30.0)
    clock[0] += 100.0
    assert budget.share(3) == budget.share(1) == 0
    assert TimeBudget(None).share(3) is None
