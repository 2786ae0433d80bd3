"""Schedulers and kernels: can a running scheduler be used, and are kernels forks of a warm process?"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from helpers.plans import OUTPUTS, command, done, write_notebook, write_plan

from adautomix.plans.forked_kernels import can_fork
from adautomix.plans.in_hand import STARTED
from adautomix.utils.files import read_json

pytestmark = pytest.mark.slow


@contextmanager
def dask_by_hand(folder: Path, *workers: list[str]):
    """Yield the address of a scheduler, with a worker for each list of options."""
    file = folder / "scheduler.json"
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", *local, "--port", "0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", *local, "--nthreads", "1", "--no-nanny"]
    processes = [subprocess.Popen(scheduler, **common)]
    try:
        processes += [subprocess.Popen([*worker, *options], **common) for options in workers]
        deadline = time.monotonic() + 300
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=30)


HOLD = """\
import pathlib, time
first = not pathlib.Path(outputs, "held").exists()
pathlib.Path(outputs, "held").touch()
time.sleep(300 if first else 0)
"""


def test_of_two_workers_started_by_hand_one_is_killed_and_the_plan_finishes(tmp_path):
    write_notebook(tmp_path, "hold", OUTPUTS, HOLD)
    write_notebook(tmp_path, "ok", OUTPUTS, "print('fine')")
    write_plan(
        tmp_path, {"hold": {"notebook": "hold", "gpus": 2}, "ok": {"notebook": "ok"}, "last": {"notebook": "ok"}}
    )
    started = tmp_path / "outputs" / "tiny" / "tasks" / "hold" / STARTED
    with dask_by_hand(tmp_path, ["--resources", "GPU=2"], []) as address:
        run = [sys.executable, "-m", "adautomix", "run", "tiny", "--scheduler", address]
        with subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as plan:
            deadline = time.monotonic() + 300
            while not (tmp_path / "outputs" / "tiny" / "held").exists() and time.monotonic() < deadline:
                assert plan.poll() is None, plan.communicate()
                time.sleep(0.1)
            os.kill(read_json(started)["pid"], signal.SIGKILL)
            out, err = plan.communicate(timeout=300)
        assert plan.returncode == 1, out + err
        assert "failed  hold  its worker process was killed" in out
        assert "tiny: 2 done, 1 failed" in out
        assert err == ""
        again = command(tmp_path, "run", "tiny", "--scheduler", address)
        assert again.returncode == 2  # the worker with the GPUs is gone
        assert "hold for 2; the worker with the most GPUs (dask worker --resources GPU=n) has 0" in again.stderr
    assert command(tmp_path, "run", "tiny", CUDA_VISIBLE_DEVICES="0,1").returncode == 0
    assert done(tmp_path) == ["hold", "last", "ok"]


@pytest.mark.parametrize("workers", [[], [[]]])
def test_a_scheduler_that_ends_while_a_plan_runs_is_a_short_message(tmp_path, workers):
    """While a notebook runs, and while all wait for a worker."""
    write_notebook(tmp_path, "hold", OUTPUTS, HOLD)
    write_plan(tmp_path, {"hold": {"notebook": "hold"}})
    with dask_by_hand(tmp_path, *workers) as address:
        run = [sys.executable, "-u", "-m", "adautomix", "run", "tiny", "--scheduler", address]
        with subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as plan:
            assert plan.stdout.readline().startswith("1 notebooks to run")
            deadline = time.monotonic() + 300
            while workers and not (tmp_path / "outputs" / "tiny" / "held").exists() and time.monotonic() < deadline:
                assert plan.poll() is None, plan.communicate()
                time.sleep(0.1)
            (scheduler,) = (p for p in psutil.Process().children() if "distributed.cli.dask_scheduler" in p.cmdline())
            scheduler.kill()
            _, err = plan.communicate(timeout=300)
    assert plan.returncode == 1, err
    assert err.startswith(f"adautomix: the scheduler {address} is gone, or was started anew; notebooks in hand may")
    assert err.count("\n") == 1, err


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
    result = command(tmp_path, "run", "tiny", "--workers", "1", preload=True)
    assert result.returncode == 0, result.stdout + result.stderr
    text = (tmp_path / "outputs" / "tiny" / "tasks" / "look" / "notebook.ipynb").read_text()
    assert "True True False" in text


def test_a_daemonic_process_starts_kernels_as_usual(monkeypatch):
    assert can_fork() == (sys.platform != "win32")
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert not can_fork()
