"""Shared by the benchmarks: interleaved timing, a table on the screen, `--json FILE`."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd


def arguments(description: str, **defaults: int) -> argparse.Namespace:
    """Return the command line's settings: one integer flag a default, and `--json`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    return parser.parse_args()


def interleaved(variants: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return seconds of every variant in every round; rounds alternate, so that a busy moment hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run()  # warm-up
    for _ in range(rounds):
        for name, run in variants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, baseline: str) -> float:
    """Return how many times faster a variant is than the baseline: median of the rounds' own ratios."""
    return statistics.median(b / s for s, b in zip(seconds[name], seconds[baseline], strict=True))


def report(title: str, rows: list[dict[str, Any]], path: Path | None) -> None:
    """Print the rows as a table, and write them with the machine's description if a path is given."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{title}\n({machine})\n{pd.DataFrame(rows).to_string(index=False)}")
    if path is not None:
        path.write_text(json.dumps(rows, indent=2) + "\n")
