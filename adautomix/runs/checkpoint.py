"""Checkpoints: tensors, numbers and strings only, so that they load with weights_only=True on any machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch

from adautomix.utils.errors import UserError
from adautomix.utils.files import write_atomic

DAMAGED = (
    *(OSError, EOFError, RuntimeError, IndexError, ValueError, UnpicklingError, BadZipFile),
    *(MemoryError, OverflowError, NotImplementedError),
)
"""What torch and zipfile raise for a file that is not what it was."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically; raises UserError if it cannot be written, and leaves the last one."""
    try:
        write_atomic(path, lambda temporary: torch.save(state, temporary))
    except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError of torch's archive
        free = shutil.disk_usage(path.parent).free / 2**20
        raise UserError(f"{path} could not be written, {free:.0f} MiB are free there: {error}") from error


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content on the CPU; modules and optimisers copy it to where they are.

    Raises: UserError for a file that is damaged, or holds more than that.
    """
    with whole(path):
        require_sound_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or "student" not in state:
            raise ValueError("it holds no student")
        for name, kind in (("epoch", int), ("history", list)):
            if not isinstance(state.get(name, kind()), kind):
                raise ValueError(f"its {name} is {state[name]!r:.40}")
    return state


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Make whatever a damaged checkpoint leads to inside a UserError: reading it, or loading what was read.

    Not what is the disk's or the device's fault: nobody is to delete a run for that.
    """
    try:
        yield
    except UserError:
        raise
    except RuntimeError as error:
        if of_device(error):
            raise
        raise damaged(path, error) from error
    except OSError as error:
        if error.errno in (None, EINVAL):  # what zipfile meets where an offset makes no sense
            raise damaged(path, error) from error
        raise UserError(
            f"{path} could not be read ({error.strerror}): it may well be whole, try again when the disk answers"
        ) from error
    except (*DAMAGED, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error) from error


def of_device(error: RuntimeError) -> bool:
    """Return whether torch's error is a device's, a full or a failing one's, and not a file's."""
    kinds = (torch.OutOfMemoryError, getattr(torch, "AcceleratorError", torch.OutOfMemoryError))
    return isinstance(error, kinds) or any(words in str(error) for words in ("CUDA error", "MPS backend", "HIP error"))


def damaged(path: Path, error: Exception) -> UserError:
    """Return what is said of a checkpoint that is not what it was."""
    what = f"it lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0] if str(error) else ""
    return UserError(f"{path} cannot be read, {what or 'it is empty'}; delete {path.parent} and train again")


def require_sound_archive(path: Path) -> None:
    """Raise BadZipFile for a torch archive with a flipped bit, or one that would unpack to more than it is.

    torch itself checks no sums; it packs nothing either, so what is packed was made by somebody else.
    """
    with ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != ZIP_STORED for entry in entries):
            raise BadZipFile("its parts are packed, which torch does not do")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise BadZipFile("its parts are larger than the file")
        if broken := archive.testzip():
            raise BadZipFile(f"its part {broken} has another checksum")
