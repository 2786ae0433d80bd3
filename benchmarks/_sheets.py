"""CIFAR-100 from sheets: a JPEG a class and split, of 32-px tiles row by row; 25 columns for training, 10 for test."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adautomix.data.base import Dataset, MemorySplit
from adautomix.data.cifar import MEAN, STD
from adautomix.data.fingerprints import fingerprint_files

COLUMNS = {"train": 25, "test": 10}
SIDE = 32


def cifar100(sheets: Path) -> Dataset:
    """Return the data set of a folder of sheets; its label says that the images were JPEGs."""
    paths = {split: sorted((sheets / split).glob("*.jpg")) for split in COLUMNS}
    classes = tuple(path.stem for path in paths["train"])
    assert classes, f"no sheets in {sheets}/train"
    assert classes == tuple(path.stem for path in paths["test"]), f"other classes in {sheets}/test"
    splits = {split: _split(paths[split]) for split in COLUMNS}
    digest = fingerprint_files(sheets, [*paths["train"], *paths["test"]], content=True)
    return Dataset(
        name="cifar100",
        label="cifar100-jpeg",
        classes=classes,
        train=splits["train"],
        test=splits["test"],
        size=SIDE,
        mean=MEAN,
        std=STD,
        pad=4,
        flip=True,
        fingerprint=digest,
    )


def _split(paths: list[Path]) -> MemorySplit:
    images = [_tiles(path) for path in paths]
    labels = torch.arange(len(paths)).repeat_interleave(torch.tensor([len(part) for part in images]))
    return MemorySplit(torch.cat(images), labels)


def _tiles(path: Path) -> torch.Tensor:
    """Return a sheet's tiles [M,3,32,32], row by row."""
    sheet = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    tiles = sheet.view(rows, SIDE, columns, SIDE, 3).permute(0, 2, 4, 1, 3)
    return tiles.reshape(-1, 3, SIDE, SIDE).contiguous()
