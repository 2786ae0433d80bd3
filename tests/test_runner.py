"""Whole plans, run as a user runs them: failures, kills, restarts, many kernels at once."""

import json
import multiprocessing
import os
import sys
import time

import pytest
import torch
from plans import RECORD, command, write_notebook, write_plan

from adautomix.checkpoint import load
from adautomix.run import find_runs
from adautomix.runner import warm

pytestmark = pytest.mark.slow
OUTPUTS = 'outputs: str = "x"  # where\n'

TRAIN = """\
import os, signal, time
from pathlib import Path
import psutil
from adautomix import TrainConfig
from adautomix.train import train

first = not Path(outputs, f"killed {kill}").exists()

def log(line):
    if kill and first and line.startswith("epoch   2"):
        Path(outputs, f"killed {kill}").touch()
        kernel = psutil.Process()  # a fork of its worker's fork server
        os.kill((kernel if kill == "kernel" else kernel.parents()[1]).pid, signal.SIGKILL)
        time.sleep(30)  # a kernel without its worker ends by itself within a second or two; here, in mid-training

train(TrainConfig(width=4, epochs=4, per_class=10, batch_size=20, device="cpu"), Path(outputs, "runs"), log=log)
"""


def done(folder, plan="tiny"):
    return sorted(p.parent.name for p in (folder / "outputs" / plan / "tasks").rglob("DONE"))


