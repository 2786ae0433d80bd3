"""A checkpoint file is read: tensors, numbers and strings alone, so that nobody's code runs."""

import hashlib
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor

from adautomix.runs import checkpoint
from adautomix.utils.errors import UserError, first_line

NEEDED = re.compile(r"Unsupported \w+: (?:GLOBAL )?(\S+)")
"""How torch says what a file needs that weights_only=True does not read."""


def read(file: Path) -> dict[str, Any]:
    """Return `state_dict` and `meta` of a checkpoint file, which may hold tensors, numbers and strings only."""
    if not file.is_file():
        raise UserError(f"there is no file {file} in {Path.cwd()}" if not file.is_absolute() else f"no file {file}")
    try:
        if is_zipfile(file):  # older torch wrote none
            checkpoint.require_sound_archive(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if (needs := NEEDED.search(str(error))) is None:
            raise UserError(f"{file} is no checkpoint that torch wrote, or is damaged") from error
        raise UserError(
            f"{file} is not read: it needs {needs[1]}, and what is not a tensor, number or string could run its "
            "author's code. Whoever wrote it can save {'state_dict': model.state_dict()} alone"
        ) from error
    except (*checkpoint.DAMAGED, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{file} cannot be read as a checkpoint ({first_line(error)})") from error
    state, meta = (content.get("state_dict", content), content.get("meta")) if isinstance(content, dict) else ({}, {})
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file} holds no state_dict, a mapping from names to tensors")
    state = {name.removeprefix("module."): value for name, value in state.items()}
    return {"state_dict": state, "meta": meta if isinstance(meta, dict) else {}}


def sha256(file: Path) -> str:
    """Return a file's sha256 in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
