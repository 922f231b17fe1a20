"""Fast compilation: a training of half a second should not wait three seconds for the compiler.

On CPU, compile time grows with the number of kernels, a dozen milliseconds each, and the minimizer's bookkeeping has
over a hundred. Measured on the notes' job, two cores: of the 2.5 seconds of the first fit that are not training, these
options save 1.1; they make later fits 2 % slower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import jax

from sparsam._utils.program_cache import keep_if_wanted
from sparsam._utils.stop_signals import hold_interrupts

__all__ = ["quick_jit"]

P = ParamSpec("P")
R = TypeVar("R")

keep_if_wanted()

CPU_OPTIONS = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


def quick_jit(
    function: Callable[P, R],
    *,
    thorough: Callable[P, bool] = lambda *args, **kwargs: False,
    runs_once: bool = False,
    **options: Any,
) -> Callable[P, R]:
    """Compile a whole program by `jax.jit`, with options that save compile time; for use at top level only.

    For arguments for which ``thorough`` returns True, whose computation is worth a longer wait, use plain `jax.jit`.
    A program that ``runs_once`` or a few times is not optimized at all, which takes a third of the time.

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
        with hold_interrupts():  # tracing runs Python, and so garbage collection, for seconds
            options = () if thorough(*args, **kwargs) else _options(jax.default_backend(), runs_once)
            return compiled(options)(*args, **kwargs)

    return call


@cache
def _options(backend: str, runs_once: bool) -> tuple[tuple[str, Any], ...]:
    if backend != "cpu":
        return ()
    options = CPU_OPTIONS | ({"xla_backend_optimization_level": 0} if runs_once else {})
    try:  # these options are internal to the compiler, and another version may not have them
        jax.jit(lambda x: x, compiler_options=options)(0)
    except jax.errors.JaxRuntimeError:
        return ()
    return tuple(options.items())
