"""Running one notebook of a plan, on a worker.

What a reader gets wrong: a notebook that lies there need not have run to its end. papermill writes it in place and a
killed kernel leaves one that looks finished, so it gets its name last, and only DONE counts.
"""

import logging
import os
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from adautomix.plans.cards import VISIBLE, visible
from adautomix.plans.in_hand import LOCK, last_start, note_start
from adautomix.plans.private_kernels import start_and_run
from adautomix.plans.tasks import Task
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json
from adautomix.utils.locks import hold
from adautomix.utils.task import LISTED, VARIABLE, noted

TRACEBACK_LINES = 25
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
GOES_ON = "run the plan again, training goes on from its checkpoint"
KILLED = f"its worker process was killed; {GOES_ON}"


@dataclass(frozen=True)
class Outcome:
    """How a task ended: "done", "kept" (it was DONE already), "failed" or "skipped", why, and because of which task."""

    id: str
    state: str
    seconds: float = 0.0
    reason: str = ""
    cause: str = ""


class TaskFailed(Exception):
    """A notebook failed; the text is the reason."""


class WorkerKilled(TaskFailed):
    """The worker that ran the notebook was killed."""


def is_done(task: Task) -> bool:
    """Return whether the notebook ran to its end with this key, after what it needs, and its Runs are still there."""
    record = _record(task.folder)
    return (
        record.get("key") == task.key
        and record.get("upstream") == _upstream(task)
        and all(run.done for run in trained_runs(task))
    )


def trained_runs(task: Task) -> list[Run]:
    """Return the Runs that the notebook trained or found trained."""
    return [Run(path) for path in noted(task.folder)]


def note_failure(task: Task, reason: str) -> None:
    """Leave in the task's folder why it failed."""
    write_json(task.folder / "FAILED", {"key": task.key, "reason": reason})


def _record(folder: Path) -> dict[str, Any]:
    """Return what DONE says; one that is damaged counts as none, and the notebook runs again."""
    try:
        return read_json(folder / "DONE")
    except (FileNotFoundError, UserError):
        return {}


def _upstream(task: Task) -> dict[str, str | None]:
    """Return by which execution each task that this one needs was done."""
    return {need: _record(task.folder.parent / need).get("run") for need in task.needs}


def execute(task: Task, *, force: bool = False, submission: str = "", cards: Sequence[str] | None = None) -> Outcome:
    """Run the task's notebook unless it is DONE; while another run of the plan has it in hand, wait.

    Args:
        cards: the GPUs that it may see; None for the worker's own, or as many of them as the task asks for.
        submission: names this run of the plan. A scheduler may start a task again whose worker died; that is refused.
    Raises: TaskFailed, whatever went wrong, with the failing cell's traceback if it was one.
    """
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        with hold(task.folder / LOCK):
            if is_done(task) and not force:
                return Outcome(task.id, "kept")
            if submission and last_start(task).get("submission") == submission:
                raise WorkerKilled(KILLED)
            note_start(task, submission)
            if cards is None and 0 < task.gpus < len(visible()):
                cards = visible()[: task.gpus]
            with _environment(VISIBLE, None if cards is None else ",".join(cards)):
                return _execute(task)
    except TaskFailed:
        raise
    except UserError as error:
        raise TaskFailed(str(error)) from error
    except Exception as error:  # a full disk, a missing package: it must not look like a killed worker
        raise TaskFailed(f"{type(error).__name__}: {error}") from error


@contextmanager
def _environment(name: str, value: str | None):
    """Let what is started meanwhile inherit a variable; None changes nothing. Afterwards it is as before."""
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def _execute(task: Task) -> Outcome:
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    # dask makes its workers return freed memory at once; a training kernel that inherits that spends 2-3 times as long.
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    began = time.perf_counter()
    running, failed, done = (task.folder / n for n in ("notebook.running.ipynb", "notebook.failed.ipynb", "DONE"))
    for stale in (done, failed, task.folder / "FAILED", task.folder / LISTED):
        stale.unlink(missing_ok=True)
    try:
        with _environment(VARIABLE, str(task.folder)):  # there training notes its Run
            start_and_run(
                papermill,
                _literal(task.notebook),
                _literal(running),
                parameters=task.parameters,
                kernel_name="python3",
                progress_bar=False,
                coalesce_streams=True,
                execution_timeout=None if task.timeout_minutes is None else max(1, ceil(task.timeout_minutes * 60)),
            )
    except Exception as error:  # whatever it was, the plan goes on and the reason is kept
        reason = _reason(error, task)
        if running.exists():
            os.replace(running, failed)
        note_failure(task, reason)
        raise TaskFailed(reason) from None
    os.replace(running, task.folder / "notebook.ipynb")
    seconds = time.perf_counter() - began
    record = {
        "key": task.key,
        "run": uuid.uuid4().hex,
        "upstream": _upstream(task),
        "seconds": round(seconds, 2),
        "parameters": task.parameters,
    }
    write_json(done, record)
    return Outcome(task.id, "done", seconds)


def _literal(path: Path) -> str:
    """Return a path as papermill takes it, which puts parameters in place of {names}."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _reason(error: Exception, task: Task) -> str:
    """Return the failing cell's number, source line and traceback, or what stopped the kernel."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        lines = COLOUR.sub("", "\n".join(error.traceback)).splitlines()[-TRACEBACK_LINES:]
        # papermill puts the parameters in a cell of their own, which the notebook's author does not have.
        number = error.cell_index + (0 if task.parameters else 1)
        told = f"cell {number} of {task.notebook.name}: {error.ename}: {error.evalue}"
        return told if error.ename == UserError.__name__ else told + "\n" + "\n".join(lines)
    if isinstance(error, DeadKernelError):
        return "its kernel was killed (out of memory?); run the plan again, training goes on from its checkpoint"
    if isinstance(error, CellTimeoutError):
        return f"a cell ran longer than timeout_minutes={task.timeout_minutes}; what it had printed is kept"
    return f"{type(error).__name__}: {error}"
