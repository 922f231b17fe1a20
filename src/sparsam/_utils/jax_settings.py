"""Run JAX under fixed settings, so that a program's own settings neither break a fit nor change its result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax
import numpy as np
from jax.typing import DTypeLike

__all__ = ["own_settings"]


@contextmanager
def own_settings(dtype: DTypeLike) -> Iterator[None]:
    """Let JAX compute in ``dtype``, float32 or float64, with its default settings within the scope.

    Only the settings of this thread change, and they are restored at the end. Settings that change no result stay as
    they are: the device, logging, the random number generator.
    """
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
