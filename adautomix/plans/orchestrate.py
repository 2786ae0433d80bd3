"""Running a whole plan: what is DONE is kept, failures stay where they happen, and everything is told at the end."""

import sys
import uuid
from collections.abc import Iterable

from adautomix.plans.cards import visible
from adautomix.plans.execute import Outcome, is_done
from adautomix.plans.in_hand import Waits, require_locks
from adautomix.plans.last_run import recall, remember
from adautomix.plans.live import Live
from adautomix.plans.place import Where
from adautomix.plans.progress import Progress
from adautomix.plans.tasks import Plan, Task
from adautomix.utils.cores import cores
from adautomix.utils.errors import UserError, unknown
from adautomix.utils.extras import installing


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
    recall(plan)  # outputs that are another plan's are left alone
    only = tuple(only)
    chosen = select(plan, only)
    forced = {t.id for t in plan.tasks.values() if force and (not only or t.step in set(only))}
    todo = unsettled(chosen, forced)
    outcomes = {t.id: Outcome(t.id, "kept") for t in chosen if t not in todo}
    if todo:
        share = gpu_share or plan.gpu_share
        logs = plan.outputs / "jobs"
        where = Where(workers or default_workers(share), scheduler, share, f"adautomix-{plan.name}", logs)
        outcomes |= _run(plan, todo, where, forced)
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
    return gpu_share * len(visible()) or min(cores(), 4)


def unsettled(tasks: Iterable[Task], forced: set[str]) -> list[Task]:
    """Return the tasks that must run: forced, not DONE, or after one that runs. `tasks` come in the plan's order."""
    todo: dict[str, Task] = {}
    for task in tasks:
        if task.id in forced or not is_done(task) or any(need in todo for need in task.needs):
            todo[task.id] = task
    return list(todo.values())


def _run(plan: Plan, todo: list[Task], where: Where, forced: set[str]) -> dict[str, Outcome]:
    """Run tasks as their needs are done and workers are free.

    A task is handed to dask only when a worker is free for it: handed over all at once, dask shares them out
    beforehand, and one worker of two was seen to run five notebooks of eight.
    """
    try:
        from tqdm import tqdm

        from adautomix.plans.cluster import connect
    except ImportError as error:
        raise UserError(f"running plans needs an extra ({error}): {installing('lab')}") from error
    submission = uuid.uuid4().hex
    with connect(where, todo) as place:
        require_locks(todo[0])
        remember(plan)  # not before: a mistake must not change what the name stands for
        there = len(place.workers())
        print(f"{len(todo)} notebooks to run, {there} workers" + ("" if there else ", waiting"))
        # disable=None: no bar where nobody watches, such as a log file; the lines are enough there.
        with (
            Live(plan.outputs, submission) as live,
            tqdm(total=len(todo), unit="notebook", dynamic_ncols=True, smoothing=0, disable=None) as bar,
        ):
            for who in live.others:
                bar.write(f"this plan is being run by {who}: what it has in hand is waited for", file=sys.stdout)
            progress, waits = Progress(place, todo, forced, submission), Waits(submission)
            while progress.unfinished:
                for outcome in progress.step():
                    bar.write(_line(outcome), file=sys.stdout)
                    bar.update()
                for line in [*place.tend(progress.useful), *waits.lines(progress.running.values())]:
                    bar.write(line, file=sys.stdout)
                live.beat(len(place.workers()), place.queue)
    return progress.outcomes


def _line(outcome: Outcome) -> str:
    first = outcome.reason.splitlines()[0] if outcome.reason else f"{outcome.seconds:.1f} s"
    return f"{outcome.state:<8}{outcome.id}  {first}"
