"""Running one notebook of a plan, on a worker.

Traps this file exists for: jupyter_client's TCP ports clash when kernels start together, so every kernel gets private
IPC sockets; a killed kernel leaves a notebook that looks finished, so only DONE counts; papermill writes the output in
place, so it goes to a temporary name first.
"""

import logging
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adautomix.plans.tasks import Task
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json
from adautomix.utils.task import LISTED, VARIABLE, noted

LOCK_SECONDS = 30
TRACEBACK_LINES = 25
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
    """A notebook failed, for a reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_done(task: Task) -> bool:
    """Return whether the notebook ran to its end with this key, after what it needs, and its Runs are still there."""
    done = _done(task.folder)
    upstream = {need: _done(task.folder.parent / need).get("run") for need in task.needs}
    return (
        done.get("key") == task.key and done.get("upstream") == upstream and all(run.done for run in trained_runs(task))
    )


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


def _done(folder: Path) -> dict[str, Any]:
    return read_json(folder / "DONE") if (folder / "DONE").exists() else {}


def trained_runs(task: Task) -> list[Run]:
    """Return the Runs that the notebook trained or found trained."""
    return [Run(path) for path in noted(task.folder)]


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
    upstream = {need: _done(task.folder.parent / need).get("run") for need in task.needs}
    record = {"key": task.key, "run": uuid.uuid4().hex, "upstream": upstream, "seconds": round(seconds, 2)}
    write_json(done, record | {"parameters": task.parameters})
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

    from adautomix.plans.forked_kernels import WarmKernelManager

    config = Config()
    config.NotebookClient.kernel_manager_class = WarmKernelManager
    config.NotebookClient.extra_arguments = ["--log-level=CRITICAL"]  # every kernel's farewell is logged as an error
    if sys.platform == "win32":
        yield config
        return
    # A short path on a local disk: socket names are limited to about 100 characters.
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"ax-{os.getpid()}-", dir="/tmp"))
    try:
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(folder / "k")
        yield config
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        lines = _plain("\n".join(error.traceback)).splitlines()[-TRACEBACK_LINES:]
        # papermill puts the parameters in a cell of their own, which the notebook's author does not have.
        number = error.cell_index + (0 if task.parameters else 1)
        told = f"cell {number} of {task.notebook.name}: {error.ename}: {error.evalue}"
        return told if error.ename == UserError.__name__ else told + "\n" + "\n".join(lines)
    if isinstance(error, DeadKernelError):
        return "its kernel was killed (out of memory?); run the plan again, training goes on from its checkpoint"
    if isinstance(error, CellTimeoutError):
        return f"a cell ran longer than timeout_minutes={task.timeout_minutes}; what it had printed is kept"
    return f"{type(error).__name__}: {error}"


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
