"""Damaged and forged files (20,000 if exhaustive) are refused with a ValueError, or loaded; nothing else happens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("h5py")
pytest.importorskip("zarr")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_hostile_files(tmp_path, seed, reduction):
    n_files = 10_000 // reduction
    command = [sys.executable, Path(__file__).with_name("fuzz.py"), tmp_path, str(n_files), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)
    assert summary["failures"] == []
    assert summary["refused"] + summary["loaded"] == n_files
    assert summary["refused"] > 0.7 * n_files
    assert summary["loaded"] > 0.03 * n_files  # not all mutations are so coarse that the first check finds them
    assert summary["events"] == {}
    assert set(summary["strays"]) <= {f"mutant{suffix}" for suffix in (".safetensors", ".skops", ".json", *PICTURES)}
    assert summary["slowest"][0] < 5, summary["slowest"]
    assert summary["grown_mib"] < 1024  # a picture may have 100 million pixels


PICTURES = (".png", ".jpg", ".tiff", ".gif", ".bmp", ".webp", ".npy", ".npz", ".mat", ".idx", ".gz", ".h5", ".zip")
