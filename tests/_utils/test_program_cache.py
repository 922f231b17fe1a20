"""Compiled programs are kept for later processes, in a folder that nobody else can write to."""

import json
import os
import stat
import subprocess
import sys

import pytest

from sparsam._utils import program_cache
from sparsam._utils.program_cache import JAX_FOLDER, JAX_SECONDS, VARIABLE, keep_compiled_programs, keep_if_wanted
from sparsam.cli import app

FIT = """
import json, sys, warnings
import jax.monitoring
import numpy as np
events = []
jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
import sparsam
warnings.simplefilter("ignore")
X = np.random.default_rng(0).uniform(0.1, 0.9, (40, 4))
model = sparsam.SparseAutoencoder(2, random_state=0, max_iter=3)
{before}
model.fit(X)
{after}
count = lambda name: events.count(f"/jax/compilation_cache/cache_{{name}}")
print(json.dumps([count("hits"), count("misses"), model.coefs_[0].tolist()]))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a path for a folder of programs, in a home folder of its own; forget the settings of this process."""
    for name in (JAX_FOLDER, JAX_SECONDS, VARIABLE):
        monkeypatch.setenv(name, "")  # so that the end of the test restores it, even if the test sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(program_cache, "_jax_is_imported", lambda: False)  # processes of their own import it
    return tmp_path / "home" / "sparsam" / "compiled"


def fit(before="", after="", **environment):
    """Fit in a process of its own; return the numbers of programs found and compiled, and the weights.

    Programs are kept however fast they are compiled, unless the environment says otherwise.
    """
    environment = {name: value for name, value in ({JAX_SECONDS: "0"} | environment).items() if value}
    program = FIT.format(before=before, after=after)
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


@pytest.mark.slow
def test_a_later_process_compiles_nothing_and_ends_at_the_same_bits(folder):
    keep = "sparsam.keep_compiled_programs()"
    found, compiled, weights = fit(keep)
    assert compiled > 0
    assert len(list(folder.glob("*-cache"))) == compiled - found
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found, compiled, again = fit(**{VARIABLE: "1"})  # the variable, instead of the call
    assert (found > 0, compiled, again) == (True, 0, weights)


@pytest.mark.slow
def test_it_may_be_called_after_programs_were_compiled(folder):
    fit(after=f"sparsam.keep_compiled_programs({str(folder)!r}); model.set_params(n_components=3).fit(X)")
    assert list(folder.glob("*-cache"))


def test_the_folder_that_jax_uses_already_is_kept(folder, monkeypatch, tmp_path):
    monkeypatch.setenv(JAX_FOLDER, str(tmp_path / "chosen"))
    assert keep_compiled_programs() == tmp_path / "chosen"
    assert os.environ[JAX_SECONDS] == "0.1"  # JAX keeps programs that take a second, and few do
    assert not folder.exists()


@pytest.mark.slow
def test_settings_of_the_program_are_kept(folder):
    before = f"""
import jax
jax.config.update("jax_compilation_cache_dir", {str(folder)!r})
jax.config.update("jax_persistent_cache_min_compile_time_secs", 60.0)
assert str(sparsam.keep_compiled_programs()) == {str(folder)!r}
"""
    fit(before, **{JAX_SECONDS: ""})
    assert not list(folder.glob("*-cache"))  # nothing takes a minute


@pytest.mark.parametrize("value", ["", "0"])
def test_no_variable_and_0_mean_no(folder, monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    keep_if_wanted()
    assert not folder.exists()
    assert JAX_FOLDER not in os.environ


@pytest.mark.parametrize("value", ["yes", "off", " ", "programs", "./programs", "~nobody-of-this-name/programs"])
def test_other_values_than_0_1_or_an_absolute_path_are_a_warning(folder, monkeypatch, tmp_path, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, value)
    with pytest.warns(UserWarning, match="Compiled programs are not cached: "):
        keep_if_wanted()
    assert list(tmp_path.iterdir()) == []
    assert JAX_FOLDER not in os.environ


def test_commands_keep_programs_unless_jax_has_a_folder_or_none(folder, monkeypatch):
    monkeypatch.setattr(app, "app", lambda **options: None)
    monkeypatch.setenv(JAX_FOLDER, "")
    app.run()
    assert VARIABLE not in os.environ
    monkeypatch.delenv(JAX_FOLDER)
    app.run()
    assert os.environ[VARIABLE] == "1"
    keep_if_wanted()
    assert os.environ[JAX_FOLDER] == str(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("mode", "refused"), [(0o700, False), (0o755, False), (0o775, True), (0o777, True)])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_that_others_can_write_or_replace_is_refused(folder, monkeypatch, mode, refused, depth):
    folder.mkdir(parents=True)
    changed = [folder, folder.parent][depth]
    changed.chmod(mode)
    if not refused or (depth == 1 and mode == 0o775):  # above it, a group of one user is common
        assert keep_compiled_programs(folder) == folder
        return
    with pytest.raises(PermissionError, match=f"other users can write to {changed}, .*chmod go-w {changed}"):
        keep_compiled_programs(folder)
    monkeypatch.setenv(VARIABLE, str(folder))
    with pytest.warns(UserWarning, match="Compiled programs are not cached: other users can write"):
        keep_if_wanted()
    assert JAX_FOLDER not in os.environ


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_sticky_folder_above_is_no_danger(folder):
    folder.parent.mkdir(parents=True)
    folder.parent.chmod(0o1777)  # as /tmp
    assert keep_compiled_programs(folder) == folder


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_whatever_the_umask_the_folder_is_private(folder):
    before = os.umask(0)
    try:
        assert keep_compiled_programs() == folder
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700, 0o700]
    folder.chmod(0o775)  # as an earlier version made it
    os.environ.pop(JAX_FOLDER)
    keep_compiled_programs()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_of_another_user_is_refused(folder, monkeypatch):
    folder.mkdir(parents=True)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    if uid == 0:  # whose folders all users trust
        os.chown(folder, 4, 4)
    with pytest.raises(PermissionError, match="belongs to another user"):
        keep_compiled_programs(folder)


def test_a_folder_without_permission_to_write_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=f"no permission to write to {folder}"):
        keep_compiled_programs(folder)


def test_of_a_folder_that_is_too_large_the_files_used_last_are_kept(folder, monkeypatch):
    folder.mkdir(parents=True)
    for age in range(10):
        (folder / f"{age}-cache").write_bytes(b"0" * 100)
        os.utime(folder / f"{age}-cache", (10**9 - age, 10**8))
    monkeypatch.setattr(program_cache, "LARGEST", 1000)
    keep_compiled_programs(folder)
    assert len(list(folder.iterdir())) == 10
    monkeypatch.setattr(program_cache, "LARGEST", 999)
    keep_compiled_programs(folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"{age}-cache" for age in range(4)]


def test_a_path_that_is_no_folder_is_a_warning_at_most(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="Compiled programs are not cached: .*file"):
        keep_if_wanted()
