"""A place where notebooks run: a dask scheduler with workers, one notebook each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adautomix.plans import cards
from adautomix.plans.execute import KILLED, execute
from adautomix.plans.in_hand import last_start
from adautomix.plans.tasks import Task

ASK_SECONDS = 5
"""How often the scheduler is asked which tasks its workers have."""


@dataclass(frozen=True)
class Where:
    """What decides where a plan's notebooks run.

    Attributes:
        workers: processes or jobs, one notebook each.
        scheduler: None for this machine, "slurm", or the address of a running scheduler.
        gpu_share: tasks with `gpu: true` on one GPU of this machine.
        name: what jobs are called.
        logs: where jobs leave what they print.
    """

    workers: int
    scheduler: str | None = None
    gpu_share: int = 1
    name: str = "adautomix"
    logs: Path = Path("jobs")


class Place:
    """A scheduler that was there already; its workers came with so many GPUs each (`--resources GPU=n`)."""

    queue = ""
    """What is to be said of jobs that wait; nothing if none does."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.submissions: dict[str, str] = {}
        self.adrift: set[str] = set()
        self.asked = 0.0

    def workers(self) -> list[int]:
        """Return the number of GPUs of every worker that is there; raises ConnectionError without a scheduler."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        if self.client.status != "running":  # what it says is what was so before
            raise ConnectionError("the connection to the scheduler is lost")
        return [int(worker.get("resources", {}).get("GPU", 0)) for worker in workers]

    def require(self, tasks: Sequence[Task]) -> None:
        """Raise UserError if a task asks for more GPUs than any worker has. Workers that come later are not known."""
        if workers := self.workers():
            cards.require(tasks, max(workers), "the worker with the most GPUs (dask worker --resources GPU=n)")

    def has_room(self, task: Task, running: Sequence[Task], workers: list[int]) -> bool:
        """Return whether a task may start now, beside those that run."""
        return cards.worker_free(task, running, workers)

    def submit(self, task: Task, workers: list[int], **options: Any) -> Any:
        """Start a task and return its future; `options` are those of `execute`."""
        gpus = cards.wanted(task, workers)
        return self._submit(task, {"GPU": gpus} if gpus else None, options)

    def ended(self, task: Task) -> None:
        """Take note that a task has ended."""

    def tend(self, useful: int) -> list[str]:
        """See to it that there are workers for `useful` tasks, and return what there is to tell about them."""
        return []

    def lost(self, running: Sequence[Task]) -> list[Task]:
        """Return the tasks whose workers are gone and that the scheduler keeps for another one.

        It does so if it allows failures, which is its own setting, and waits for ever where no other worker has the
        GPUs. A task that ends just now looks the same for a moment: hence it must be seen twice.
        """
        if time.monotonic() < self.asked + ASK_SECONDS:
            return []
        self.asked = time.monotonic()
        held = {str(key) for keys in self.client.processing().values() for key in keys}
        before, self.adrift = self.adrift, {task.id for task in running if self._key(task) not in held}
        return [task for task in running if task.id in before & self.adrift and self._begun(task)]

    def why_killed(self, task: Task) -> str | None:
        """Return what became of the worker that ran a task; None if that cannot be said yet."""
        return KILLED

    def _submit(self, task: Task, resources: dict[str, int] | None, options: dict[str, Any]) -> Any:
        self.submissions[task.id] = options["submission"]
        how = {"key": self._key(task), "pure": False, "retries": 0, "resources": resources}
        return self.client.submit(execute, task, **options, **how)

    def _key(self, task: Task) -> str:
        # On a shared scheduler the same task of another user or folder is another one: hence the submission.
        return f"{task.id}-{self.submissions[task.id]}"

    def _begun(self, task: Task) -> bool:
        return last_start(task).get("submission") == self.submissions[task.id]
