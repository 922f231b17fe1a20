"""Keep compiled programs from one process to the next, in a folder that nobody else can write."""

from __future__ import annotations

import os
import stat
import sys
import warnings
from pathlib import Path

import platformdirs

__all__ = ["VARIABLE", "keep_compiled_programs", "keep_if_wanted"]

VARIABLE = "SPARSAM_KEEP_COMPILED_PROGRAMS"
FOLDER = "JAX_COMPILATION_CACHE_DIR"
# JAX's defaults are a second, and no limit.
SETTINGS = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0.1, "JAX_COMPILATION_CACHE_MAX_SIZE": 2**28}  # bytes


def keep_compiled_programs(folder: str | os.PathLike[str] | None = None) -> Path:
    """Keep compiled programs in a folder, so that the first fit of a later process need not compile them.

    This enables JAX's persistent compilation cache, for the whole process, all its uses of JAX, and the processes that
    it starts. Call it once, before the first fit. A program is used again only for the same shapes, options, versions
    and kind of device, so results do not change. The commands do this by themselves. Setting the environment variable
    ``SPARSAM_KEEP_COMPILED_PROGRAMS`` has the same effect without a change of the code: ``1`` for the user's cache
    folder, or the path of another; ``0`` means no, for the commands as well.

    Parameters
    ----------
    folder : path, optional
        By default the folder that JAX is already set to use, or else ``sparsam/compiled`` in the user's cache folder
        (``~/.cache`` on Linux). It is created if it does not exist. When its files exceed 256 MiB, those used least
        recently are deleted.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    PermissionError
        If other users can write to the folder: a program that they put there would run with your rights.

    Examples
    --------
    >>> import sparsam
    >>> sparsam.keep_compiled_programs().is_dir()
    True
    """
    jax = sys.modules.get("jax")
    chosen = os.environ.get(FOLDER) if jax is None else jax.config.jax_compilation_cache_dir
    if folder is None and chosen:
        return Path(chosen)
    path = Path(folder or platformdirs.user_cache_path("sparsam") / "compiled").expanduser().resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_if_others_can_write(path)
    os.environ[FOLDER] = str(path)  # for JAX, if it is imported later, and for processes that are started later
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, str(value))
    if jax is not None:
        from jax.experimental.compilation_cache import compilation_cache

        jax.config.update(FOLDER.lower(), str(path))
        for name, value in SETTINGS.items():
            jax.config.update(name.lower(), type(value)(os.environ[name]))
        compilation_cache.reset_cache()  # JAX decides at its first compilation whether there is a cache
    return path


def keep_if_wanted(default: str = "0") -> None:
    """Keep compiled programs as the environment variable says; where that is not possible, warn and go on without.

    Parameters
    ----------
    default : str
        The value if the variable is not set.
    """
    wanted = os.environ.get(VARIABLE) or default
    if wanted == "0":
        return
    try:
        keep_compiled_programs(None if wanted == "1" else wanted)
    except OSError as error:
        warnings.warn(f"Compiled programs are not kept: {error}", UserWarning, stacklevel=2)


def _refuse_if_others_can_write(folder: Path) -> None:
    """Check the folder, and that nobody else can replace it or a folder above it, as SSH does for its keys."""
    if os.name != "posix":
        return
    danger = "a program that they put there would run with your rights"
    for path in (folder, *folder.parents):
        status = path.stat()
        if status.st_uid not in (os.getuid(), 0):
            raise PermissionError(f"{path} belongs to another user, and {danger}: choose another folder")
        if path == folder:
            writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        else:  # with the sticky bit, as in /tmp, others cannot replace what is not theirs
            writable = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if writable:
            raise PermissionError(
                f"other users can write to {path}, and {danger}: forbid it (chmod go-w {path}) or choose another folder"
            )
