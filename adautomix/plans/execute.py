"""Running one notebook of a plan, on a worker.

What a reader gets wrong: a notebook that lies there need not have run to its end. papermill writes it in place and a
killed kernel leaves one that looks finished, so it gets its name last, and only DONE counts. jupyter_client's TCP ports
clash when kernels start together, so every kernel gets private IPC sockets.
"""

import logging
import os
import re
import shutil
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adautomix.plans.tasks import Task
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json
from adautomix.utils.task import LISTED, VARIABLE, noted

LOCK_SECONDS = 30
TRACEBACK_LINES = 25
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KILLED = "its worker process was killed; run the plan again, training goes on from its checkpoint"


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


def _record(folder: Path) -> dict[str, Any]:
    """Return what DONE says; one that is damaged counts as none, and the notebook runs again."""
    try:
        return read_json(folder / "DONE") if (folder / "DONE").exists() else {}
    except UserError:
        return {}


def _upstream(task: Task) -> dict[str, str | None]:
    """Return by which execution each task that this one needs was done."""
    return {need: _record(task.folder.parent / need).get("run") for need in task.needs}


def execute(task: Task, *, force: bool = False, submission: str = "") -> Outcome:
    """Run the task's notebook unless it is DONE.

    Args:
        submission: names this run of the plan. A scheduler may start a task again whose worker died; that is refused.
    Raises: TaskFailed, whatever went wrong, with the failing cell's traceback if it was one.
    """
    from filelock import FileLock, Timeout

    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(task.folder / ".lock", timeout=LOCK_SECONDS):
            if is_done(task) and not force:
                return Outcome(task.id, "kept")
            started = task.folder / ".started"
            if submission and started.exists() and started.read_text() == submission:
                raise TaskFailed(KILLED)
            started.write_text(submission)
            return _execute(task)
    except Timeout:
        raise TaskFailed("another process is running this notebook; wait for it or stop it") from None
    except TaskFailed:
        raise
    except Exception as error:  # a full disk, a missing package: it must not look like a killed worker
        raise TaskFailed(f"{type(error).__name__}: {error}") from error


def _execute(task: Task) -> Outcome:
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    # dask makes its workers return freed memory at once; a training kernel that inherits that spends 2-3 times as long.
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    began = time.perf_counter()
    running, failed, done = (task.folder / n for n in ("notebook.running.ipynb", "notebook.failed.ipynb", "DONE"))
    for stale in (done, failed, task.folder / "FAILED", task.folder / LISTED):
        stale.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(task.folder)  # the kernel inherits it, and training notes its Run there
    try:
        _start_and_run(
            papermill,
            str(task.notebook),
            str(running),
            parameters=task.parameters,
            kernel_name="python3",
            progress_bar=False,
            coalesce_streams=True,
            execution_timeout=None if task.timeout_minutes is None else int(task.timeout_minutes * 60),
        )
    except Exception as error:  # whatever it was, the plan goes on and the reason is kept
        reason = _reason(error, task)
        if running.exists():
            os.replace(running, failed)
        write_json(task.folder / "FAILED", {"key": task.key, "reason": reason})
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


def _start_and_run(papermill: Any, *args: Any, **options: Any) -> None:
    """Execute a notebook; on Windows, whose kernels have TCP only and may clash, one that did not start is retried."""
    tries = 3 if sys.platform == "win32" else 1
    for attempt in range(tries):
        try:
            with _private_sockets() as config:
                papermill.execute_notebook(*args, config=config, **options)
            return
        except RuntimeError as error:
            if "Kernel died before" not in str(error) or attempt == tries - 1:
                raise


@contextmanager
def _private_sockets():
    """Yield a kernel config with sockets of its own; with TCP on Windows, which has nothing else."""
    from traitlets.config import Config

    from adautomix.plans.forked_kernels import ForkKernelManager

    config = Config()
    config.NotebookClient.kernel_manager_class = ForkKernelManager
    config.NotebookClient.extra_arguments = ["--log-level=CRITICAL"]  # every kernel's farewell is logged as an error
    if sys.platform == "win32":
        yield config
        return
    _sweep()
    config.KernelManager.transport = "ipc"
    # A short path on a local disk: socket names are limited to about 100 characters.
    with TemporaryDirectory(prefix=f"ax-{os.getpid()}-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        config.KernelManager.ip = f"{folder}/k"
        yield config


def _sweep() -> None:
    """Remove the socket folders of workers that were killed."""
    for folder in Path("/tmp").glob("ax-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


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