@pytest.mark.parametrize("victim", ["kernel", "worker"])
def test_after_a_kill_a_second_run_completes_with_identical_results(tmp_path, victim):
    write_notebook(tmp_path, "train", OUTPUTS + 'kill: str = ""  # whom to kill', TRAIN)
    write_notebook(tmp_path, "after", OUTPUTS + 'kill: str = ""  # of whom', "print(6 * 7)")
    steps = {
        "train": {"notebook": "train", "training": True, "grid": {"kill": [victim]}},
        "after": {"notebook": "after", "needs": "train", "grid": {"kill": [victim]}},
        "other": {"notebook": "after"},
    }
    write_plan(tmp_path, steps)
    first = command(tmp_path, "run", "tiny", "--workers", "2")
    assert first.returncode == 1, first.stdout + first.stderr
    assert f"failed  train.kill={victim}" in first.stdout
    assert "was killed" in first.stdout
    assert f"skipped because of train.kill={victim}" in first.stdout
    assert done(tmp_path) == ["other"]
    second = command(tmp_path, "run", "tiny", "--workers", "2")
    assert second.returncode == 0, second.stdout + second.stderr
    assert done(tmp_path) == [f"after.kill={victim}", "other", f"train.kill={victim}"]
    assert "2 done" in second.stdout

    write_plan(tmp_path, {"train": {"notebook": "train", "training": True}}, name="whole")
    assert command(tmp_path, "run", "whole", "--workers", "2").returncode == 0
    (killed,), (whole,) = (find_runs(tmp_path / "outputs" / name) for name in ("tiny", "whole"))
    a, b = load(killed.checkpoint)["student"], load(whole.checkpoint)["student"]
    assert len(killed.info["sessions"]) >= 2
    assert all(torch.equal(a[name], b[name]) for name in b)
    assert {s["threads"] for run in (killed, whole) for s in run.info["sessions"]} == {max(1, os.cpu_count() // 2)}


def test_sixteen_notebooks_start_together_on_two_workers_without_a_clash(tmp_path):
    code = RECORD + "pathlib.Path(outputs, 'seen', str(number)).touch()"
    write_notebook(tmp_path, "tiny", OUTPUTS + "number: int = 0  # which", code)
    write_plan(tmp_path, {"all": {"notebook": "tiny", "grid": {"number": list(range(16))}}})
    result = command(tmp_path, "run", "tiny", "--workers", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "tiny: 16 done" in result.stdout
    assert len(list((tmp_path / "outputs" / "tiny" / "seen").iterdir())) == 16
    again = command(tmp_path, "run", "tiny", "--workers", "2")
    assert "tiny: 16 kept" in again.stdout
    assert "notebooks to run" not in again.stdout  # no cluster was even started


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


def test_stale_forced_and_chosen_tasks_run_again_and_no_others(tmp_path):
    count = RECORD + "open(pathlib.Path(outputs, 'seen', f'{name}.txt'), 'a').write('x')"
    write_notebook(tmp_path, "count", OUTPUTS + 'name: str = "a"  # whose\nepochs: int = 1  # passes', count)
    steps = {
        "a": {"notebook": "count", "parameters": {"name": "a"}},
        "b": {"notebook": "count", "parameters": {"name": "b"}, "needs": "a"},
        "c": {"notebook": "count", "parameters": {"name": "c"}},
    }
    write_plan(tmp_path, steps)

    def runs():
        seen = tmp_path / "outputs" / "tiny" / "seen"
        return {p.stem: len(p.read_text()) for p in seen.iterdir()}

    assert command(tmp_path, "run", "tiny", "--only", "b").returncode == 0
    assert runs() == {"a": 1, "b": 1}
    assert command(tmp_path, "run", "tiny").returncode == 0
    assert runs() == {"a": 1, "b": 1, "c": 1}
    assert command(tmp_path, "run", "tiny", "--only", "a", "--force").returncode == 0
    assert runs() == {"a": 2, "b": 1, "c": 1}
    steps["a"]["parameters"]["epochs"] = 2
    write_plan(tmp_path, steps)
    assert "stale    a" in command(tmp_path, "status", "tiny").stdout
    assert command(tmp_path, "run", "tiny").returncode == 0
    assert runs() == {"a": 3, "b": 2, "c": 1}


def test_parameters_reach_the_notebook_and_are_kept_with_it(tmp_path):
    write_notebook(tmp_path, "show", OUTPUTS + "epochs: int = 1  # passes", "print('epochs', epochs, outputs)")
    write_plan(tmp_path, {"show": {"notebook": "show"}}, parameters={"epochs": 2})
    assert command(tmp_path, "run", "tiny", "--set", "epochs=5", "--name", "mine").returncode == 0
    folder = tmp_path / "outputs" / "mine" / "tasks" / "show"
    assert f"epochs 5 {tmp_path / 'outputs' / 'mine'}" in (folder / "notebook.ipynb").read_text()
    assert json.loads((folder / "DONE").read_text())["parameters"]["epochs"] == 5
    assert "mine: 1 done" in command(tmp_path, "status", "tiny", "--name", "mine").stdout  # as it was run
    assert "mine: 1 stale" in command(tmp_path, "status", "tiny", "--name", "mine", "--set", "epochs=6").stdout
    unknown = command(tmp_path, "status", "tiny", "--name", "yours")
    assert unknown.returncode == 2
    assert "nothing was run under the name 'yours'" in unknown.stderr


def test_a_running_scheduler_can_be_used(tmp_path):
    import subprocess
    import sys

    write_notebook(tmp_path, "ok", OUTPUTS, "print('fine')")
    write_plan(tmp_path, {"ok": {"notebook": "ok"}})
    scheduler = tmp_path / "scheduler.json"
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker"]
    local = ["--host", "127.0.0.1", "--scheduler-file", str(scheduler)]
    processes = [subprocess.Popen([*dask, *local, "--port", "0", "--no-dashboard"], **common)]
    try:
        options = ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", str(scheduler)]
        processes.append(subprocess.Popen([*worker, *options], **common))
        deadline = time.monotonic() + 60
        while not scheduler.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(scheduler.read_text())["address"]
        result = command(tmp_path, "run", "tiny", "--scheduler", address)
        assert result.returncode == 0, result.stdout + result.stderr
        assert done(tmp_path) == ["ok"]
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=30)


def test_no_scheduler_at_the_address_is_a_short_message(tmp_path):
    write_notebook(tmp_path, "ok", OUTPUTS, "pass")
    write_plan(tmp_path, {"ok": {"notebook": "ok"}})
    result = command(tmp_path, "run", "tiny", "--scheduler", "tcp://127.0.0.1:9")
    assert result.returncode == 2
    assert "the scheduler tcp://127.0.0.1:9 cannot be used" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_plans_kernels_are_forks_that_find_torch_imported(tmp_path):
    """Otherwise every notebook pays for the import again."""
    code = "import sys\nprint(*(name in sys.modules for name in ('torch', 'timm', 'matplotlib')))"
    write_notebook(tmp_path, "look", OUTPUTS, code)
    write_plan(tmp_path, {"look": {"notebook": "look"}})
    result = command(tmp_path, "run", "tiny", "--workers", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    text = (tmp_path / "outputs" / "tiny" / "tasks" / "look" / "notebook.ipynb").read_text()
    assert "True True False" in text


def test_a_daemonic_process_starts_kernels_as_usual(monkeypatch):
    assert warm.can_fork() == (sys.platform != "win32")
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert not warm.can_fork()
