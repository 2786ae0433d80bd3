"""Who has a task in hand: a lock that is held while its notebook runs, and beside it who holds it, or held it last.

tasks/<id>/.lock      held by the worker
tasks/<id>/.started   {"submission": ..., "host": ..., "pid": ..., "job": SLURM's or null, "since": ...}
"""

import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from adautomix.plans.live import clock
from adautomix.plans.tasks import Task
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json
from adautomix.utils.locks import hold

LOCK, STARTED = ".lock", ".started"
LOOK_SECONDS = 5
"""How often it is looked for tasks that wait for another process; seen twice, it is told."""


def note_start(task: Task, submission: str) -> None:
    """Write down that this process runs the task. Hold its lock."""
    started = {"submission": submission, "host": socket.gethostname(), "pid": os.getpid()}
    started |= {"job": os.environ.get("SLURM_JOB_ID"), "since": datetime.now(UTC).isoformat()}
    write_json(task.folder / STARTED, started)


def last_start(task: Task) -> dict[str, Any]:
    """Return what STARTED says; nothing if the task never was, or was by an older version, which wrote no JSON."""
    try:
        return read_json(task.folder / STARTED)
    except (FileNotFoundError, ValueError):
        return {}


def is_running(task: Task) -> bool:
    """Return whether a process has the task in hand."""
    from filelock import Timeout

    if not (task.folder / LOCK).exists():
        return False
    try:
        with hold(task.folder / LOCK, 0):
            return False
    except Timeout:
        return True
    except (OSError, UserError):  # a folder that only can be read, or has no locks: nothing runs in there
        return False


def require_locks(task: Task) -> None:
    """Raise UserError if the task's folder, made if it is not there, is where no process could hold a lock."""
    from filelock import Timeout

    task.folder.mkdir(parents=True, exist_ok=True)
    with suppress(Timeout), hold(task.folder / LOCK, 0):
        pass


def place_of(start: dict[str, Any]) -> str:
    """Return since when and where a task runs; nothing where that was not written down."""
    if "since" not in start:
        return ""
    job = f", SLURM job {start['job']}" if start["job"] else ""
    return f"since {clock(start['since'])} on {start['host']}{job}"


class Waits:
    """Which tasks of a run of a plan wait for a process of another one. Each is told once."""

    def __init__(self, submission: str) -> None:
        self.submission = submission
        self.looked = time.monotonic()
        self.idle: set[str] = set()
        self.settled: set[str] = set()

    def lines(self, running: Iterable[Task]) -> list[str]:
        """Return a line for every task that was handed to a worker and is in another one's hand for some seconds."""
        if time.monotonic() < self.looked + LOOK_SECONDS:
            return []
        self.looked = time.monotonic()
        starts = {task.id: (task, last_start(task)) for task in running if task.id not in self.settled}
        begun = {id_ for id_, (_, start) in starts.items() if start.get("submission") == self.submission}
        before, self.idle = self.idle, set(starts) - begun
        waiting = {
            id_: start for id_, (task, start) in starts.items() if id_ in before & self.idle and is_running(task)
        }
        self.settled |= {*begun, *waiting}
        return [f"waiting {id_}  for {_who(start)}" for id_, start in waiting.items()]


def _who(start: dict[str, Any]) -> str:
    return f"process {start['pid']}, at work {place_of(start)}" if "since" in start else "another process"
