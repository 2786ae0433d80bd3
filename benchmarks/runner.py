"""The parallel runner: its overhead for an empty notebook, and the speed-up of two workers over one."""

import json
import tempfile
import time
from pathlib import Path

from _report import arguments, report

from adautomix.plans.orchestrate import run_plan
from adautomix.plans.tasks import load_plan

WORK = """\
import time
end = time.process_time() + seconds
while time.process_time() < end:
    sum(range(1000))
"""


def main() -> None:
    """Run the same plan with one worker and with two."""
    args = arguments(__doc__, notebooks=8, seconds=10)
    rows = []
    with tempfile.TemporaryDirectory(prefix="ax-") as folder:
        empty = run(Path(folder), args.notebooks, 0, workers=1)
        one, two = (run(Path(folder), args.notebooks, args.seconds, workers) for workers in (1, 2))
    start = run_start()
    rows.append({"what": "start of the cluster", "value": round(start, 2), "unit": "s"})
    rows.append({"what": "overhead of a notebook", "value": round((empty - start) / args.notebooks, 2), "unit": "s"})
    rows.append(
        {"what": f"{args.notebooks} notebooks of {args.seconds} s, 1 worker", "value": round(one, 1), "unit": "s"}
    )
    rows.append(
        {"what": f"{args.notebooks} notebooks of {args.seconds} s, 2 workers", "value": round(two, 1), "unit": "s"}
    )
    rows.append({"what": "speed-up of 2 workers", "value": round(one / two, 2), "unit": "x"})
    report("runner: kernels included, CPU-bound notebooks", rows, args.json)


def run(folder: Path, notebooks: int, seconds: int, workers: int) -> float:
    """Return the seconds a fresh plan takes, the cluster's start included."""
    folder = folder / f"{seconds}-{workers}"
    folder.mkdir()
    cells = [("seconds: int = 0  # CPU time\nnumber: int = 0  # which", ["parameters"]), (WORK, [])]
    content = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": str(i),
                "metadata": {"tags": tags},
                "outputs": [],
                "source": text,
            }
            for i, (text, tags) in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "work.ipynb").write_text(json.dumps(content))
    step = {"notebook": "work", "grid": {"number": list(range(notebooks))}, "parameters": {"seconds": seconds}}
    plan_file = folder / "plan.yaml"
    plan_file.write_text(json.dumps({"steps": {"work": step}}))  # JSON is YAML
    plan = load_plan(plan_file, name=str(folder / "outputs"))
    began = time.perf_counter()
    outcomes = run_plan(plan, workers=workers)
    assert all(outcome.state == "done" for outcome in outcomes.values()), outcomes
    return time.perf_counter() - began


def run_start() -> float:
    """Return the seconds until a cluster of one worker answers."""
    from adautomix.plans.cluster import connect

    began = time.perf_counter()
    with connect(1, None) as client:
        client.wait_for_workers(1)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
