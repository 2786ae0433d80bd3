"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), through torchvision's download with its checksum and progress bar."""

from pathlib import Path

import torch
from filelock import FileLock
from torchvision import datasets

from adautomix.data.base import Dataset, MemorySplit, size_or_default
from adautomix.utils.errors import UserError
from adautomix.utils.paths import in_workbook

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""The released configurations use these CIFAR-10 values for CIFAR-100 as well."""


def load_cifar10(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return CIFAR-10: 50,000 / 10,000 images of 32 px in 10 classes."""
    return _load("cifar10", datasets.CIFAR10, root, size)


def load_cifar100(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return CIFAR-100: 50,000 / 10,000 images of 32 px in 100 classes."""
    return _load("cifar100", datasets.CIFAR100, root, size)


def _load(name: str, source: type[datasets.CIFAR10], root: Path | None, size: int | None) -> Dataset:
    size = size_or_default(name, size, (32,))
    root = in_workbook("data") / name if root is None else root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock"):  # of several runs that start together, one downloads
            train, test = (source(root, train=train, download=True) for train in (True, False))
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{name} is not in {root} and could not be downloaded ({reason}). Without a network, put "
            f"{source.filename} from {source.url} (md5 {source.tgz_md5}) into {root}, or unpack it there so that "
            f"{root / source.base_folder} exists"
        ) from error
    return Dataset(
        name=name,
        label=name,
        classes=tuple(train.classes),
        train=_split(train),
        test=_split(test),
        size=size,
        mean=MEAN,
        std=STD,
        pad=4,
        flip=True,
        fingerprint=source.tgz_md5[:12],
    )


def _split(part: datasets.CIFAR10) -> MemorySplit:
    return MemorySplit(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
