"""Locks: do they hold, and what is said where a file system has none?"""

import errno
import os
import sys

import pytest
from filelock import Timeout
from helpers.plans import plan_of, two_notebooks
from helpers.run_folders import DATASET, open_run

from adautomix.config import TrainConfig
from adautomix.plans.execute import TaskFailed, execute
from adautomix.plans.in_hand import is_running, require_locks
from adautomix.plans.report import status_text
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError
from adautomix.utils.locks import hold

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has locks of its own")


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK])
def without_locks(request, monkeypatch):
    """A file system as Lustre without `flock`, or NFS without its lock service."""

    def flock(file, how):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", flock)


def test_a_lock_is_held_until_it_is_released(tmp_path):
    with hold(tmp_path / ".lock"), pytest.raises(Timeout):
        hold(tmp_path / ".lock", 0)
    taken = hold(tmp_path / ".lock", 0)
    taken.lock.release()
    with hold(tmp_path / ".lock", 0):
        pass


def test_what_a_process_left_behind_where_there_are_no_locks_is_not_waited_for(tmp_path, without_locks):
    (tmp_path / ".lock").touch()
    with pytest.raises(UserError, match=f"{tmp_path} lies on a file system without locks .*: mount it with them"):
        hold(tmp_path / ".lock")


def test_a_run_on_a_disk_without_locks_is_refused_and_leaves_no_folder(tmp_path, without_locks):
    run = Run(tmp_path / "set" / "run")
    with pytest.raises(UserError, match="file system without locks"), run.lock(seconds=0.1):
        pass
    assert not run.path.exists()


def test_a_result_on_a_disk_without_locks_is_refused(tmp_path, without_locks):
    run = open_run(tmp_path, TrainConfig(), DATASET)
    (run.path / "metrics").mkdir()
    (run.path / "metrics" / ".accuracy.student.lock").touch()
    with pytest.raises(UserError, match="file system without locks"), run.measuring("accuracy", "student"):
        pass


def test_a_plan_on_a_disk_without_locks_is_refused_and_its_status_is_told(tmp_path, monkeypatch, without_locks):
    monkeypatch.chdir(two_notebooks(tmp_path))
    plan = plan_of(tmp_path, {"a": {"notebook": "train"}})
    task = plan.tasks["a"]
    with pytest.raises(UserError, match="file system without locks"):
        require_locks(task)
    (task.folder / ".lock").touch()  # of an older version, which took its existence for the lock
    with pytest.raises(TaskFailed, match=f"^{task.folder} lies on a file system without locks"):
        execute(task)
    assert not is_running(task)
    assert status_text(plan).splitlines()[0] == "waiting  a"
