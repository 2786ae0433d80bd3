"""Running a whole plan: what is DONE is kept, failures stay where they happen, and everything is told at the end."""

import os
import sys
import uuid
from collections.abc import Iterable
from typing import Any

from adautomix.errors import UserError, unknown
from adautomix.runner.execute import KILLED, Outcome, TaskFailed, execute, is_done
from adautomix.runner.tasks import Plan, Task


def run_plan(
    plan: Plan,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    only: Iterable[str] = (),
    force: bool = False,
) -> dict[str, Outcome]:
    """Run a plan and return every task's outcome: done, kept, failed or skipped.

    Args:
        workers: notebooks at a time (default: cores, at most 4 without GPUs).
        scheduler: address of a dask scheduler, or "slurm"; by default processes on this machine.
        only: run these steps and whatever they still need.
        force: run the notebooks of the chosen steps even where they are DONE; trained Runs are kept.
    """
    chosen = select(plan, only)
    forced = {t.id for t in plan.tasks.values() if force and (not only or t.step in set(only))}
    todo = unsettled(chosen, forced)
    outcomes = {t.id: Outcome(t.id, "kept") for t in chosen if t not in todo}
    if todo:
        outcomes |= _run(todo, workers or default_workers(), scheduler, forced)
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


def default_workers() -> int:
    """Return how many notebooks run at a time unless told: one a core, at most four, or one a GPU."""
    from adautomix.runner.cluster import gpus

    return len(gpus()) or min(os.cpu_count() or 1, 4)


def unsettled(tasks: Iterable[Task], forced: set[str]) -> list[Task]:
    """Return the tasks that must run: forced, not DONE, or after one that runs. `tasks` come in the plan's order."""
    todo: dict[str, Task] = {}
    for task in tasks:
        if task.id in forced or not is_done(task) or any(need in todo for need in task.needs):
            todo[task.id] = task
    return list(todo.values())


def _run(todo: list[Task], workers: int, scheduler: str | None, forced: set[str]) -> dict[str, Outcome]:
    try:
        from distributed import as_completed
        from tqdm import tqdm

        from adautomix.runner.cluster import connect
    except ImportError as error:
        raise UserError(f"running plans needs an extra ({error}): pip install 'adautomix[lab]'") from error
    outcomes: dict[str, Outcome] = {}
    with connect(workers, scheduler) as client:
        ready = len(client.scheduler_info(n_workers=-1)["workers"])
        print(f"{len(todo)} notebooks to run, {ready} workers" + ("" if ready else ": waiting for some to come"))
        futures = _submit(client, todo, forced)
        names = {future.key: task_id for task_id, future in futures.items()}
        # disable=None: no bar where nobody watches, such as a log file; the lines are enough there.
        with tqdm(total=len(todo), unit="notebook", dynamic_ncols=True, smoothing=0, disable=None) as bar:
            for future in as_completed(futures.values()):
                outcome = _outcome(names[future.key], future, names)
                outcomes[outcome.id] = outcome
                bar.write(_line(outcome), file=sys.stdout)
                bar.update()
    return outcomes


def _submit(client: Any, todo: list[Task], forced: set[str]) -> dict[str, Any]:
    has_gpu = any(w.get("resources", {}).get("GPU") for w in client.scheduler_info(n_workers=-1)["workers"].values())
    futures: dict[str, Any] = {}
    submission = uuid.uuid4().hex  # on a shared scheduler the same task of another user or folder is another one
    for place, task in enumerate(todo):
        upstream = [futures[n] for n in task.needs if n in futures]
        resources = {"GPU": 1} if task.gpu and has_gpu else None
        futures[task.id] = client.submit(
            execute,
            task,
            *upstream,
            force=task.id in forced,
            submission=submission,
            key=f"{task.id}-{submission}",
            pure=False,
            retries=0,
            resources=resources,
            priority=-place,
        )
    return futures


def _outcome(task_id: str, future: Any, names: dict[str, str]) -> Outcome:
    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        return Outcome(task_id, "failed", reason="cancelled")
    error = future.exception()
    if isinstance(error, TaskFailed):
        if error.id == task_id:
            return Outcome(task_id, "failed", reason=error.reason)
        return Outcome(task_id, "skipped", reason=f"skipped because of {error.id}")
    if type(error).__name__ != "KilledWorker":
        return Outcome(task_id, "failed", reason=f"{type(error).__name__}: {error}")
    culprit = names.get(str(error.task), task_id)  # the task whose worker died; its dependents get the same error
    if culprit == task_id:
        return Outcome(task_id, "failed", reason=KILLED)
    return Outcome(task_id, "skipped", reason=f"skipped because of {culprit}")


def _line(outcome: Outcome) -> str:
    first = outcome.reason.splitlines()[0] if outcome.reason else f"{outcome.seconds:.1f} s"
    return f"{outcome.state:<8}{outcome.id}  {first}"
