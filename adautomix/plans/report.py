"""What a plan's user reads: the state of every task, the failures, and the accuracy table."""

from collections import Counter
from collections.abc import Iterable

from adautomix.plans.execute import Outcome, is_done, trained_runs
from adautomix.plans.in_hand import is_running, last_start, place_of
from adautomix.plans.live import live_text
from adautomix.plans.tasks import Plan, Task
from adautomix.results.tables import table, wide_table
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json

STATES = ("done", "kept", "running", "waiting", "stale", "failed", "skipped")


def state_of(task: Task) -> tuple[str, str]:
    """Return a task's state on disk (done, running, failed, stale, waiting) and a remark."""
    if is_running(task):
        return "running", place_of(last_start(task))
    if is_done(task):
        return "done", f"{float(read_json(task.folder / 'DONE').get('seconds', 0)):.1f} s"
    failed = read_json(task.folder / "FAILED") if (task.folder / "FAILED").exists() else {}
    if failed.get("key") == task.key:
        return "failed", (str(failed.get("reason", "")).splitlines() or [""])[0]
    if (task.folder / "DONE").exists():
        return "stale", "its notebook, its parameters, its runs, what it needs or the package's code changed since"
    return "waiting", ""


def status_text(plan: Plan) -> str:
    """Return one line a task, and a count of the states."""
    states = {task.id: state_of(task) for task in plan.tasks.values()}
    for id_, (state, _) in states.items():
        open_ = [need for need in plan.tasks[id_].needs if states[need][0] != "done"]
        if state == "waiting" and open_:
            states[id_] = (state, f"for {open_[0]}" + f" and {len(open_) - 1} more" * (len(open_) > 1))
    width = max(map(len, states))
    lines = [f"{state:<8} {id_:<{width}}  {remark}".rstrip() for id_, (state, remark) in states.items()]
    counts = _counts(plan, (state for state, _ in states.values()))
    return "\n".join([*lines, "", *filter(None, [live_text(plan.outputs), counts])])


def outcome_text(plan: Plan, outcomes: Iterable[Outcome]) -> str:
    """Return the end of a run: failures with their traceback, counts, the accuracy table, and where to look."""
    outcomes = list(outcomes)
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    parts = [f"-- {o.id} failed --\n{o.reason}\n(its folder: {plan.tasks[o.id].folder})" for o in failed]
    try:
        parts += filter(None, [accuracy_text(plan)])
    except UserError as error:  # a file that is damaged must not keep the failures back
        parts.append(f"no accuracies: {error}")
    parts.append(_counts(plan, (outcome.state for outcome in outcomes)))
    last = next((task for task in reversed(plan.tasks.values()) if is_done(task)), None)
    if last is not None:
        parts.append(f"last notebook: {last.folder / 'notebook.ipynb'}\nruns: {plan.outputs / 'runs'}")
    return "\n\n".join(parts)


def runs_of(plan: Plan) -> list[Run]:
    """Return the finished Runs of the plan as it is now."""
    return [run for task in plan.tasks.values() for run in trained_runs(task) if run.done]


def accuracy_text(plan: Plan) -> str:
    """Return the top-1 table of the runs of the plan as it is now, or nothing if none was evaluated."""
    stats = table(runs_of(plan))
    if stats.empty:
        return ""
    title = "top-1 accuracy on test images, %: mean ± sd over seeds; the student, and the teacher that averages it"
    return f"{title}\n{wide_table(stats).to_string(index=False)}"


def _counts(plan: Plan, states: Iterable[str]) -> str:
    counts = Counter(states)
    return f"{plan.name}: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
