"""Small workbooks for the runner's tests: notebooks of a few lines, and the command line run on them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from adautomix.plans.forked_kernels import VARIABLE
from adautomix.plans.tasks import load_plan

PARAMETERS = """\
method: str = "mixup"  # one of METHODS
epochs: int = 1  # passes
lr: float = 0.1  # peak
seeds: list[int] = [0]  # several
size: "Optional[int]" = None  # px
flip: bool = True  # mirror
speed: str = "fast"  # one of: fast, slow
outputs: str = "outputs/x"  # where
"""
"""The parameters cell of the notebook `train` that `two_notebooks` writes."""
OUTPUTS = 'outputs: str = "x"  # where\n'
RECORD = "import pathlib, time\npathlib.Path(outputs, 'seen').mkdir(parents=True, exist_ok=True)\n"


def write_notebook(folder: Path, name: str, parameters: str | None, *code: str) -> Path:
    """Write a notebook with a parameters cell (unless None) and one cell per piece of code."""
    meta = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cells = [] if parameters is None else [(parameters, ["parameters"])]
    cells += [(source, []) for source in code]
    content = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": str(i),
                "metadata": {"tags": tags} if tags else {},
                "outputs": [],
                "source": source,
            }
            for i, (source, tags) in enumerate(cells)
        ],
        "metadata": meta,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_plan(folder: Path, steps: dict, name: str = "tiny", **top) -> Path:
    """Write notebooks/plans/<name>.yaml."""
    path = folder / "notebooks" / "plans" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"steps": steps} | top, sort_keys=False))
    return path


def two_notebooks(folder: Path) -> Path:
    """Write the notebooks `train`, and `table` with fewer parameters, and return the folder."""
    write_notebook(folder, "train", PARAMETERS, "pass")
    write_notebook(folder, "table", 'outputs: str = "x"  # where\nmethod: str = "mixup"  # one of METHODS')
    return folder


def plan_of(workbook, steps, settings=None, **top):
    return load_plan(write_plan(workbook, steps, **top), settings=settings)


def done(folder, plan="tiny"):
    return sorted(p.parent.name for p in (folder / "outputs" / plan / "tasks").rglob("DONE"))


def command(folder: Path, *args: str, preload: bool = False, **env: str) -> subprocess.CompletedProcess:
    """Run `adautomix` in a folder, as a user would, and return its exit code and output.

    Args:
        preload: kernels find torch imported, as always outside of the tests (`conftest.py`).
    """
    around = {k: v for k, v in os.environ.items() if not (preload and k == VARIABLE)}
    return subprocess.run(
        [sys.executable, "-m", "adautomix", *args],
        cwd=folder,
        env=around | env,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
