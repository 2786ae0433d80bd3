"""Corrupted test images in files, and the published ones of CIFAR-C: read, checked, and told from another folder's.

One layout, a .npy a corruption: uint8 [5M,H,W,3], first the M test images at severity 1. Beside published files
labels.npy repeats the test labels five times.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.evaluate.corruptions import ALL19, SEVERITIES
from adautomix.evaluate.corruptions.tables import require_severity
from adautomix.utils.errors import UserError

ZENODO = (
    "the published files are Zenodo records 2535967 (CIFAR-10-C) and 3555552 (CIFAR-100-C); without them, "
    "images of the same severities are made, to be called regenerated"
)
Images = Float[Tensor, "B 3 H W"]


@dataclass(frozen=True)
class Stored:
    """Images read from the files in a folder.

    Attributes:
        count: test images, M.
        advice: what to do about a file that cannot be read.
        settings: what a result records.
        sums: the sha256 of every file, where it is known; held against the file when it is first read.
    """

    folder: Path
    count: int
    advice: str
    settings: dict[str, Any]
    sums: dict[str, str] = field(default_factory=dict, repr=False)
    opened: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __call__(self, x: Images, index: Int[Tensor, " B"], name: str, severity: int) -> Images:
        """Return the stored images of these rows, on x's device; raises UserError for a file that does not fit."""
        require_severity(severity)
        if name not in self.opened:
            shape = (len(SEVERITIES) * self.count, *x.shape[2:], 3)
            path = self.folder / f"{name}.npy"
            if name in self.sums and path.is_file() and sha256_of(path) != self.sums[name]:
                raise UserError(f"{path} cannot be read (its sha256 is not what it was made with); {self.advice}")
            self.opened[name] = _open(path, shape, self.advice)
        images = self.opened[name][(severity - 1) * self.count : severity * self.count]
        rows = torch.from_numpy(images[index.cpu().numpy()])  # a list of rows copies: the file is read-only
        return rows.permute(0, 3, 1, 2).to(x.device, x.dtype).div_(255)


def published(folder: Path, labels: Int[Tensor, " M"], settings: dict[str, Any]) -> Stored:
    """Return the CIFAR-C files in a folder; `settings` are for the result's record.

    Raises: UserError unless labels.npy repeats the test labels five times, in their order.
    """
    path = folder / "labels.npy"
    repeated = _open(path, (len(SEVERITIES) * len(labels),), ZENODO).reshape(-1, len(labels))
    wrong = int((repeated != labels.cpu().numpy()).sum())
    if wrong:
        raise UserError(
            f"{path} must repeat the test labels five times but differs in {wrong} of {repeated.size} places: is it of "
            f"the other data set, or the test set not in its published order? {ZENODO}"
        )
    return Stored(folder, len(labels), ZENODO, settings)


def checksum(folder: Path) -> str:
    """Return 12 digits by which a result knows published files again: the sha256 of the labels and of one corruption.

    Read once a process: a corruption is 150 MB.
    Raises: UserError if they cannot be read.
    """
    try:
        seen = [(path, path.stat()) for path in (folder / "labels.npy", folder / f"{ALL19[0]}.npy")]
        return _checksum(tuple((path, was.st_size, was.st_mtime_ns) for path, was in seen))
    except OSError as error:
        raise UserError(f"the published files in {folder} cannot be read ({error}); {ZENODO}") from error


@lru_cache
def _checksum(files: tuple[tuple[Path, int, int], ...]) -> str:
    return hashlib.sha256("".join(sha256_of(path) for path, *_ in files).encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """Return a file's sha256, 64 digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path, shape: tuple[int, ...], advice: str) -> np.ndarray:
    """Return an array of whole numbers (images: uint8), mapped from the disk, not read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, TokenError, MemoryError, OverflowError) as error:
        raise UserError(f"{path} cannot be read ({error}); {advice}") from error
    if array.shape != shape or array.dtype.kind not in "iu" or (len(shape) > 1 and array.dtype != np.uint8):
        raise UserError(f"{path} must hold {shape} integers (images: uint8), got {array.dtype} {array.shape}; {advice}")
    return array
