"""What a data set is: two splits, and how its images are to be normalised and augmented."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adautomix.data.images import read_images
from adautomix.errors import UserError
from adautomix.seeding import generator_for

IN_MEMORY = 64
"""Sets with images up to this side (px) are kept whole in memory as uint8; larger ones are read as needed."""


@dataclass(frozen=True)
class MemorySplit:
    """Images as one uint8 tensor [M,3,S,S], class ids [M] as int64."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8, self.images.dtype
        assert self.images.ndim == 4, self.images.shape
        assert len(self.images) == len(self.labels), (len(self.images), len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "MemorySplit":
        """Return the images at `rows`, copied."""
        return MemorySplit(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class PathSplit:
    """Image files, read when needed; class ids [M] as int64."""

    paths: Sequence[Path]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "PathSplit":
        """Return the files at `rows`."""
        return PathSplit([self.paths[i] for i in rows.tolist()], self.labels[rows])


Split = MemorySplit | PathSplit


@dataclass(frozen=True)
class Dataset:
    """A data set ready to be loaded in batches.

    Attributes:
        name: name in DATASETS.
        label: name of its folder of runs; for `folder` it carries the folder's name.
        classes: class names, in the order of the ids.
        size: image side in px.
        mean, std: three floats each, for pixels in [0,1]; the Classifier applies them.
        pad: px of reflect padding for the random crop in training (0: no crop); not used with `crop_scale`.
        crop_scale: least and largest share of the area that a random resized crop keeps; None: a crop after padding.
        flip: whether a mirrored image is still of its class.
        fingerprint: identifies the images, so that a run on other images is another run.
        validation: images held out of the training set, or None.
    """

    name: str
    label: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int
    flip: bool
    fingerprint: str
    validation: Split | None = None
    crop_scale: tuple[float, float] | None = None

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    def first_per_class(self, n: int) -> "Dataset":
        """Return the set with only the first n training images of every class; the test set stays whole.

        Raises: UserError if a class has fewer.
        """
        counts = torch.bincount(self.train.labels, minlength=self.num_classes)
        if counts.min() < n:
            short = self.classes[int(counts.argmin())]
            raise UserError(f"per_class={n}, but class {short!r} of {self.label} has {counts.min()} training images")
        rows = [torch.where(self.train.labels == k)[0][:n] for k in range(self.num_classes)]
        return replace(self, train=self.train.take(torch.cat(rows).sort().values))

    def hold_out(self, share: float) -> "Dataset":
        """Return the set with a share of every class's training images taken out as `validation`; always the same ones.

        Args:
            share: rounded to whole images, but at least one of every class.
        Raises: UserError if a class would have none left.
        """
        kept, held = [], []
        for k, name in enumerate(self.classes):
            rows = torch.where(self.train.labels == k)[0]
            count = max(1, round(len(rows) * share))
            if count >= len(rows):
                raise UserError(f"validation={share} leaves none of the {len(rows)} training images of class {name!r}")
            rows = rows[torch.randperm(len(rows), generator=generator_for(0, "validation", name))]
            held.append(rows[:count])
            kept.append(rows[count:])
        train, validation = (self.train.take(torch.cat(rows).sort().values) for rows in (kept, held))
        return replace(self, train=train, validation=validation)

    def in_memory(self) -> "Dataset":
        """Return the set with its files read, if its images are small enough to be kept in memory.

        Raises: UserError naming the files that cannot be read.
        """
        if self.size > IN_MEMORY:
            return self
        validation = None if self.validation is None else read_split(self.validation, self.size)
        train, test = (read_split(split, self.size) for split in (self.train, self.test))
        return replace(self, train=train, test=test, validation=validation)


def fingerprint(parts: Sequence[object]) -> str:
    """Return 12 hex digits that identify a list of printable things (file names and sizes)."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]


def size_or_default(name: str, size: int | None, allowed: Sequence[int]) -> int:
    """Return the size asked for, by default the first allowed; raises UserError for another."""
    if size is None:
        return allowed[0]
    if size not in allowed:
        raise UserError(f"{name} comes at {' or '.join(map(str, allowed))} px, not {size}")
    return size


def read_split(split: Split, size: int) -> MemorySplit:
    """Return a split with its files read, at `size` px."""
    if isinstance(split, MemorySplit):
        return split
    return MemorySplit(read_images(split.paths, size), split.labels)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return what a Run records of its data set."""
    return {
        "label": dataset.label,
        "classes": list(dataset.classes),
        "size": dataset.size,
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "n_train": len(dataset.train),
        "n_test": len(dataset.test),
        "n_validation": 0 if dataset.validation is None else len(dataset.validation),
        "fingerprint": dataset.fingerprint,
    }
