"""Cores: is the allocation of a shared machine kept to, and what the user said of threads?"""

import os
import subprocess
import sys

import pytest
from helpers.plans import OUTPUTS, write_notebook, write_plan

from adautomix.plans.orchestrate import default_workers
from adautomix.utils.cores import THREADS, cores, thread_limits

LOOK = "import os\nprint('threads', *(os.environ.get(name) for name in " + repr(THREADS) + "))"
allocations = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux allots cores")


@allocations
def test_of_many_cores_those_count_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 256)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5, 11})
    monkeypatch.setattr("adautomix.plans.orchestrate.visible", list)
    assert cores() == 3
    assert default_workers() == 3
    assert set(thread_limits(1, {}).values()) == {"3"}
    assert set(thread_limits(4, {}).values()) == {"1"}


def test_where_nothing_is_allotted_all_cores_count(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert cores() == 6


def test_what_the_user_said_of_threads_stays(monkeypatch):
    monkeypatch.setattr("adautomix.utils.cores.cores", lambda: 8)
    assert thread_limits(2, {}) == dict.fromkeys(THREADS, "4")
    assert thread_limits(2, {"MKL_NUM_THREADS": "1"}) == {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}
    assert thread_limits(2, {"OMP_NUM_THREADS": "3,1"}) == {"MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}


@allocations
@pytest.mark.slow
@pytest.mark.parametrize(("given", "found"), [({}, "1 1 1"), ({"OMP_NUM_THREADS": "3"}, "3 3 3")])
def test_kernels_of_a_plan_on_one_core_of_the_machine(tmp_path, given, found):
    write_notebook(tmp_path, "look", OUTPUTS, LOOK)
    write_plan(tmp_path, {"look": {"notebook": "look"}})
    env = {name: value for name, value in os.environ.items() if name not in THREADS} | given
    call = [sys.executable, "-m", "adautomix", "run", "tiny", "--workers", "1"]
    one_core = lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # noqa: E731
    done = subprocess.run(call, cwd=tmp_path, env=env, preexec_fn=one_core, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"threads {found}" in (tmp_path / "outputs/tiny/tasks/look/notebook.ipynb").read_text()
