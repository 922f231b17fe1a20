"""Ctrl-C is raised, even where Python would lose it."""

import gc
import signal
import time
import weakref

import pytest

from sparsam._utils.interrupts import raise_interrupt, safe_interrupts


def collect_and_wait():
    with safe_interrupts():
        gc.collect()
        for _ in range(3000):  # until Ctrl-C arrives
            time.sleep(0.01)


def test_ctrl_c_in_a_callback_of_the_garbage_collector_is_raised_after_it():
    """Python only prints an exception that a callback raises."""
    sent = []

    def press(phase, info):
        if phase == "start" and not sent and signal.getsignal(signal.SIGINT) is raise_interrupt:  # within the scope
            sent.append(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(press)
    try:
        with pytest.raises(KeyboardInterrupt):
            collect_and_wait()
    finally:
        gc.callbacks.remove(press)
    assert sent
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class PressesWhenDeleted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


class PressesWhenForgotten(weakref.WeakValueDictionary):
    """Its callback of a weak reference, in Python's module weakref, presses Ctrl-C by way of the key's hash."""

    class Key:
        pressing = False

        def __hash__(self):
            if self.pressing:
                signal.raise_signal(signal.SIGINT)
            return 0


def delete_and_wait(objects):
    with safe_interrupts():
        objects.clear()
        for _ in range(3000):  # until Ctrl-C arrives
            time.sleep(0.01)


def test_ctrl_c_while_an_object_is_deleted_is_raised_after_it():
    """Python only prints an exception that __del__ or a callback of a weak reference raises."""
    with pytest.raises(KeyboardInterrupt):
        delete_and_wait([PressesWhenDeleted()])
    forgotten, key = PressesWhenForgotten(), PressesWhenForgotten.Key()
    value = type("Value", (), {})()
    forgotten[key], key.pressing = value, True
    objects = [value]
    del value
    with pytest.raises(KeyboardInterrupt):
        delete_and_wait(objects)


def test_a_handler_of_the_program_stays():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with safe_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
