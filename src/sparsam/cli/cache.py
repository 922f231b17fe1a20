"""Cache compiled programs between runs of the command line, in the user's cache folder."""

from __future__ import annotations

import os

import platformdirs

__all__ = ["keep_compiled_programs"]


def keep_compiled_programs() -> None:
    """Enable JAX's persistent compilation cache, before JAX is imported, unless the user has set it.

    Libraries and notebooks can do the same with ``jax.config.update("jax_compilation_cache_dir", folder)``.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(platformdirs.user_cache_path("sparsam") / "compiled")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**28))
