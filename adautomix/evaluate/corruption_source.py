"""Where corrupted test images come from: published files, a set made once and kept, or made as they are needed.

Published and kept sets have one layout, that of `corrupted_files.py`; beside a kept set `manifest.json` says what was
made of which images, with a checksum a file. Published files are of CIFAR only: other data sets keep their own source.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from adautomix.data.base import IN_MEMORY, Dataset
from adautomix.data.loader import eval_loader
from adautomix.evaluate.corrupted_files import Images, Stored, checksum, published, sha256_of
from adautomix.evaluate.corruptions import ALL19, SEVERITIES, corrupt, default_table
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_atomic, write_json
from adautomix.utils.locks import hold
from adautomix.utils.paths import in_workbook
from adautomix.utils.progress import progress
from adautomix.utils.typecheck import matches_hint

PUBLISHED = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""Folders below the workbook's `data` in which published corruptions are looked for."""
SEED = 0
VERSION = 1
"""Of the images that `corrupt` makes: raise it when they change, and kept sets and results are made anew."""
COMMON_SIDE = 32
"""Px; images of this side, CIFAR's, are kept in a folder that does not name it."""
MANIFEST = "manifest.json"
Files = str | Path | None
"""Folder of published CIFAR-C files; None: the usual one, if it is there."""


class MadeOnDemand:
    """Images made as they are needed, under the severity table that fits their size."""

    def __init__(self) -> None:
        self.settings = {"source": "regenerated", "seed": SEED, "table": "by size", "version": VERSION}

    def __call__(self, x: Images, index: Int[Tensor, " B"], name: str, severity: int) -> Images:
        """Return corrupted images, a new tensor."""
        return corrupt(x, name, severity, table=default_table(max(x.shape[2:])), seed=SEED, index=index)


Source = MadeOnDemand | Stored
"""Called with a clean batch, its images' places in the test set, a corruption and a severity."""


def corruption_source(
    dataset: Dataset, folder: Path, device: torch.device, files: Files = None, workers: int = 2
) -> Source:
    """Return where a data set's corrupted test images come from; a kept set is made if it is not there yet.

    Args:
        folder: where a kept set goes, in a folder of its own.
        files: published CIFAR-C files, looked at for CIFAR only; by default those below `data`, if they are there.
    Raises: UserError for files that cannot be read or are of other images.
    """
    settings = source_settings(dataset.name, dataset.size, dataset.fingerprint, files)
    lies = _published_folder(dataset.name, files)
    if lies is not None:
        return published(lies, dataset.test.labels, settings)
    if "files" not in settings:
        return MadeOnDemand()
    identity = {"data": dataset.label, "fingerprint": dataset.fingerprint}
    return keep(
        _kept_folder(folder / settings["files"], dataset.size),
        eval_loader(dataset, device=device, workers=workers),
        of=identity | {"images": len(dataset.test), "size": dataset.size},
        settings=settings,
        bar=lambda names: progress(names, total=len(names), name="corrupting the test images", unit="corruption"),
    )


def source_settings(name: str, size: int, fingerprint: str, files: Files = None) -> dict[str, Any]:
    """Return the settings of the source that `corruption_source` gives. None is made; of published files two are read.

    Args:
        name, size, fingerprint: of the data set; size is the images' side in px.
    Raises: UserError for published files that cannot be read.
    """
    lies = _published_folder(name, files)
    if lies is not None:
        return {"source": "published", "files": lies.name, "table": "cifar", "checksum": checksum(lies)}
    if size > IN_MEMORY:  # too many bytes to keep
        return MadeOnDemand().settings
    table = default_table(size)
    return MadeOnDemand().settings | {"table": table, "files": f"corrupted-{table}-{fingerprint}"}


def _kept_folder(plain: Path, size: int) -> Path:
    """Return where a set of this side is kept: the folder of that name, or beside it where that is another side's."""
    there = plain / MANIFEST
    side = read_json(there).get("size") if there.exists() else COMMON_SIDE
    return plain if side == size else plain.with_name(f"{plain.name}-{size}px")


def keep(
    folder: Path, batches: Iterable[Any], *, of: dict[str, Any], settings: dict[str, Any], bar: Callable = list
) -> Stored:
    """Return a set that lies in `folder`, after making the corruptions that are not there yet.

    Args:
        batches: the whole test set in order; `x` in [0,1], `y` and `index`. Read once a corruption.
        of: what identifies the clean images, for the manifest; `images` is their number.
        settings: for the result's record; `table` says whose severities are made.
        bar: wraps the names of the corruptions to make, for a progress bar.
    Raises: UserError if the folder holds a set of other images or of another table.
    """
    table = settings["table"]
    record = of | {"table": table, "seed": SEED, "version": VERSION, "severities": 5, "layout": "[5M,H,W,3]"}
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder / ".lock"):  # of several evaluations that start together, one makes it
        manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {**record, "sha256": {}}
        if {k: v for k, v in manifest.items() if k != "sha256"} | {"version": VERSION} != record:
            raise UserError(f"{folder} holds corrupted images of another kind, see its {MANIFEST}; delete the folder")
        if manifest.get("version") != VERSION:  # the same images, corrupted as they were: all are made anew
            manifest = {**record, "sha256": {}}
        if not matches_hint(manifest.get("sha256"), dict[str, str]):
            raise UserError(f"{folder / MANIFEST} is damaged, it has no checksums; delete the folder, it is made anew")
        files = {name: folder / f"{name}.npy" for name in ALL19}
        for name in bar([n for n, path in files.items() if n not in manifest["sha256"] or not path.is_file()]):
            write_atomic(files[name], partial(_make, name=name, batches=batches, table=table))
            manifest["sha256"][name] = sha256_of(files[name])
            write_json(folder / MANIFEST, manifest)
    return Stored(folder, of["images"], f"delete {folder}, it is made anew", settings, manifest["sha256"])


def _published_folder(name: str, files: Files) -> Path | None:
    if name not in PUBLISHED:
        return None
    folder = in_workbook("data") / PUBLISHED[name] if files is None else in_workbook(files)
    return folder if files is not None or folder.is_dir() else None


def _make(path: Path, *, name: str, batches: Iterable[Any], table: str) -> None:
    parts: list[list[np.ndarray]] = [[] for _ in SEVERITIES]
    for x, _, index in batches:
        for severity, part in zip(SEVERITIES, parts, strict=True):
            images = corrupt(x, name, severity, table=table, seed=SEED, index=index)
            part.append(images.mul(255).round_().byte().permute(0, 2, 3, 1).cpu().numpy())
    with path.open("wb") as file:  # np.save would add .npy to the temporary name
        np.save(file, np.concatenate([image for part in parts for image in part]))
