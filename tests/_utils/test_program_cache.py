"""Compiled programs are kept for later processes, in a folder that nobody else can write."""

import json
import os
import stat
import subprocess
import sys

import pytest

from sparsam._utils import program_cache
from sparsam._utils.program_cache import VARIABLE, keep_compiled_programs, keep_if_wanted

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
    for name in (program_cache.FOLDER, *program_cache.SETTINGS, VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "jax", None)  # as before it is imported; in a process of its own it is there
    return tmp_path / "home" / "sparsam" / "compiled"


def fit(before="", after="", **environment):
    """Fit in a process of its own; return the numbers of programs found and compiled, and the weights."""
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
    found, compiled, again = fit(**{VARIABLE: "1"})  # the variable, in the place of the call
    assert (found > 0, compiled, again) == (True, 0, weights)


@pytest.mark.slow
def test_it_may_be_called_after_programs_were_compiled(folder):
    fit(after=f"sparsam.keep_compiled_programs({str(folder)!r}); model.set_params(n_components=3).fit(X)")
    assert list(folder.glob("*-cache"))


def test_the_folder_that_jax_uses_already_is_kept(folder, monkeypatch, tmp_path):
    monkeypatch.setenv(program_cache.FOLDER, str(tmp_path / "chosen"))
    assert keep_compiled_programs() == tmp_path / "chosen"
    assert not folder.exists()


def test_without_a_variable_the_default_decides_and_0_means_no(folder, monkeypatch):
    keep_if_wanted()
    monkeypatch.setenv(VARIABLE, "0")
    keep_if_wanted(default="1")
    assert not folder.exists()
    monkeypatch.delenv(VARIABLE)
    keep_if_wanted(default="1")
    assert os.environ[program_cache.FOLDER] == str(folder)


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
    with pytest.warns(UserWarning, match="Compiled programs are not kept: other users can write"):
        keep_if_wanted()
    assert program_cache.FOLDER not in os.environ


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_sticky_folder_above_is_no_danger(folder):
    folder.parent.mkdir(parents=True)
    folder.parent.chmod(0o1777)  # as /tmp
    assert keep_compiled_programs(folder) == folder


def test_a_path_that_is_no_folder_is_a_warning_at_most(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="Compiled programs are not kept: .*file"):
        keep_if_wanted()
