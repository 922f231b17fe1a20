"""Keep compiled programs from one process to the next, in a folder that nobody else can write to."""

from __future__ import annotations

import os
import stat
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import platformdirs

__all__ = ["JAX_FOLDER", "VARIABLE", "keep_compiled_programs", "keep_if_wanted"]

VARIABLE = "SPARSAM_KEEP_COMPILED_PROGRAMS"

# JAX's settings, as environment variables; in lower case they are those of jax.config.
JAX_FOLDER = "JAX_COMPILATION_CACHE_DIR"
JAX_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
SECONDS, SECONDS_OF_JAX = 0.1, 1.0  # programs that compile faster are not kept

LARGEST = 2**28  # bytes


def keep_compiled_programs(folder: str | os.PathLike[str] | None = None) -> Path:
    """Keep compiled programs in a folder, so that the first fit of a later process need not compile them.

    This enables JAX's persistent compilation cache, for the whole process, all its uses of JAX, and the processes that
    it starts. Call it once, before the first fit. A program is used again only for the same shapes, options, versions
    and kind of device, so results do not change. The commands do this by themselves. Setting the environment variable
    ``SPARSAM_KEEP_COMPILED_PROGRAMS`` has the same effect without a change of the code: ``1`` for the user's cache
    folder, or the absolute path of another; ``0`` means no, for the commands as well.

    Parameters
    ----------
    folder : path, optional
        By default the folder that JAX is already set to use, as it is; or else ``sparsam/compiled`` in the user's cache
        folder (``~/.cache`` on Linux). A folder that does not exist is created, for its owner alone. If its files
        exceed 256 MiB, those used least recently are deleted.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    PermissionError
        If other users can write to the folder, or replace it: a program that they put there would run with your rights.
        If you cannot write to it.

    Examples
    --------
    >>> import sparsam
    >>> sparsam.keep_compiled_programs().is_dir()
    True
    """
    chosen = _folder_of_jax()
    if folder is None and chosen:
        _set_jax(JAX_SECONDS, SECONDS)
        return Path(chosen)
    path = Path(folder or platformdirs.user_cache_path("sparsam") / "compiled").expanduser().resolve()
    _make_private(path)
    if folder is None:
        path.chmod(0o700)  # earlier versions made it for the user's group, too
    _refuse_if_others_can_write(path)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write to {path}: choose another folder")
    _delete_least_recently_used(path)
    _set_jax(JAX_SECONDS, SECONDS)
    _set_jax(JAX_FOLDER, str(path))
    return path


def keep_if_wanted() -> None:
    """Keep compiled programs as the environment variable says; where that is not possible, warn and go on without."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted in ("", "0"):
        return
    try:
        if wanted != "1" and not Path(wanted).expanduser().is_absolute():
            raise ValueError(f"{VARIABLE} must be 0, 1 or an absolute path, got {wanted!r}")
        keep_compiled_programs(None if wanted == "1" else wanted)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: there is no home folder, or a loop of links
        warnings.warn(f"Compiled programs are not cached: {error}", UserWarning, stacklevel=2)


def _jax_is_imported() -> bool:
    return "jax" in sys.modules


def _folder_of_jax() -> str | None:
    if _jax_is_imported():
        import jax  # waits, if another thread is importing it

        folder: str | None = cast(Any, jax.config).jax_compilation_cache_dir
        return folder
    return os.environ.get(JAX_FOLDER)


def _set_jax(name: str, value: str | float) -> None:
    """Set an option of JAX, whether or not it is imported yet, and for processes that are started later."""
    if name == JAX_SECONDS and os.environ.get(name):
        return  # the user's
    if _jax_is_imported():
        import jax
        from jax.experimental.compilation_cache import compilation_cache

        if name == JAX_SECONDS and getattr(jax.config, name.lower()) != SECONDS_OF_JAX:
            return  # the user's
        jax.config.update(name.lower(), value)
        compilation_cache.reset_cache()  # JAX decides at its first compilation whether there is a cache
    os.environ[name] = str(value)


def _make_private(folder: Path) -> None:
    """Make a folder and those above it, where they do not exist, for the user alone, whatever the umask."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


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


def _delete_least_recently_used(folder: Path) -> None:
    """Halve a folder that is too large. JAX's own limit would stop saving if a file of its bookkeeping were lost."""
    files = sorted(
        ((file.stat(), file) for file in folder.iterdir() if file.is_file()), key=lambda pair: _used(pair[0])
    )
    size = sum(status.st_size for status, _ in files)
    if size <= LARGEST:
        return
    for status, file in files:
        if size <= LARGEST // 2:
            return
        file.unlink(missing_ok=True)
        size -= status.st_size


def _used(status: os.stat_result) -> float:
    return max(status.st_atime, status.st_mtime)
