"""Compiling fast: a training of half a second should not wait three for its compiler.

On CPU the time goes with the number of kernels, a dozen milliseconds each, and the minimizer's bookkeeping has over
a hundred. Measured on the notes' job, two cores: these options take 1.1 seconds off the first fit's 2.5 that are not
training, and add 2 % to the others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import jax

from sparsam._utils.stop_signals import hold_interrupts

__all__ = ["quick_jit"]

P = ParamSpec("P")
R = TypeVar("R")

CPU_OPTIONS = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


def quick_jit(
    function: Callable[P, R], *, thorough: Callable[P, bool] = lambda *args, **kwargs: False, **options: Any
) -> Callable[P, R]:
    """`jax.jit` of a whole program, with compiler options that save compile time; for use at top level only.

    Of arguments for which ``thorough`` is true, whose work is worth a longer wait, it is plain `jax.jit`.

    Examples
    --------
    >>> quick_jit(lambda x: x + 1)(1).item()
    2
    """

    @cache
    def compiled(compiler_options: tuple[tuple[str, Any], ...]) -> Callable[P, R]:
        return jax.jit(function, compiler_options=dict(compiler_options), **options)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with hold_interrupts():  # tracing runs Python for seconds, garbage collection in it
            return compiled(() if thorough(*args, **kwargs) else _options(jax.default_backend()))(*args, **kwargs)

    return call


@cache
def _options(backend: str) -> tuple[tuple[str, Any], ...]:
    if backend != "cpu":
        return ()
    try:  # they are the compiler's own, and another version may not have them
        jax.jit(lambda x: x, compiler_options=CPU_OPTIONS)(0)
    except jax.errors.JaxRuntimeError:
        return ()
    return tuple(CPU_OPTIONS.items())
