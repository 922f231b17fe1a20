"""The README's commands run as they stand there, in a folder with nothing of the clone but its example tables."""

import re
import runpy
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


def commands():
    """Read the lines of the block under "Commands", without the pip before a command that needs an extra."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Commands\n.*?```sh\n(.*?)```", page, flags=re.DOTALL)[1]
    return [shlex.split(line.split("&&")[-1], comments=True) for line in block.splitlines()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_command_of_the_readme_runs(run, tmp_path, monkeypatch):
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    shutil.copytree(ROOT / "docs" / "data", tmp_path / "docs" / "data")
    monkeypatch.chdir(tmp_path)
    for program, *arguments in [["sparsam", "learn"], *commands()]:
        assert program == "sparsam"
        if arguments == ["check"]:
            continue  # it reads and writes nothing: tests/cli/test_commands.py runs it
        result = run(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
    assert len(commands()) == 10
    written = ["predictions.csv", "codes.csv", "filters.png", "study/study.csv", "sparsam-out/report.html"]
    assert [path for path in written if not Path(path).exists()] == []
    suspects = pd.read_csv("digits/label-errors.csv")["row"]
    assert wrong_digits()[suspects].mean() > 0.9  # 151 of 156 when this was written, of 179


def wrong_digits():
    """Ask the script that made the table which labels it made wrong."""
    return runpy.run_path(str(ROOT / "docs" / "data" / "make.py"))["wrong_digits"]()
