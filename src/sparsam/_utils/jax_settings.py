"""JAX under settings of its own: what a program sets for itself neither breaks a fit nor changes a bit of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax
import numpy as np
from jax.typing import DTypeLike

__all__ = ["own_settings"]


@contextmanager
def own_settings(dtype: DTypeLike) -> Iterator[None]:
    """Scope in which JAX computes in ``dtype``, float32 or float64, by its defaults.

    The settings are those of the thread, and are restored at the end. Settings that change no result, such as where
    to compute, what to log and how random numbers are drawn, are left as they are.
    """
    with ExitStack() as scope:
        for setting in (
            jax.enable_x64(np.dtype(dtype) == np.float64),
            jax.numpy_rank_promotion("allow"),
            jax.numpy_dtype_promotion("standard"),
            jax.default_matmul_precision(None),  # products that need one name it
            jax.transfer_guard("allow"),
            jax.disable_jit(False),
            # J that is not finite is a result, of which the minimizer makes something.
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.check_tracer_leaks(False),  # it forgets what has been compiled
        ):
            scope.enter_context(setting)
        yield
