"""Checkpoints: tensors, numbers and strings only, so that they load with weights_only=True on any machine."""

import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from adautomix.utils.errors import UserError
from adautomix.utils.files import write_atomic


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically; raises UserError if it cannot be written, and leaves the last one."""
    try:
        write_atomic(path, lambda temporary: torch.save(state, temporary))
    except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError of torch's archive
        free = shutil.disk_usage(path.parent).free / 2**20
        raise UserError(f"{path} could not be written, {free:.0f} MiB are free there: {error}") from error


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content on the CPU; modules and optimisers copy it to where they are.

    Raises: UserError for a file that is damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or "student" not in state:
            raise ValueError("it holds no student")
    except (OSError, EOFError, RuntimeError, LookupError, ValueError, UnpicklingError) as error:
        raise UserError(
            f"{path} cannot be read, {str(error).splitlines()[0] if str(error) else 'it is empty'}; "
            f"delete {path.parent} and train again"
        ) from error
    return state
