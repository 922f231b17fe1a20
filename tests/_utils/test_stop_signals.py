import gc
import signal
import threading

import pytest

from sparsam._utils.stop_signals import AGAIN_SECONDS, Interrupts, StopSignals, hold_interrupts, interrupts
from sparsam._utils.worker_threads import worker_threads
from sparsam.cli.interrupts import handle_interrupts


@pytest.fixture(autouse=True)
def usual_ctrl_c():
    """Install Python's default handler, whatever handler the tests were started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_held_interrupt_comes_at_the_end_of_the_scope_once():
    done = []

    def work():
        with hold_interrupts():
            with hold_interrupts():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_held_interrupt_goes_to_the_handler_of_the_program():
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with hold_interrupts():
        signal.raise_signal(signal.SIGINT)
        assert heard == []
    assert heard == [signal.SIGINT]


def test_other_threads_hold_nothing_back():
    def work():
        with hold_interrupts():
            return signal.getsignal(signal.SIGINT)

    with worker_threads(1) as threads:
        assert threads.submit(work).result() is signal.default_int_handler


def test_worker_threads_have_ended_when_ctrl_c_comes_in_their_join():
    leaving, ended = threading.Event(), []

    def work():
        assert leaving.wait(60)
        signal.raise_signal(signal.SIGINT)  # the main thread receives it
        ended.append(True)

    def scope():
        with worker_threads(1) as threads:
            threads.submit(work)
            leaving.set()

    with pytest.raises(KeyboardInterrupt):
        scope()
    assert ended == [True]


def test_a_second_interrupt_within_five_seconds_is_of_the_program():
    now = [100.0]
    heard = Interrupts(clock=lambda: now[0])
    ends_fit_alone = []
    for seconds in (0.0, AGAIN_SECONDS, AGAIN_SECONDS - 1.0, 1.0, 60.0):
        now[0] += seconds
        ends_fit_alone.append(heard.end_fit())
    assert ends_fit_alone == [True, True, False, False, True]


def test_signals_that_are_deferred_know_of_a_fit_that_one_has_ended(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(interrupts, "clock", lambda: now[0])
    with StopSignals().deferred():
        signal.raise_signal(signal.SIGINT)
    with StopSignals().deferred(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    now[0] += AGAIN_SECONDS
    with StopSignals().deferred():
        signal.raise_signal(signal.SIGINT)


def test_a_command_does_not_lose_ctrl_c_in_garbage_collection():
    sent = []

    def callback(phase, info):
        if phase == "stop" and not sent:
            sent.append(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    def work():
        gc.collect()
        threading.Event().wait(60)

    handle_interrupts()
    gc.callbacks.append(callback)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        gc.callbacks.remove(callback)


def test_a_command_whose_caller_ignores_ctrl_c_ignores_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
