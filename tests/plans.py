"""Small workbooks for the runner's tests: notebooks of a few lines, and the command line run on them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

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


def command(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess:
    """Run `adautomix` in a folder, as a user would, and return its exit code and output."""
    return subprocess.run(
        [sys.executable, "-m", "adautomix.cli", *args],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
