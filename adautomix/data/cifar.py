"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), through torchvision's download with its checksum and progress bar."""

from pathlib import Path

import torch
from torchvision import datasets

from adautomix.data.archives import Archive, default_root
from adautomix.data.base import Dataset, MemorySplit, size_or_default

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
    archive = Archive(name, source.base_folder, (), source.url, source.tgz_md5)
    root = default_root(name, root)
    try:
        train, test = _parts(source, root, download=False)  # first: it may lie where nothing can be written
    except RuntimeError:  # it is not there, or not whole
        with archive.fetching(root):
            train, test = _parts(source, root, download=True)
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


def _parts(source: type[datasets.CIFAR10], root: Path, *, download: bool) -> list[datasets.CIFAR10]:
    return [source(root, train=train, download=download) for train in (True, False)]


def _split(part: datasets.CIFAR10) -> MemorySplit:
    return MemorySplit(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
