"""A folder appears with all of its files, or not at all."""

import pytest

from sparsam._utils.atomic_folder import atomic_folder


def test_it_appears_at_the_end(tmp_path):
    with atomic_folder(tmp_path / "new") as folder:
        (folder / "file").write_text("content")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new" / "file").read_text() == "content"
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def fill_then_raise(path, error):
    with atomic_folder(path) as folder:
        (folder / "file").write_text("content")
        raise error


def fill_while_another_process_does(path):
    with atomic_folder(path) as folder:
        (folder / "file").write_text("content")
        path.mkdir()
        (path / "theirs").write_text("theirs")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        fill_then_raise(tmp_path / "new", error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_appears_meanwhile_stays(tmp_path):
    with pytest.raises(FileExistsError, match="in the meantime"):
        fill_while_another_process_does(tmp_path / "new")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_the_folder_around_it_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "none" / "new"):
        pass
