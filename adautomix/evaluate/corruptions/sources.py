"""Where corrupted test images come from: the published files, a set made once and kept, or made as they are needed.

A kept set has the published files' layout, one uint8 .npy a corruption with its five severities one after the other, so
that other tools can read it. `manifest.json` beside it says what was made of which images, with a checksum a file.
Every source has `settings`, which tell a result where its images came from.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4, corrupt
from adautomix.evaluate.corruptions.cifar_c import SEVERITIES, load_cifar_c, require_severity
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_atomic, write_json

VERSION = 1
"""Of the images that `corrupt` makes: raise it when they change, and kept sets are made anew."""
MANIFEST = "manifest.json"
Images = Float[Tensor, "B 3 H W"]


def default_table(side: int) -> str:
    """Return the severity table for images of this side (px): at 64, which two fit, Tiny-ImageNet's."""
    return "cifar" if side <= 32 else "tiny" if side <= 64 else "imagenet"


@dataclass(frozen=True)
class Made:
    """Images made as they are needed. `table`: whose severities; None: what fits the images' size."""

    table: str | None = None
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What a result records."""
        return {"source": "regenerated", "seed": self.seed, "table": self.table or "by size", "version": VERSION}

    def __call__(self, x: Images, index: Int[Tensor, " B"], name: str, severity: int) -> Images:
        """Return corrupted images, a new tensor."""
        table = self.table or default_table(max(x.shape[2:]))
        return corrupt(x, name, severity, table=table, seed=self.seed, index=index)


@dataclass(frozen=True)
class Kept:
    """Images read from files. `block`: gives the array [M,H,W,3] of a corruption and severity, on the disk."""

    block: Callable[[str, int], np.ndarray]
    settings: dict[str, Any]
    opened: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, repr=False)

    def __call__(self, x: Images, index: Int[Tensor, " B"], name: str, severity: int) -> Images:
        """Return the stored images of these rows, on x's device."""
        images = self.opened.get((name, severity))
        if images is None:
            images = self.opened[name, severity] = self.block(name, severity)
        rows = torch.from_numpy(images[index.cpu().numpy()])  # a list of rows copies: the file may be read-only
        return rows.permute(0, 3, 1, 2).to(x.device, x.dtype).div_(255)


Source = Made | Kept
"""Called with a clean batch, its images' places in the test set, a corruption and a severity."""


def published(folder: Path, labels: Int[Tensor, " M"]) -> Kept:
    """Return the CIFAR-C files in a folder, whose labels must be those of the test set.

    Raises: UserError, here or when a file is first needed, as `load_cifar_c`.
    """
    clean = labels.cpu().numpy()
    load_cifar_c(folder, CORRUPTIONS15[0], 1, labels=clean, expect=len(clean))
    block = partial(_published, folder, len(clean))
    return Kept(block, published_settings(folder))


def published_settings(folder: Path) -> dict[str, Any]:
    """Return what a result on the published files in a folder records."""
    return {"source": "published", "files": folder.name, "table": "cifar"}


def keep(
    folder: Path, batches: Iterable[Any], *, of: dict[str, Any], table: str, seed: int = 0, bar: Any = None
) -> Kept:
    """Return a set that lies in `folder`, after making the corruptions that are not there yet.

    Args:
        batches: the whole test set in order; `x` in [0,1], `y` and `index`. Read once a corruption.
        of: what identifies the clean images, for the manifest.
        bar: wraps the names of the corruptions to make, for a progress bar.
    Raises: UserError if the folder holds a set of other images, table or seed.
    """
    from filelock import FileLock

    record = of | {"table": table, "seed": seed, "version": VERSION, "severities": SEVERITIES, "layout": "[5M,H,W,3]"}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # of several evaluations that start together, one makes it
        manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else record | {"sha256": {}}
        if {k: v for k, v in manifest.items() if k != "sha256"} != record:
            raise UserError(f"{folder} holds corrupted images of another kind, see its {MANIFEST}; delete the folder")
        names = CORRUPTIONS15 + CORRUPTIONS_EXTRA4
        todo = [name for name in names if name not in manifest["sha256"] or not _path(folder, name).is_file()]
        for name in bar(todo) if bar else todo:
            write_atomic(_path(folder, name), partial(_make, name=name, batches=batches, table=table, seed=seed))
            manifest["sha256"][name] = _sha256(_path(folder, name))
            write_json(folder / MANIFEST, manifest)
    return Kept(partial(_kept, folder), kept_settings(folder.name, table, seed))


def kept_settings(files: str, table: str, seed: int = 0) -> dict[str, Any]:
    """Return what a result on a kept set in a folder of this name records."""
    return {"source": "regenerated", "files": files, "table": table, "seed": seed, "version": VERSION}


def _published(folder: Path, count: int, name: str, severity: int) -> np.ndarray:
    return load_cifar_c(folder, name, severity, expect=count)[0]


def _kept(folder: Path, name: str, severity: int) -> np.ndarray:
    require_severity(severity)
    try:
        images = np.load(_path(folder, name), mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{_path(folder, name)} cannot be read ({error}); delete {folder}, it is made anew") from error
    count = len(images) // SEVERITIES
    return images[(severity - 1) * count : severity * count]


def _make(path: Path, *, name: str, batches: Iterable[Any], table: str, seed: int) -> None:
    parts: list[list[np.ndarray]] = [[] for _ in range(SEVERITIES)]
    for x, _, index in batches:
        for severity, part in enumerate(parts, start=1):
            images = corrupt(x, name, severity, table=table, seed=seed, index=index)
            part.append(images.mul(255).round_().byte().permute(0, 2, 3, 1).cpu().numpy())
    with path.open("wb") as file:  # np.save would add .npy to the temporary name
        np.save(file, np.concatenate([image for part in parts for image in part]))


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
