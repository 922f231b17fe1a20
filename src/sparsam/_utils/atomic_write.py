"""Atomic file writing: a reader finds the old file or the whole new one, never a part of it.

The new contents go to a temporary file in the same folder (a rename is atomic only within one file system),
are flushed to disk (fsync), and then take the final name in one step (`os.replace`); finally the folder's
entry is flushed too. Any interruption, Ctrl-C and a full disk included, leaves the old file as it was and
no temporary file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write", "sync_folder"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file that appears under its name only after the ``with`` block has succeeded.

    Parameters
    ----------
    path : str or path-like
        The file to write. Its folder must exist. If `path` is a symbolic link, the file that it points to
        is replaced and the link stays, as with ``open(path, "wb")``.
    overwrite : bool, default=True
        Whether to replace an existing file, as plain ``open`` does. With False nothing is ever replaced, not
        even a file that another process made in the meantime.

    Yields
    ------
    file : binary file object
        Readable, writable and seekable. The block may close it.

    Raises
    ------
    FileExistsError
        `path` exists and `overwrite` is False.
    FileNotFoundError, NotADirectoryError
        The folder of `path` does not exist, or is a file.
    IsADirectoryError
        `path` is a folder.
    PermissionError
        `path` is read-only; plain ``open`` refuses it too.
    OSError
        `path` is a device, a pipe or a socket, which replacing would destroy; or writing failed.

    Notes
    -----
    Permissions are as with plain ``open``: a new file gets 0o666 minus the umask; an overwritten one keeps
    its mode and, where the system allows it, its owner.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "weights.bin") as file:
    ...     _ = file.write(b"0.1 0.2")
    ...     (folder / "weights.bin").exists()
    False
    >>> (folder / "weights.bin").read_bytes()
    b'0.1 0.2'
    >>> with atomic_write(folder / "weights.bin", overwrite=False) as file:
    ...     _ = file.write(b"other")
    Traceback (most recent call last):
    ...
    FileExistsError: [Errno 17] the file exists already: choose another name, or pass overwrite=True: '...weights.bin'
    """
    target = Path(path)
    if overwrite:
        target = Path(os.path.realpath(target))  # through a symbolic link, as open() does
    elif os.path.lexists(target):
        raise _exists_already(target)  # before the block does its work, not after
    if not target.parent.exists():
        raise FileNotFoundError(
            errno.ENOENT, "the folder to write into does not exist; create it first", str(target.parent)
        )
    old = _existing_file(target)

    # Hidden and with another suffix, so that patterns such as "*.npz" do not match it; the name is cut to
    # stay below the file system's 255 bytes.
    temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = _create(temporary, target)
        try:
            if old is not None:
                _copy_owner_and_mode(old, descriptor)  # before writing: a private file stays private throughout
            # closefd=False: the descriptor stays open for fsync even if the block closes the file.
            with open(descriptor, "w+b", closefd=False) as file:
                yield file
            os.fsync(descriptor)
        finally:
            os.close(descriptor)  # before renaming: Windows cannot rename an open file
        if overwrite:
            temporary.replace(target)
        else:
            _rename_without_overwriting(temporary, target)
    except BaseException:  # KeyboardInterrupt too
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


def _exists_already(target: Path) -> FileExistsError:
    return FileExistsError(
        errno.EEXIST, "the file exists already: choose another name, or pass overwrite=True", str(target)
    )


def _existing_file(target: Path) -> os.stat_result | None:
    """Return the status of the file to replace, None if there is none; raise if it must not be replaced."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder; give the name of a file in it", str(target))
    if not stat.S_ISREG(old.st_mode):
        reason = "it is a device, a pipe or a socket, which replacing would destroy"
        raise OSError(errno.EINVAL, reason, str(target))
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", str(target))
    return old


def _create(temporary: Path, target: Path) -> int:
    """Create the temporary file and return its descriptor.

    The kernel applies the umask to 0o666; reading the umask from Python would change it for a moment, in all
    threads. O_EXCL: fail if somebody else has put a file or link of this name there.
    """
    try:
        return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        error.filename = str(target)  # the name that the caller gave
        raise


def _copy_owner_and_mode(old: os.stat_result, descriptor: int) -> None:
    """Give the new file the mode of the old one and, where the system allows it, its owner."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):  # only root may change a file's owner
            os.fchown(descriptor, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))  # after fchown, which clears bits of the mode


def _rename_without_overwriting(temporary: Path, target: Path) -> None:
    """Move `temporary` to `target`, or raise FileExistsError; atomic even if other processes do the same."""
    try:
        os.link(temporary, target)  # unlike a rename it fails if the target exists
    except FileExistsError:
        raise _exists_already(target) from None
    except (OSError, AttributeError, NotImplementedError):
        # No hard links here (FAT, some network file systems, Android). Claiming the name with an empty file
        # of our own is just as free of races, but a reader may see that empty file for a moment.
        try:
            target.touch(exist_ok=False)
        except FileExistsError:
            raise _exists_already(target) from None
        try:
            temporary.replace(target)
        except BaseException:
            target.unlink()
            raise
    else:
        temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Flush the folder's new entry to disk if the platform can; the file is in place in any case."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))  # Windows cannot open folders
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
