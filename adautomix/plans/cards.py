"""Which GPUs a task gets: cards of this machine, by name, or those that a worker elsewhere brings along, by number.

A step with `gpus: n` takes n whole cards and cannot run with fewer. One with `gpu: true` takes a card, or its share of
one, where there are any. A step that says nothing takes none from the others, but may see one that has room.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from adautomix.plans.tasks import Task
from adautomix.utils.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible() -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them; without importing torch."""
    names = os.environ.get(VISIBLE)
    if names is not None:
        return [name.strip() for name in names.split(",") if name.strip() not in ("", "-1")]
    return [str(i) for i in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]


def require(tasks: Iterable[Task], most: int, where: str) -> None:
    """Raise UserError if a task asks for more than `most` GPUs, which is what one worker or machine has."""
    asking = {task.step: task.gpus for task in tasks if task.gpus > most}
    if asking:
        steps = ", ".join(f"{step} for {gpus}" for step, gpus in asking.items())
        raise UserError(f"GPUs asked for: {steps}; {where} has {most}. Nothing was started: set `gpus` lower")


class Cards:
    """The GPUs of this machine, and who holds them.

    Args:
        names: as CUDA names them.
        share: tasks with `gpu: true` to a card; a task with `gpus: n` shares with nobody.
    """

    def __init__(self, names: list[str], share: int = 1) -> None:
        self.share = share
        self.room = dict.fromkeys(names, share)
        self.held: dict[str, dict[str, int]] = {}

    def choose(self, task: Task) -> list[str] | None:
        """Return the cards that a task would see now; None if it must wait for one."""
        seen = Counter(name for held in self.held.values() for name in held)
        roomy = sorted(self.room, key=lambda name: (-self.room[name], seen[name]))
        if task.gpus:
            whole = [name for name in roomy if self.room[name] == self.share]
            return whole[: task.gpus] if len(whole) >= task.gpus else None
        if task.gpu and self.room:
            return roomy[:1] if self.room[roomy[0]] else None
        return [name for name in roomy if self.room[name]][:1]

    def take(self, task: Task) -> list[str]:
        """Return the cards that a task sees from now on; those it asked for are its own until `give_back`."""
        chosen = self.choose(task)
        assert chosen is not None, f"{task.id} was started without its GPUs"
        parts = self.share if task.gpus else int(task.gpu)
        self.held[task.id] = dict.fromkeys(chosen, parts)
        for name, taken in self.held[task.id].items():
            self.room[name] -= taken
        return chosen

    def give_back(self, task: Task) -> None:
        """Take note that a task has ended."""
        for name, taken in self.held.pop(task.id, {}).items():
            self.room[name] += taken


def wanted(task: Task, workers: list[int]) -> int:
    """Return how many GPUs a task wants of one of these workers, each given by its number of GPUs."""
    return task.gpus or int(task.gpu and any(workers))


def worker_free(task: Task, running: Iterable[Task], workers: list[int]) -> bool:
    """Return whether a worker with enough GPUs is surely free for a task, wherever the scheduler put the others."""
    busy = [wanted(other, workers) for other in running]
    # One task a worker: of the workers with n GPUs or more there must be more than tasks that want as many.
    return all(
        sum(gpus >= n for gpus in workers) > sum(other >= n for other in busy) for n in range(wanted(task, workers) + 1)
    )
