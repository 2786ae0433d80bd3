"""Plans that fail: what becomes of the rest after a kill, an error or a cell that takes too long?"""

import os
import re

import pytest
import torch
from helpers.plans import OUTPUTS, command, done, write_notebook, write_plan

from adautomix.runs.checkpoint import load
from adautomix.runs.run import find_runs
from adautomix.utils.cores import thread_limits

pytestmark = pytest.mark.slow


TRAIN = """\
import os, signal, time
from pathlib import Path
import psutil
from adautomix import TrainConfig
from adautomix.training.loop import train

first = not Path(outputs, f"killed {kill}").exists()

def log(line):
    if kill and first and line.startswith("epoch   2"):
        Path(outputs, f"killed {kill}").touch()
        kernel = psutil.Process()  # a fork of its worker's fork server
        os.kill((kernel if kill == "kernel" else kernel.parents()[1]).pid, signal.SIGKILL)
        time.sleep(30)  # a kernel without its worker ends by itself within a second or two; here, in mid-training

train(TrainConfig(width=4, epochs=4, per_class=10, batch_size=20, device="cpu"), Path(outputs, "runs", kill), log=log)
"""


def test_after_kills_a_second_run_completes_with_identical_results(tmp_path):
    """Of a kernel, and of a worker."""
    victims = ["kernel", "worker"]
    write_notebook(tmp_path, "train", OUTPUTS + 'kill: str = ""  # whom to kill', TRAIN)
    write_notebook(tmp_path, "after", OUTPUTS + 'kill: str = ""  # of whom', "print(6 * 7)")
    steps = {
        "train": {"notebook": "train", "training": True, "grid": {"kill": victims}},
        "after": {"notebook": "after", "needs": "train", "grid": {"kill": victims}},
        "other": {"notebook": "after"},
    }
    write_plan(tmp_path, steps)
    first = command(tmp_path, "run", "tiny", "--workers", "2")
    assert first.returncode == 1, first.stdout + first.stderr
    for victim in victims:
        assert re.search(rf"failed  train.kill={victim}  its {victim}.* was killed", first.stdout)
        assert f"skipped because of train.kill={victim}" in first.stdout
    assert done(tmp_path) == ["other"]
    second = command(tmp_path, "run", "tiny", "--workers", "2")
    assert second.returncode == 0, second.stdout + second.stderr
    killed = {f"{step}.kill={victim}" for step in ("after", "train") for victim in victims}
    assert set(done(tmp_path)) == {"other", *killed}
    assert "4 done" in second.stdout

    write_plan(tmp_path, {"train": {"notebook": "train", "training": True}}, name="whole")
    assert command(tmp_path, "run", "whole", "--workers", "2").returncode == 0
    runs, (whole,) = (find_runs(tmp_path / "outputs" / name) for name in ("tiny", "whole"))
    assert [run.path.parts[-3] for run in runs] == victims
    expected = load(whole.checkpoint)["student"]
    for run in runs:
        weights = load(run.checkpoint)["student"]
        assert len(run.info["sessions"]) >= 2
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
    threads = int((os.environ | thread_limits(2, os.environ))["OMP_NUM_THREADS"])
    assert {s["threads"] for run in (*runs, whole) for s in run.info["sessions"]} == {threads}


def test_a_failure_stays_where_it_is_and_is_told_with_the_cells_traceback(tmp_path):
    write_notebook(tmp_path, "ok", OUTPUTS, "print('fine')")
    write_notebook(tmp_path, "bad", OUTPUTS, "x = 1", "def divide():\n    return x / 0\n\ndivide()")
    steps = {
        "bad": {"notebook": "bad"},
        "after": {"notebook": "ok", "needs": "bad"},
        "later": {"notebook": "ok", "needs": "after"},
        "apart": {"notebook": "ok"},
    }
    write_plan(tmp_path, steps)
    result = command(tmp_path, "run", "tiny", "--workers", "1")
    assert result.returncode == 1
    assert "cell 3 of bad.ipynb: ZeroDivisionError: division by zero" in result.stdout
    assert "return x / 0" in result.stdout
    assert result.stdout.count("skipped because of bad") == 2
    assert "tiny: 1 done, 1 failed, 2 skipped" in result.stdout
    assert done(tmp_path) == ["apart"]
    status = command(tmp_path, "status", "tiny")
    assert status.returncode == 0
    assert "failed   bad" in status.stdout
    assert "waiting  after" in status.stdout
    folder = tmp_path / "outputs" / "tiny" / "tasks" / "bad"
    assert (folder / "notebook.failed.ipynb").exists()
    assert not (folder / "notebook.running.ipynb").exists()

    write_notebook(tmp_path, "bad", OUTPUTS, "x = 1", "x / 1")
    mended = command(tmp_path, "run", "tiny", "--workers", "1")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert "tiny: 3 done, 1 kept" in mended.stdout
    assert not (folder / "notebook.failed.ipynb").exists()


def test_a_cell_that_takes_too_long_is_stopped_and_what_it_printed_is_kept(tmp_path):
    write_notebook(tmp_path, "slow", OUTPUTS, "import time\nprint('so far')\ntime.sleep(60)")
    write_plan(tmp_path, {"slow": {"notebook": "slow", "timeout_minutes": 0.05}})
    result = command(tmp_path, "run", "tiny")
    assert result.returncode == 1
    assert "a cell ran longer than timeout_minutes=0.05" in result.stdout
    kept = tmp_path / "outputs" / "tiny" / "tasks" / "slow" / "notebook.failed.ipynb"
    assert "so far" in kept.read_text()
