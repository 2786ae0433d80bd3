"""What a plan that runs now says of itself, for `adautomix status` in another shell.

outputs/<plan>/.runs/<submission>.json   host, process, since when, when last alive, workers, jobs in the queue
"""

import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adautomix.utils.files import read_json, write_json

FOLDER = ".runs"
BEAT_SECONDS = 5
SILENT_SECONDS = 60
"""After so long without a sign a run is taken for dead."""


class Live:
    """The record of one run of a plan, there while it runs.

    Attributes:
        others: who runs the plan already.
    """

    def __init__(self, outputs: Path, submission: str) -> None:
        self.path = outputs / FOLDER / f"{submission}.json"
        self.record = {"host": socket.gethostname(), "pid": os.getpid(), "since": _now()}
        self.beaten = 0.0
        self.said: Any = None
        self.others: list[str] = []

    def __enter__(self) -> "Live":
        self.beat(0, "")  # before it looks: of two that begin at once, each sees the other or is seen
        for path, run in _records(self.path.parent.parent):
            if not _alive(run):
                path.unlink(missing_ok=True)
            elif path != self.path:
                self.others.append(_who(run))
        return self

    def __exit__(self, *error: object) -> None:
        self.path.unlink(missing_ok=True)

    def beat(self, workers: int, queue: str) -> None:
        """Say that the run is alive, every few seconds or when there is something new."""
        if (workers, queue) == self.said and time.monotonic() < self.beaten + BEAT_SECONDS:
            return
        self.said, self.beaten = (workers, queue), time.monotonic()
        with suppress(OSError):  # a disk that is full for a moment must not end a plan whose notebooks run
            write_json(self.path, self.record | {"alive": _now(), "workers": workers, "queue": queue})


def live_text(outputs: Path) -> str:
    """Return a line for every run of a plan that goes on, or that ended without a word."""
    lines = []
    for _, run in _records(outputs):
        who = _who(run)
        if _alive(run):
            workers = "1 worker" if run["workers"] == 1 else f"{run['workers']} workers"
            lines.append(", ".join(filter(None, [f"being run by {who}: {workers}", run["queue"]])))
        else:
            lines.append(f"was run by {who}; no sign of it since {clock(run['alive'])}: run the plan again")
    return "\n".join(lines)


def _who(run: dict[str, Any]) -> str:
    return f"process {run['pid']} on {run['host']}, since {clock(run['since'])}"


def clock(moment: str) -> str:
    """Return a stored moment in local time: the time of day, with the date unless it is today's."""
    local = datetime.fromisoformat(moment).astimezone()
    return local.strftime("%H:%M:%S" if local.date() == datetime.now().date() else "%Y-%m-%d %H:%M")


def _records(outputs: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for path in sorted((outputs / FOLDER).glob("*.json")):
        try:
            found.append((path, read_json(path)))
        except FileNotFoundError:  # it ended just now
            continue
    return found


def _alive(run: dict[str, Any]) -> bool:
    if (
        run["host"] == socket.gethostname()
        and Path("/proc/self").exists()
        and not Path("/proc", str(run["pid"])).exists()
    ):
        return False
    silent = datetime.now(UTC) - datetime.fromisoformat(run["alive"])
    return silent.total_seconds() < SILENT_SECONDS


def _now() -> str:
    return datetime.now(UTC).isoformat()
