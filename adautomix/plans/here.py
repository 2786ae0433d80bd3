"""Worker processes on this machine. They listen on 127.0.0.1 only, and are told which GPUs a task sees."""

import logging
import os
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from adautomix.plans import cards
from adautomix.plans.place import Place, Where
from adautomix.plans.private_kernels import sweep
from adautomix.plans.tasks import Task
from adautomix.utils.cores import thread_limits

QUIET = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False, "silence_logs": logging.CRITICAL}
"""One notebook a process, on this machine's own address, and no log lines between ours."""


class Here(Place):
    """This machine."""

    def __init__(self, client: Any, cluster: Any, share: int) -> None:
        super().__init__(client)
        self.cluster = cluster
        self.names = cards.visible()
        self.cards = cards.Cards(self.names, share)

    def require(self, tasks: Sequence[Task]) -> None:
        """Raise UserError if a task asks for more GPUs than this machine has."""
        cards.require(tasks, len(self.names), "this machine")

    def has_room(self, task: Task, running: Sequence[Task], workers: list[int]) -> bool:
        """Return whether a task may start now, beside those that run."""
        return len(workers) > len(running) and self.cards.choose(task) is not None

    def submit(self, task: Task, workers: list[int], **options: Any) -> Any:
        """Start a task and return its future; `options` are those of `execute`."""
        seen = self.cards.take(task)
        return self._submit(task, None, options | {"cards": seen if self.names else None})

    def ended(self, task: Task) -> None:
        """Take note that a task has ended."""
        self.cards.give_back(task)

    def tend(self, useful: int) -> list[str]:
        """Start a worker for each that was asked to end, by a signal: dask starts those again only that were killed."""
        if any(nanny.status.name == "closed" for nanny in self.cluster.workers.values()):
            self.cluster.sync(self._forget_ended)
            self.cluster.scale(len(self.cluster.worker_spec))
        return []

    async def _forget_ended(self) -> None:
        for name, nanny in list(self.cluster.workers.items()):
            if nanny.status.name == "closed":
                del self.cluster.workers[name]


@contextmanager
def here(where: Where, tasks: Sequence[Task]):
    """Yield this machine with single-thread worker processes."""
    from distributed import Client, Nanny, Scheduler, SpecCluster

    # Kernels that compute with all cores each would fight for them.
    limits = thread_limits(where.workers, os.environ)
    worker = {"cls": Nanny, "options": QUIET | {"env": limits}}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}}
    workers = dict.fromkeys(range(where.workers), worker)
    try:
        with (
            SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.CRITICAL) as cluster,
            Client(cluster) as client,
        ):
            yield Here(client, cluster, where.gpu_share)
    finally:
        sweep()  # dask kills workers that take their time to end
