"""Batches of a split, on the training device.

Images up to 64 px live there as one uint8 tensor: a batch is one gather, with random crop (reflect padding) and flip
folded into its indices; no worker processes. Larger ones stream from their files through torchvision transforms.
Batch order and augmentation are a function of the generator, or of seed and epoch, alone.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from adautomix.data.base import Dataset, MemorySplit, PathSplit, Split
from adautomix.errors import UserError
from adautomix.seeding import generator_for, seed_for


class Batch(NamedTuple):
    """`x` [B,3,S,S] in [0,1], class ids `y` [B], and each image's row in its split, `index` [B]."""

    x: Tensor
    y: Tensor
    index: Tensor


class MemoryLoader:
    """Batches of a MemorySplit that lives on the device.

    Args:
        shuffle: a new order every epoch, and the last incomplete batch left out; False: in order, all of it.
        pad: px of reflect padding for random crops (0: none). flip: mirror every second image.
        rows: only these images, in this order, if not shuffled; a batch's `index` is still the row in the split.
    """

    def __init__(
        self,
        split: MemorySplit,
        batch_size: int,
        *,
        device: torch.device,
        seed: int = 0,
        shuffle: bool = False,
        pad: int = 0,
        flip: bool = False,
        rows: Tensor | None = None,
    ) -> None:
        self.images, self.labels = split.images.to(device), split.labels.to(device)
        self.rows = torch.arange(len(split)) if rows is None else rows
        self.batch_size, self.seed, self.shuffle = min(batch_size, len(self.rows)), seed, shuffle
        self.pad, self.flip = pad, flip

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        count = len(self.rows)
        return count // self.batch_size if self.shuffle else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the same number gives the same batches."""
        rng, count = generator_for(self.seed, "batches", number), len(self.rows)
        order = self.rows[torch.randperm(count, generator=rng)] if self.shuffle else self.rows
        shift = torch.randint(-self.pad, self.pad + 1, (count, 2), generator=rng)
        mirror = torch.rand(count, generator=rng) < (0.5 if self.flip else 0.0)
        order, shift, mirror = (t.to(self.images.device) for t in (order, shift, mirror))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            rows = order[start : start + self.batch_size]
            images = self.images[rows]
            if self.pad or self.flip:
                part = slice(start, start + self.batch_size)
                images = crop_and_flip(images, shift[part], mirror[part])
            yield Batch(images.float().div_(255), self.labels[rows], rows)


def crop_and_flip(
    images: UInt8[Tensor, "B C H W"], shift: Int[Tensor, "B 2"], mirror: Tensor
) -> UInt8[Tensor, "B C H W"]:
    """Return images moved by `shift` (rows, columns) with reflected borders, and mirrored where `mirror` [B].

    Equals reflect padding followed by a crop and a flip, as one gather.
    """
    batch, channels, height, width = images.shape
    rows = _reflect(torch.arange(height, device=images.device) + shift[:, :1], height)
    cols = torch.arange(width, device=images.device).expand(batch, width)
    cols = torch.where(mirror[:, None], width - 1 - cols, cols)
    cols = _reflect(cols + shift[:, 1:], width)
    flat = (rows[:, :, None] * width + cols[:, None, :]).reshape(batch, 1, -1)
    return images.flatten(2).gather(2, flat.expand(-1, channels, -1)).view_as(images)


def _reflect(position: Tensor, length: int) -> Tensor:
    position = position.abs()
    return torch.where(position >= length, 2 * (length - 1) - position, position)


class FileLoader:
    """Batches of a PathSplit, read by worker processes; arguments as for MemoryLoader."""

    def __init__(
        self,
        split: PathSplit,
        batch_size: int,
        *,
        size: int,
        device: torch.device,
        seed: int = 0,
        shuffle: bool = False,
        flip: bool = False,
        workers: int = 2,
        rows: Tensor | None = None,
    ) -> None:
        self.split, self.size, self.device, self.seed = split, size, device, seed
        self.rows = torch.arange(len(split)) if rows is None else rows
        self.batch_size, self.shuffle, self.flip, self.workers = min(batch_size, len(self.rows)), shuffle, flip, workers

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        count = len(self.rows)
        return count // self.batch_size if self.shuffle else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the same number gives the same batches, whatever the workers."""
        from adautomix.data.stream import ImageFiles

        files = ImageFiles(self.split, self.size, train=self.shuffle, flip=self.flip, seed=seed_for(self.seed, number))
        batches = torch.utils.data.DataLoader(
            files,
            self.batch_size,
            shuffle=self.shuffle,
            sampler=None if self.shuffle else self.rows.tolist(),
            drop_last=self.shuffle,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=generator_for(self.seed, "batches", number),
        )
        try:
            for x, y, index in batches:
                x, y, index = (t.to(self.device, non_blocking=True) for t in (x, y, index))
                yield Batch(x.float().div_(255), y, index)
        except UserError as error:  # a worker's comes wrapped in its traceback; the last line is the message
            raise UserError(str(error).strip().splitlines()[-1].removeprefix("adautomix.errors.UserError: ")) from None


def train_loader(
    dataset: Dataset, batch_size: int, *, device: torch.device, seed: int, workers: int = 2
) -> MemoryLoader | FileLoader:
    """Return shuffled, augmented training batches."""
    common = {"device": device, "seed": seed, "shuffle": True, "flip": dataset.flip}
    return _loader(dataset.train, dataset, batch_size, workers, pad=dataset.pad, **common)


def eval_loader(
    dataset: Dataset,
    batch_size: int = 500,
    *,
    device: torch.device,
    workers: int = 2,
    sample: int | None = None,
    split: Literal["test", "validation"] = "test",
) -> MemoryLoader | FileLoader:
    """Return the test or validation images in order, as they are.

    Args:
        sample: only so many of them, drawn at random but always the same: the first would often be of one class.
    """
    images = dataset.test if split == "test" else dataset.validation
    rows = None if sample is None else sample_rows(len(images), sample)
    return _loader(images, dataset, batch_size, workers, device=device, rows=rows)


def sample_rows(count: int, sample: int) -> Int[Tensor, " _"]:
    """Return `sample` of `count` rows in rising order, all of them if there are no more; always the same ones."""
    return torch.randperm(count, generator=generator_for(0, "sample", count))[:sample].sort().values


def _loader(split: Split, dataset: Dataset, batch_size: int, workers: int, pad: int = 0, **common):
    if isinstance(split, MemorySplit):
        return MemoryLoader(split, batch_size, pad=pad, **common)
    return FileLoader(split, batch_size, size=dataset.size, workers=workers, **common)
