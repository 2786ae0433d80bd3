"""A task that another process has in hand: is it told for whom a plan waits?"""

import os
import re
import socket
import subprocess
import sys
import threading

import pytest
from helpers.plans import OUTPUTS, command, plan_of, two_notebooks, write_notebook, write_plan

from adautomix.plans import in_hand
from adautomix.plans.in_hand import LOCK, Waits, note_start
from adautomix.plans.tasks import load_plan
from adautomix.utils.locks import hold


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """Return two tasks, which may be looked at again at once."""
    monkeypatch.setattr(in_hand, "LOOK_SECONDS", 0)
    monkeypatch.chdir(two_notebooks(tmp_path))
    found = list(plan_of(tmp_path, {"a": {"notebook": "train"}, "b": {"notebook": "train"}}).tasks.values())
    for task in found:
        task.folder.mkdir(parents=True)
    return found


def test_for_whom_a_task_waits_is_told_once_and_not_before_it_is_seen_twice(tasks, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    note_start(tasks[0], "another")
    note_start(tasks[1], "ours")
    waits = Waits("ours")
    with hold(tasks[0].folder / LOCK), hold(tasks[1].folder / LOCK):
        assert waits.lines(tasks) == []
        (line,) = waits.lines(tasks)
        assert waits.lines(tasks) == []
    who = rf"process {os.getpid()}, at work since [\d:]+ on {re.escape(socket.gethostname())}, SLURM job 7"
    assert re.fullmatch(f"waiting a  for {who}", line)


def test_a_task_whose_worker_is_only_slow_to_start_waits_for_nobody(tasks):
    note_start(tasks[0], "an earlier one, which is over")
    waits = Waits("ours")
    assert [waits.lines(tasks) for _ in range(3)] == [[]] * 3
    with hold(tasks[0].folder / LOCK):
        assert len(waits.lines(tasks)) == 1


def test_a_holder_that_wrote_nothing_down_is_another_process(tasks):
    waits = Waits("ours")
    with hold(tasks[0].folder / LOCK):
        assert [waits.lines(tasks) for _ in range(2)] == [[], ["waiting a  for another process"]]


@pytest.mark.slow
def test_a_plan_that_waits_says_for_whom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "ok", OUTPUTS, "print('fine')")
    write_plan(tmp_path, {"ok": {"notebook": "ok"}})
    task = load_plan("tiny").tasks["ok"]
    task.folder.mkdir(parents=True)
    taken = hold(task.folder / LOCK)
    note_start(task, "another")
    call = [sys.executable, "-u", "-m", "adautomix", "run", "tiny", "--workers", "1"]
    with subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        late = threading.Timer(300, run.kill)
        late.start()
        told = next((line for line in run.stdout if line.startswith("waiting ")), "")
        taken.lock.release()
        rest = run.communicate()[0]
        late.cancel()
    assert told.startswith(f"waiting ok  for process {os.getpid()}, at work since "), rest
    assert run.returncode == 0, rest
    assert command(tmp_path, "status", "tiny").stdout.startswith("done     ok")
