"""Schedulers and kernels: can a running scheduler be used, and are kernels forks of a warm process?"""

import json
import multiprocessing
import subprocess
import sys
import time

import pytest
from helpers.plans import OUTPUTS, command, done, write_notebook, write_plan

from adautomix.plans.forked_kernels import can_fork

pytestmark = pytest.mark.slow


def test_a_running_scheduler_can_be_used(tmp_path):
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
    assert can_fork() == (sys.platform != "win32")
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert not can_fork()
