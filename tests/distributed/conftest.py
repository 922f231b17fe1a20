"""Fixtures of the tests with several processes."""

import socket

import pytest


@pytest.fixture(scope="session")
def free_port():
    """Find a free port."""

    def find():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find
