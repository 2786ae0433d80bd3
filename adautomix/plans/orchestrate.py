"""Running a whole plan: what is DONE is kept, failures stay where they happen, and everything is told at the end."""

import os
import sys
import time
import uuid
from collections.abc import Iterable
from typing import Any

from adautomix.plans.execute import KILLED, Outcome, TaskFailed, execute, is_done
from adautomix.plans.last_run import remember
from adautomix.plans.tasks import Plan, Task
from adautomix.utils.errors import UserError, unknown
from adautomix.utils.extras import installing

POLL_SECONDS = 1.0
"""How often workers that came or went are noticed; a notebook's end is noticed at once."""


def run_plan(
    plan: Plan,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    only: Iterable[str] = (),
    force: bool = False,
    gpu_share: int | None = None,
) -> dict[str, Outcome]:
    """Run a plan and return every task's outcome: done, kept, failed or skipped.

    Args:
        workers: notebooks at a time (default: cores, at most 4; with GPUs, as many as may share them).
        scheduler: address of a dask scheduler, or "slurm"; by default processes on this machine.
        only: run these steps and whatever they still need.
        force: run the notebooks of the chosen steps even where they are DONE; trained Runs are kept.
        gpu_share: notebooks at a time on one GPU of this machine (default: the plan's).
    """
    chosen = select(plan, only)
    forced = {t.id for t in plan.tasks.values() if force and (not only or t.step in set(only))}
    todo = unsettled(chosen, forced)
    outcomes = {t.id: Outcome(t.id, "kept") for t in chosen if t not in todo}
    if todo:
        share = gpu_share or plan.gpu_share
        outcomes |= _run(plan, todo, (workers or default_workers(share), scheduler, share), forced)
    else:
        remember(plan)
    return {task.id: outcomes[task.id] for task in chosen}


def select(plan: Plan, only: Iterable[str]) -> list[Task]:
    """Return the tasks of the steps named, and of those they need, in the plan's order; all if none is named."""
    only = list(only)
    for name in only:
        if name not in plan.steps:
            raise unknown("step", name, plan.steps)
    wanted: set[str] = set()
    for task in reversed(plan.tasks.values()):
        if not only or task.step in only or task.id in wanted:
            wanted |= {task.id, *task.needs}
    return [task for task in plan.tasks.values() if task.id in wanted]


def default_workers(gpu_share: int = 1) -> int:
    """Return how many notebooks run at a time unless told: one a core, at most four, or `gpu_share` a GPU."""
    from adautomix.plans.cluster import gpus

    return gpu_share * len(gpus()) or min(os.cpu_count() or 1, 4)


def unsettled(tasks: Iterable[Task], forced: set[str]) -> list[Task]:
    """Return the tasks that must run: forced, not DONE, or after one that runs. `tasks` come in the plan's order."""
    todo: dict[str, Task] = {}
    for task in tasks:
        if task.id in forced or not is_done(task) or any(need in todo for need in task.needs):
            todo[task.id] = task
    return list(todo.values())


def _run(plan: Plan, todo: list[Task], where: tuple[int, str | None, int], forced: set[str]) -> dict[str, Outcome]:
    """Run tasks as their needs are done and workers are free; `where` is what `cluster.connect` takes.

    A task is handed to dask only when a worker is free for it: handed over all at once, dask shares them out
    beforehand, and one worker of two was seen to run five notebooks of eight.
    """
    try:
        from tqdm import tqdm

        from adautomix.plans.cluster import connect
    except ImportError as error:
        raise UserError(f"running plans needs an extra ({error}): {installing('lab')}") from error
    waiting, outcomes = {task.id: task for task in todo}, {}
    running: dict[Any, Task] = {}
    submission = uuid.uuid4().hex  # on a shared scheduler the same task of another user or folder is another one
    with connect(*where) as client:
        remember(plan)  # not before: a mistake must not change what the name stands for
        print(f"{len(todo)} notebooks to run, {len(_slots(client))} workers" + ("" if _slots(client) else ", waiting"))
        # disable=None: no bar where nobody watches, such as a log file; the lines are enough there.
        with tqdm(total=len(todo), unit="notebook", dynamic_ncols=True, smoothing=0, disable=None) as bar:
            while waiting or running:
                for task in _startable(waiting, running, _slots(client)):
                    future = _submit(client, task, force=task.id in forced, submission=submission)
                    running[future] = waiting.pop(task.id)
                ended = [_outcome(running.pop(future).id, future) for future in _finished(running)]
                for outcome in [*ended, *_skipped(waiting, {o.id: o for o in ended} | outcomes)]:
                    outcomes[outcome.id] = outcome
                    waiting.pop(outcome.id, None)
                    bar.write(_line(outcome), file=sys.stdout)
                    bar.update()
    return outcomes


def _slots(client: Any) -> list[bool]:
    """Return an entry for every worker: whether it has a GPU."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return [bool(worker.get("resources", {}).get("GPU")) for worker in workers]


def _startable(waiting: dict[str, Task], running: dict[Any, Task], slots: list[bool]) -> list[Task]:
    """Return the tasks to start now, in the plan's order: needs done, a worker free, and a GPU where one is wanted."""
    free, gpus = len(slots) - len(running), sum(slots) - sum(task.gpu for task in running.values())
    started: list[Task] = []
    unfinished = {*waiting, *(task.id for task in running.values())}
    for task in waiting.values():
        if len(started) >= free:  # free is negative while a worker is away
            break
        if unfinished & set(task.needs) or (task.gpu and any(slots) and gpus == 0):
            continue
        gpus -= task.gpu
        started.append(task)
    return started


def _submit(client: Any, task: Task, **options: Any) -> Any:
    resources = {"GPU": 1} if task.gpu and any(_slots(client)) else None
    key = f"{task.id}-{options['submission']}"
    return client.submit(execute, task, **options, key=key, pure=False, retries=0, resources=resources)


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


def _outcome(task_id: str, future: Any) -> Outcome:
    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        return Outcome(task_id, "failed", reason="cancelled")
    error = future.exception()
    if isinstance(error, TaskFailed):
        return Outcome(task_id, "failed", reason=str(error))
    killed = type(error).__name__ == "KilledWorker"
    return Outcome(task_id, "failed", reason=KILLED if killed else f"{type(error).__name__}: {error}")


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


def _line(outcome: Outcome) -> str:
    first = outcome.reason.splitlines()[0] if outcome.reason else f"{outcome.seconds:.1f} s"
    return f"{outcome.state:<8}{outcome.id}  {first}"
