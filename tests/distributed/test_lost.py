"""The command in several processes: it trains on all patches, and if a process is lost, the others name it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sparsam.cli.distributed import Processes

SMALL = ["--n-patches", "1000", "--patch-size", "4", "--n-components", "3", "--solver", "lbfgs"]
ENDLESS = [*SMALL, "--max-iter", "1000000", "--tol", "0"]


def write_picture(path, seed=0):
    np.save(path, np.random.default_rng(seed).normal(size=(60, 60)))
    return str(path)


@pytest.fixture
def start(free_port):
    """Start the command in several processes, with a file for the messages of each; end them after the test."""
    started = []

    def begin(folder, count, *flags, picture=None):
        flags = [picture or write_picture(folder / "picture.npy"), *flags]
        address = f"127.0.0.1:{free_port()}"
        processes = [process_of(folder, count, k, address, flags) for k in range(count)]
        started.extend(processes)
        return processes

    yield begin
    for process in started:
        process.kill()


def process_of(folder, count, k, address, flags):
    which = ["--coordinator", address, "--num-processes", str(count), "--process-id", str(k)]
    flags = [flag.replace("{process}", str(k)) for flag in flags]
    command = [sys.executable, "-m", "sparsam", "learn", *flags, *which, "--out", str(folder / "out")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(folder / f"messages-{k}").open("w"))


def messages(folder, k):
    return (folder / f"messages-{k}").read_text()


def child_of(process):
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_the_command_in_two_processes_learns_what_it_learns_in_one(tmp_path, start):
    flags = [*SMALL, "--max-iter", "10", "--dtype", "float64"]
    processes = start(tmp_path, 2, *flags)
    assert [process.wait(timeout=200) for process in processes] == [0, 0], messages(tmp_path, 0)
    alone = [sys.executable, "-m", "sparsam", "learn", str(tmp_path / "picture.npy"), *flags]
    subprocess.run([*alone, "--out", str(tmp_path / "alone")], check=True, capture_output=True)
    two, one = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("out", "alone"))
    assert two["J"] == pytest.approx(one["J"], rel=1e-9)
    assert two["J_float64"] == pytest.approx(two["J"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes as Linux does")
@pytest.mark.parametrize("lost", [pytest.param(1, marks=pytest.mark.exhaustive), 0])
def test_the_others_end_within_a_minute_and_say_which_process_was_lost(tmp_path, start, lost):
    processes = start(tmp_path, 3, *ENDLESS, "--checkpoint", str(tmp_path / "run"), "--checkpoint-every", "1s")
    wait_until(lambda: (tmp_path / "run").exists() and any((tmp_path / "run").iterdir()))
    killed = time.monotonic()
    subprocess.run(["kill", f"-{int(signal.SIGKILL)}", str(child_of(processes[lost]))], check=True)
    assert [process.wait(timeout=90) for process in processes] == [1, 1, 1]
    assert time.monotonic() - killed < 60
    assert f"process {lost} of 3 was lost: signal 9 ended it" in messages(tmp_path, lost)
    for k in {0, 1, 2} - {lost}:
        said = messages(tmp_path, k)
        assert f"process {lost} of 3 was lost" in said or (lost == 0 and "process 0 of 3, at 127.0.0.1" in said)


@pytest.mark.parametrize(
    ("last_words", "named"),
    [
        (
            "UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n1\nThe tasks have",
            "process 1 of 3",
        ),
        ("The following tasks are unhealthy (stopped sending heartbeats):\n1\n2\nThe tasks", "process 1, 2 of 3"),
        ("UNAVAILABLE: failed to connect to all addresses", "process 0 of 3, at here:1234,"),
    ],
)
def test_the_runtimes_last_messages_name_the_lost_process(last_words, named):
    assert Processes("here:1234", 3, 0).describe_lost(last_words).startswith(f"{named} was lost")


@pytest.mark.slow
def test_sigterm_to_one_process_ends_all_after_a_checkpoint(tmp_path, start):
    processes = start(tmp_path, 2, *ENDLESS, "--checkpoint", str(tmp_path / "run"), "--checkpoint-every", "1s")
    wait_until(lambda: (tmp_path / "run").exists() and any((tmp_path / "run").iterdir()))
    processes[1].send_signal(signal.SIGTERM)
    assert processes[1].wait(timeout=60) == 143
    assert processes[0].wait(timeout=60) == 130  # it ends as after an interrupt, and writes its results
    assert (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.exhaustive
def test_ctrl_c_in_one_process_ends_all_without_checkpoints_too(tmp_path, start):
    processes = start(tmp_path, 2, *ENDLESS)
    wait_until(lambda: "iteration" in messages(tmp_path, 0))
    processes[1].send_signal(signal.SIGINT)
    assert [process.wait(timeout=60) for process in processes] == [130, 130]
    assert (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_process_that_fails_by_itself_is_named(tmp_path, start):
    write_picture(tmp_path / "picture-0.npy")
    processes = start(tmp_path, 2, *ENDLESS, picture=str(tmp_path / "picture-{process}.npy"))
    assert [process.wait(timeout=90) for process in processes] == [1, 1]
    assert "Error in process 1 of 2: no such file or folder" in messages(tmp_path, 1)
    assert "process 1 of 2 was lost" in messages(tmp_path, 0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--coordinator", "127.0.0.1:1234"], "or none of them"),
        (["--coordinator", "here", "--num-processes", "2", "--process-id", "0"], "must be HOST:PORT"),
        (
            ["--coordinator", "here:1234", "--num-processes", "2", "--process-id", "2"],
            "--process-id must be from 0 to 1",
        ),
    ],
)
def test_flags_that_do_not_fit_many_are_refused(flags, message):
    from typer.testing import CliRunner

    from sparsam.cli.app import app

    result = CliRunner().invoke(app, ["learn", *flags])
    assert result.exit_code == 1
    assert message in result.output
