"""Which tasks of a plan wait, run and ended, while it runs."""

import time
from contextlib import suppress
from typing import Any

from adautomix.plans.execute import Outcome, TaskFailed, WorkerKilled, note_failure
from adautomix.plans.place import Place
from adautomix.plans.tasks import Task

POLL_SECONDS = 1.0
"""How often workers that came or went are noticed; a notebook's end is noticed at once."""


class Progress:
    """Which tasks wait, run, were killed and ended.

    Attributes:
        killed: tasks whose workers are gone, until it is known why.
    """

    def __init__(self, place: Place, todo: list[Task], forced: set[str], submission: str) -> None:
        self.place, self.forced, self.submission = place, forced, submission
        self.waiting = {task.id: task for task in todo}
        self.running: dict[Any, Task] = {}
        self.killed: list[Task] = []
        self.outcomes: dict[str, Outcome] = {}

    @property
    def unfinished(self) -> int:
        """How many tasks are not over."""
        return self.useful + len(self.killed)

    @property
    def useful(self) -> int:
        """How many workers could be of use."""
        return len(self.waiting) + len(self.running)

    def step(self) -> list[Outcome]:
        """Start what can start, wait a moment, and return how tasks ended meanwhile."""
        workers = self.place.workers()
        while (task := self._next(workers)) is not None:
            options = {"force": task.id in self.forced, "submission": self.submission}
            self.running[self.place.submit(task, workers, **options)] = self.waiting.pop(task.id)
        ended = self._ended()
        for outcome in ended:
            self.outcomes[outcome.id] = outcome
        skipped = _skipped(self.waiting, self.outcomes)
        for outcome in skipped:
            self.outcomes[outcome.id] = outcome
            del self.waiting[outcome.id]
        return [*ended, *skipped]

    def _next(self, workers: list[int]) -> Task | None:
        """Return the first task in the plan's order whose needs are done and for which a worker is free."""
        running = list(self.running.values())
        unfinished = {*self.waiting, *(task.id for task in [*running, *self.killed])}
        if len(running) >= len(workers):  # more of them while a worker is away
            return None
        able = (task for task in self.waiting.values() if unfinished.isdisjoint(task.needs))
        return next((task for task in able if self.place.has_room(task, running, workers)), None)

    def _ended(self) -> list[Outcome]:
        ended = []
        for future in _finished(self.running):
            task = self.running.pop(future)
            self.place.ended(task)
            outcome = _outcome(task.id, future)
            if outcome is None:
                self.killed.append(task)
            else:
                ended.append(outcome)
        lost = {task.id for task in self.place.lost(list(self.running.values()))}
        for future, task in list(self.running.items()):
            if task.id in lost and not future.done():
                future.cancel()
                self.place.ended(task)
                self.killed.append(self.running.pop(future))
        for task in list(self.killed):
            if (why := self.place.why_killed(task)) is not None:
                self.killed.remove(task)
                with suppress(OSError):
                    note_failure(task, why)
                ended.append(Outcome(task.id, "failed", reason=why))
        return ended


def _finished(running: dict[Any, Task]) -> list[Any]:
    """Return the futures that ended, after waiting a moment for the next one: workers may also come and go."""
    from distributed import wait

    if not running:
        time.sleep(POLL_SECONDS)
        return []
    try:
        return list(wait(list(running), timeout=POLL_SECONDS, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _outcome(task_id: str, future: Any) -> Outcome | None:
    """Return how a task ended; None if its worker was killed."""
    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        return Outcome(task_id, "failed", reason="cancelled")
    error = future.exception()
    if isinstance(error, WorkerKilled) or type(error).__name__ == "KilledWorker":
        return None
    reason = str(error) if isinstance(error, TaskFailed) else f"{type(error).__name__}: {error}"
    return Outcome(task_id, "failed", reason=reason)


def _skipped(waiting: dict[str, Task], outcomes: dict[str, Outcome]) -> list[Outcome]:
    """Return the waiting tasks that can no longer run, each with the failure that is the cause."""
    causes = {o.id: o.cause or o.id for o in outcomes.values() if o.state in ("failed", "skipped")}
    skipped = []
    for task in waiting.values():
        cause = next((causes[need] for need in task.needs if need in causes), None)
        if cause is not None:
            causes[task.id] = cause
            skipped.append(Outcome(task.id, "skipped", reason=f"skipped because of {cause}", cause=cause))
    return skipped
