"""Makes good use of a GPU that is there for minutes: correctness, seconds a step, and training on CIFAR-100.

    python benchmarks/gpu.py --out OUT --sheets cifar100 --seconds 480    # on a bare machine
    python benchmarks/gpu.py --out OUT --sheets cifar100 --seconds 180 --stages training   # goes on
    python benchmarks/gpu.py --smoke                                      # the same stages on a CPU, tiny

Needs the package's source and torch, torchvision, timm, jaxtyping, filelock, numpy, pandas and matplotlib. Every row is
written to OUT as soon as it is there, so that a run that is cut off leaves its results. Sheets are a JPEG a class and
split, of 32-px tiles, below <sheets>/train and <sheets>/test; without them training is left out.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

STAGES = {"checks": 0.25, "speeds": 0.35, "training": 1.0}
"""The stages in order, each the function of that name in _gpu_<name>.py, and what it may take of the time left."""
SOURCE = Path(__file__).parents[1]


def main() -> None:
    """Run the stages, each until its time is up."""
    sys.path[:0] = [str(SOURCE), str(SOURCE / "tests")]  # nothing is installed on a bare machine
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder for the results")
    parser.add_argument("--sheets", type=Path, help="folder with CIFAR-100 as sheets, for the training")
    parser.add_argument("--seconds", type=float, default=480, help="time for all stages")
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on a CPU if there is no GPU")
    args = parser.parse_args()
    if not torch.cuda.is_available() and not args.smoke:
        print("no CUDA device: smoke sizes on the CPU; what is timed says nothing")
        args.smoke = True
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + args.seconds
    write(args.out / "machine.json", machine(args.device))
    failed = False
    for name in args.stages:
        run = getattr(importlib.import_module(f"_gpu_{name}"), name)
        began = time.monotonic()
        args.until = began + STAGES[name] * (end - began)
        rows = []
        for row in within(run(args), args.until):
            rows.append(row)
            write(args.out / f"{name}.json", rows)
            print("  ".join(f"{key} {value}" for key, value in row.items() if key != "kernels"), flush=True)
        failed |= any(row.get("ok") is False for row in rows)
        print(f"== {name}: {len(rows)} rows in {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(failed)


def within(rows: Iterator[dict[str, Any]], until: float) -> Iterator[dict[str, Any]]:
    """Yield rows until the time is up; what fails becomes a row that says so, and ends the stage."""
    try:
        for row in rows:
            yield row
            if time.monotonic() > until:
                yield {"left_out": "the rest: time was up"}
                return
    except Exception as error:
        yield {"ok": False, "error": f"{type(error).__name__}: {error}"[:500]}


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the results are of: card, date, versions, commit."""
    from adautomix.runs.environment import environment

    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    return {"card": card, "date": datetime.now(UTC).isoformat(timespec="seconds"), "cuda": torch.version.cuda} | (
        environment()
    )


def write(path: Path, content: Any) -> None:
    """Write JSON whole, under another name first."""
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(content, indent=1) + "\n")
    beside.replace(path)


if __name__ == "__main__":
    main()
