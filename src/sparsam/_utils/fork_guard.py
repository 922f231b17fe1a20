"""Refuse to use JAX in a process that was forked after JAX had started.

A fork does not copy JAX's worker threads, and the child would wait for them forever. The fork is recorded, and the
first use of JAX in the child raises an error that names the alternatives.
"""

from __future__ import annotations

import os
import sys

__all__ = ["refuse_after_fork"]

_started_before_fork = False


def refuse_after_fork() -> None:
    """Raise RuntimeError in a process that was forked after JAX had started."""
    if _started_before_fork:
        raise RuntimeError(
            "this process was forked from one in which JAX had started, and would hang: JAX's threads do not survive a "
            "fork. Start processes afresh: joblib's default (loky), multiprocessing.get_context('spawn') or "
            "'forkserver', or fork before anything is fitted or computed"
        )


def _has_started() -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")  # JAX's public functions would start it
    return bool(getattr(bridge, "_backends", None))


def _in_child() -> None:
    global _started_before_fork
    _started_before_fork = _started_before_fork or _has_started()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
