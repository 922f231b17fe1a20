"""Run JAX under fixed settings, so that a program's own settings neither break a fit nor change its result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax
import numpy as np
from jax.typing import DTypeLike

from sparsam._utils.fork_guard import refuse_after_fork

__all__ = ["precision"]


@contextmanager
def precision(dtype: DTypeLike) -> Iterator[None]:
    """Let JAX compute in ``dtype``, float32 or float64, within the scope, whatever the settings of the user's program.

    All other settings that may change a result, such as promotion of types and ranks, transfer guards, and checks for
    NaN and infinity, are JAX's defaults too; the device, logging and the random number generator stay as they are. Only
    the settings of this thread change, and they are restored at the end.

    Raises
    ------
    RuntimeError
        In a process that was forked after JAX had started.
    """
    refuse_after_fork()
    with ExitStack() as scope:
        for setting in (
            jax.enable_x64(np.dtype(dtype) == np.float64),
            jax.numpy_rank_promotion("allow"),
            jax.numpy_dtype_promotion("standard"),
            jax.default_matmul_precision(None),  # products that need a certain precision request it
            jax.transfer_guard("allow"),
            jax.disable_jit(False),
            # A J that is not finite is a valid result; the minimizer handles it.
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.check_tracer_leaks(False),  # this check would discard compiled programs
        ):
            scope.enter_context(setting)
        yield
