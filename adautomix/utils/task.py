"""The task of a plan that this process runs for, if any; the environment says so.

What a task leaves behind is listed in a file of its folder: without it the task is not done.
"""

import os
from pathlib import Path

VARIABLE, LISTED = "ADAUTOMIX_TASK", "trained"
"""The environment variable that holds the task's folder, and the file there that lists what it made."""


def in_task() -> bool:
    """Return whether a plan started this process."""
    return VARIABLE in os.environ


def note(path: Path) -> None:
    """List a folder among what the current task made; without a task nothing happens."""
    if folder := os.environ.get(VARIABLE):
        with (Path(folder) / LISTED).open("a", encoding="utf-8") as listed:
            listed.write(os.path.relpath(path, folder) + "\n")


def noted(folder: Path) -> list[Path]:
    """Return what the task with this folder made."""
    listed = folder / LISTED
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    return [(folder / line).resolve() for line in lines]
