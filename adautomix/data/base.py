"""What a data set is: two splits, and how its images are to be normalised and augmented."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from adautomix.data.images import IN_MEMORY, Source, read_images
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import generator_for


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

    paths: Sequence[Source]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "PathSplit":
        """Return the files at `rows`."""
        return PathSplit([self.paths[i] for i in rows.tolist()], self.labels[rows])


class LateSplit(MemorySplit):
    """A PathSplit as a MemorySplit at `size` px, its files read when `images` is first asked for.

    A run that is done needs no image, and its evaluation none to train on.
    """

    def __init__(self, files: PathSplit, size: int) -> None:
        vars(self).update(files=files, size=size, labels=files.labels)  # the class is frozen

    @cached_property
    def images(self) -> Tensor:
        """[M,3,S,S] uint8; raises UserError naming the files that cannot be read."""
        return read_images(self.files.paths, self.size)

    def take(self, rows: Tensor) -> MemorySplit:
        """Return the images at `rows`, copied if they have been read."""
        return super().take(rows) if "images" in vars(self) else LateSplit(self.files.take(rows), self.size)


Split = MemorySplit | PathSplit
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Colour of ImageNet's photographs."""


@dataclass(frozen=True)
class Dataset:
    """A data set ready to be loaded in batches.

    Attributes:
        name: name in DATASETS.
        label: name of its folder of runs; for `folder` it carries the folder's name.
        classes: class names, in the order of the ids.
        size: image side in px.
        mean, std: three floats each, for pixels in [0,1]; the Classifier applies them.
        pad: px of reflect padding for the random crop in training (0: no crop) of sets that are held in memory: those
            up to 64 px, and medmnist at any size. Files above 64 px are cut by a random resized crop instead.
        crop_scale: least and largest share of the area that the latter keeps; None: 0.08 to 1, torchvision's default. A
            set in memory that has one is cut so as well (Tiny ImageNet).
        flip: whether a mirrored image is still of its class.
        fingerprint: identifies the images, so that a run on other images is another run.
        validation: images held out of the training set, or None.
        remarks: what a user should know about the images, a sentence each.
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
    remarks: tuple[str, ...] = ()

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
        train, validation = split_off(self.train, self.classes, lambda n: max(1, round(n * share)), "validation")
        return replace(self, train=train, validation=validation)

    def in_memory(self) -> "Dataset":
        """Return the set with its files to be kept in memory from first use, if the images are small enough."""
        if self.size > IN_MEMORY:
            return self
        splits = {name: getattr(self, name) for name in ("train", "test", "validation")}
        late = {name: LateSplit(split, self.size) for name, split in splits.items() if isinstance(split, PathSplit)}
        return replace(self, **late)


def split_off(split: Split, classes: Sequence[str], count: Callable[[int], int], stream: str) -> tuple[Split, Split]:
    """Return what is left of a split, and `count(its images)` images of every class, always the same ones.

    Raises: UserError if a class would have none left.
    """
    kept, held = [], []
    for k, name in enumerate(classes):
        rows = torch.where(split.labels == k)[0]
        n = count(len(rows))
        if n >= len(rows):
            what = {"held-out": "test"}.get(stream, stream)
            raise UserError(
                f"class {name!r} has {len(rows)} image(s): {n} held out for {what} would leave none to train on"
            )
        rows = rows[torch.randperm(len(rows), generator=generator_for(0, stream, name))]
        held.append(rows[:n])
        kept.append(rows[n:])
    return tuple(split.take(torch.cat(rows).sort().values) for rows in (kept, held))


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
    } | ({"remarks": list(dataset.remarks)} if dataset.remarks else {})
