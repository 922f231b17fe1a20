"""atomic_write: a reader finds the old file or the whole new one, whatever happens."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sparsam._utils.atomic_write import atomic_write

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes of POSIX")


@pytest.fixture(params=["hard links", "no hard links"])
def hard_links(request, monkeypatch):
    """Run a test with and without hard links, the two ways of not overwriting."""
    if request.param == "no hard links":

        def link(source, destination):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)


def write(path, contents, *, then=lambda file: None, **options):
    with atomic_write(path, **options) as file:
        file.write(contents)
        then(file)


def names(folder):
    return [path.name for path in folder.iterdir()]


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("as_type", [str, lambda path: path], ids=["str", "Path"])
def test_writes_and_replaces_and_leaves_nothing_else(tmp_path, as_type):
    path = tmp_path / "a.bin"
    for contents in (b"", b"first", bytes(range(256)) * 1000, b"short\r\n"):
        write(as_type(path), contents)
        assert path.read_bytes() == contents
        assert names(tmp_path) == ["a.bin"]


def test_relative_name_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("a.bin", b"here")
    assert (tmp_path / "a.bin").read_bytes() == b"here"


def test_old_file_is_seen_until_the_block_ends(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert list(tmp_path.glob("*.bin")) == [path]  # this pattern does not find the temporary file
    assert path.read_bytes() == b"new"


def test_file_can_be_read_and_sought(tmp_path):
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"0123456789")
        file.seek(2)
        assert file.read(3) == b"234"
        file.seek(0)
        file.write(b"X")
    assert (tmp_path / "a.bin").read_bytes() == b"X123456789"


def test_block_may_close_the_file(tmp_path):
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"all of it")
        file.close()
    assert (tmp_path / "a.bin").read_bytes() == b"all of it"


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interruption_leaves_the_old_file_and_no_temporary(tmp_path, interruption, overwrite):
    path = tmp_path / "a.bin"
    if overwrite:
        path.write_bytes(b"old")
    before = snapshot(tmp_path)

    def interrupt(file):
        file.flush()
        raise interruption

    with pytest.raises(interruption):
        write(path, b"half of the n", then=interrupt, overwrite=overwrite)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failing_disk_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch, step):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as context:
        context.setattr(os, step, fail)
        with pytest.raises(OSError, match="Input/output error"):
            write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_at_the_last_flush(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    genuine_open = os.open

    def open_full(name, flags, *mode):
        if str(name).endswith(".tmp"):
            os.close(genuine_open(name, flags, *mode))
            return genuine_open("/dev/full", os.O_RDWR)
        return genuine_open(name, flags, *mode)

    with monkeypatch.context() as context:
        context.setattr(os, "open", open_full)
        context.setattr(os, "fchown", lambda *arguments: None)
        context.setattr(os, "fchmod", lambda *arguments: None)
        with pytest.raises(OSError, match="No space left"):
            write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_not_overwriting_an_existing_file_fails_before_the_block(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match=r"a\.bin"), atomic_write(path, overwrite=False):
        pytest.fail("the block ran")
    assert path.read_bytes() == b"old"


@pytest.mark.usefixtures("hard_links")
def test_not_overwriting_creates_a_new_file(tmp_path):
    write(tmp_path / "a.bin", b"new", overwrite=False)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.usefixtures("hard_links")
def test_not_overwriting_what_appeared_in_the_meantime(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(FileExistsError) as raised:
        write(path, b"mine", then=lambda file: path.write_bytes(b"theirs"), overwrite=False)
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.usefixtures("hard_links")
def test_of_many_writers_that_do_not_overwrite_one_wins(tmp_path):
    path = tmp_path / "a.bin"
    barrier = threading.Barrier(8)
    outcomes = []

    def contend(number):
        try:
            with atomic_write(path, overwrite=False) as file:
                file.write(bytes([number]) * 1000)
                barrier.wait(timeout=10)
            outcomes.append(number)
        except FileExistsError:
            outcomes.append(None)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number in outcomes if number is not None]
    assert len(outcomes) == 8
    assert len(winners) == 1
    assert path.read_bytes() == bytes(winners) * 1000
    assert names(tmp_path) == ["a.bin"]


def test_claimed_name_is_given_back_if_the_rename_fails(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as context:
        context.setattr(os, "link", fail)
        context.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="not permitted"):
            write(tmp_path / "a.bin", b"new", overwrite=False)
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
@pytest.mark.parametrize("overwrite", [True, False])
def test_mode_of_a_new_file_is_that_of_plain_open(tmp_path, umask, overwrite):
    previous = os.umask(umask)
    try:
        (tmp_path / "plain").write_bytes(b"")
        write(tmp_path / "atomic", b"", overwrite=overwrite)
    finally:
        os.umask(previous)
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_mode_of_an_overwritten_file_is_kept_and_never_wider(tmp_path, mode):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic_write(path) as file:
        file.write(b"new")
        (temporary,) = tmp_path.glob(".*.tmp")
        assert stat.S_IMODE(temporary.stat().st_mode) == mode
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_write_protected_file_is_respected(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda name, mode: False)  # because root may write any file
    with pytest.raises(PermissionError, match=r"write-protected.*a\.bin"):
        write(path, b"new")
    assert path.read_bytes() == b"old"


@posix
def test_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "target.bin"
    link = tmp_path / "link.bin"
    link.symlink_to(target)  # dangling at first
    for contents in (b"first", b"second"):
        write(link, contents)
        assert link.is_symlink()
        assert target.read_bytes() == contents


@posix
def test_dangling_link_exists_for_overwrite_false(tmp_path):
    (tmp_path / "link.bin").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileExistsError):
        write(tmp_path / "link.bin", b"new", overwrite=False)


@posix
def test_pipe_is_not_destroyed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        write(tmp_path / "pipe", b"new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_folder_as_target(tmp_path):
    with pytest.raises(IsADirectoryError, match="folder"):
        write(tmp_path, b"new")


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing") as raised:
        write(tmp_path / "missing" / "a.bin", b"new")
    assert raised.value.filename == str(tmp_path / "missing")


def test_file_as_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file" / "a.bin", b"new")


@posix
def test_error_of_creation_names_the_file_asked_for(tmp_path, monkeypatch):
    def refuse(name, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(name))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError) as raised:
        write(tmp_path / "a.bin", b"new")
    assert raised.value.filename == str(tmp_path / "a.bin")


@pytest.mark.parametrize("name", ["n" * 250 + ".bin", "ü" * 120])
def test_longest_names(tmp_path, name):
    write(tmp_path / name, b"new")
    assert names(tmp_path) == [name]


def test_imports_the_standard_library_alone():
    program = (
        "import importlib.util, sys, pathlib;"
        "path = pathlib.Path(sys.argv[1]);"
        "spec = importlib.util.spec_from_file_location('atomic', path);"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec));"
        "print({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'__main__'})"
    )
    path = sys.modules["sparsam._utils.atomic_write"].__file__
    run = subprocess.run([sys.executable, "-I", "-S", "-c", program, path], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
