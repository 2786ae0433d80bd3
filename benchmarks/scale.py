"""Large studies: seconds and memory to check a plan of 2,000 tasks, to tell its state, and to read 10,000 Runs.

Each is measured in a process of its own, so that its peak memory is its own. The Runs are folders as training and
evaluation leave them, made by hand: three seeds of each setting.
"""

import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import arguments, report

from adautomix.config import TrainConfig
from adautomix.methods import METHODS
from adautomix.runs.run import ROLES, create, find_runs, run_for

NOTEBOOK = "seed: int = 0  # seed\nlr: float = 0.1  # peak\noutputs: str = 'x'  # where"
DATASET = {"label": "digits", "classes": list("0123456789"), "size": 8, "mean": [0], "std": [1], "fingerprint": "f"}


def main() -> None:
    """Make the plan and the Runs, then measure each reading of them."""
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
        return
    args = arguments(__doc__, tasks=2_000, runs=10_000)
    rows = []
    with tempfile.TemporaryDirectory(prefix="ax-") as name:
        folder = Path(name)
        make_plan(folder, args.tasks)
        make_runs(folder / "runs", args.runs)
        for what in MEASURED:
            call = [sys.executable, __file__, "--measure", what, str(folder)]
            rows.append(json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout))
    report(f"{args.tasks} tasks, {args.runs} Runs; imports included in the memory, not in the time", rows, args.json)


def measure(what: str, folder: Path) -> None:
    """Print one row as JSON."""
    cpu, began = time.process_time(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        MEASURED[what](folder)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"what": what, "s": round(seconds, 2), "CPU s": round(cpu, 2), "peak MiB": round(peak)}))


def make_plan(folder: Path, tasks: int) -> None:
    """Write a plan of trainings, half as many evaluations (one a training), and a table after all of them; all DONE."""
    from adautomix.plans.execute import _upstream
    from adautomix.utils.files import write_json

    cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": NOTEBOOK}]
    (folder / "work.ipynb").write_text(json.dumps({"cells": cells}))
    grid = {"seed": list(range(tasks // 20)), "lr": [i / 10 for i in range(1, 11)]}
    step = {"notebook": "work", "grid": grid}
    steps = {"train": step | {"training": True}, "evaluate": step | {"needs": "train"}}
    steps["table"] = {"notebook": "work", "needs": ["train", "evaluate"]}
    (folder / "plan.yaml").write_text(json.dumps({"steps": steps}))
    plan = load_here(folder)
    for task in plan.tasks.values():
        done = {"key": task.key, "run": task.id, "upstream": _upstream(task), "seconds": 1.0}
        write_json(task.folder / "DONE", done)
        (task.folder / ".lock").touch()


def load_here(folder: Path):
    """Return the plan, with its outputs below the folder."""
    from unittest import mock

    from adautomix.plans import tasks

    with mock.patch.object(tasks, "in_workbook", lambda path: folder / path):
        return tasks.load_plan(folder / "plan.yaml")


def make_runs(root: Path, count: int) -> None:
    """Write finished and evaluated Runs: all methods, three seeds, many learning rates."""
    from dataclasses import replace

    methods, base = list(METHODS), TrainConfig(epochs=3)
    for i in range(count):
        student = replace(base.optim["student"], lr=0.001 * (1 + i // (3 * len(methods))))
        config = replace(base, method=methods[i // 3 % len(methods)], seed=i % 3, optim={"student": student})
        run = run_for(root, config, DATASET)
        create(run, config, DATASET)
        run.add_session({"device": "cpu", "threads": 1}) if i == 0 else None
        for role in ROLES:
            run.write_metrics("accuracy", role, {"value": {"top1": float(i % 100)}, "n_images": 10})
        run.finish()


def check(folder: Path) -> None:
    """Check the plan against its notebooks."""
    load_here(folder)


def status(folder: Path) -> None:
    """Tell the state of every task, as `adautomix status` does."""
    from adautomix.plans.report import status_text

    text = status_text(load_here(folder))
    assert " done" in text, text[-200:]
    assert " stale" not in text, text[-200:]


def rest(folder: Path) -> None:
    """Find out that nothing has to run."""
    from adautomix.plans.orchestrate import select, unsettled

    plan = load_here(folder)
    assert unsettled(select(plan, ()), set()) == []


def find(folder: Path) -> None:
    """Find all Runs."""
    assert find_runs(folder / "runs")


def tabulate(folder: Path) -> None:
    """Find all Runs and average them over seeds."""
    from adautomix.results.tables import table, wide_table

    stats = table(find_runs(folder / "runs"))
    assert stats["n"].max() == 3
    wide_table(stats)


MEASURED = {"check the plan": check, "status": status, "what is to run": rest, "find_runs": find, "table": tabulate}

if __name__ == "__main__":
    main()
