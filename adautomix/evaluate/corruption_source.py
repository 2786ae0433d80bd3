"""Which corrupted test images belong to a data set: published files, a kept set, or images made as needed.

What a reader gets wrong: published files are of CIFAR only; files given by hand are for runs on CIFAR, and any other
data set keeps its own source.
"""

from pathlib import Path
from typing import Any

import torch

from adautomix.data.base import IN_MEMORY, Dataset
from adautomix.data.loader import eval_loader
from adautomix.evaluate.corruptions import sources
from adautomix.evaluate.corruptions.sources import Made, Source
from adautomix.runs.progress import progress
from adautomix.utils.paths import in_workbook

PUBLISHED = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""Folders below the workbook's `data` in which published corruptions are looked for."""
Files = str | Path | None
"""Folder of published CIFAR-C files; None: the usual one, if it is there."""


def corruption_source(
    dataset: Dataset, folder: Path, device: torch.device, files: Files = None, workers: int = 2
) -> Source:
    """Return where a data set's corrupted test images come from; a kept set is made if it is not there yet.

    Args:
        folder: where a kept set goes, in a folder of its own.
        files: published CIFAR-C files, looked at for CIFAR only; by default those below `data`, if they are there.
    Raises: UserError for files that cannot be read or are of other images.
    """
    lies = _published(dataset.name, files)
    if lies is not None:
        return sources.published(lies, dataset.test.labels)
    settings = source_settings(dataset.name, dataset.size, dataset.fingerprint)
    if "files" not in settings:
        return Made()
    identity = {"data": dataset.label, "fingerprint": dataset.fingerprint, "images": len(dataset.test)}
    return sources.keep(
        folder / settings["files"],
        eval_loader(dataset, device=device, workers=workers),
        of=identity | {"size": dataset.size},
        table=settings["table"],
        bar=lambda names: progress(names, total=len(names), name="corrupting the test images", unit="corruption"),
    )


def source_settings(name: str, size: int, fingerprint: str, files: Files = None) -> dict[str, Any]:
    """Return the settings of the source that `corruption_source` gives; no images are read or made.

    Args:
        name, size, fingerprint: of the data set; size is the images' side in px.
    """
    lies = _published(name, files)
    if lies is not None:
        return sources.published_settings(lies)
    if size > IN_MEMORY:  # too many bytes to keep
        return Made().settings
    table = sources.default_table(size)
    return sources.kept_settings(f"corrupted-{table}-{fingerprint}", table)


def _published(name: str, files: Files) -> Path | None:
    if name not in PUBLISHED:
        return None
    folder = in_workbook("data") / PUBLISHED[name] if files is None else in_workbook(files)
    return folder if files is not None or folder.is_dir() else None
