"""Image files above 64 px: decoded and augmented one by one in the loader's worker processes.

Training images get a random resized crop, a flip and, if asked for, RandAugment, in this order; test images are
resized to 8/7 of the size and their centre is cut out (256 to 224). What a reader gets wrong: a worker's random state
plays no part. Every image's randomness is a function of (seed of the epoch, index), which travels with the index:
workers live on from epoch to epoch, and batches do not depend on their number.
"""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from adautomix.data.augment import Augment, python_seed
from adautomix.data.base import PathSplit
from adautomix.data.cache import ImageCache, start_method
from adautomix.data.images import for_test, read_rgb
from adautomix.utils.seeding import generator_for, seed_for

CROP_SCALE = (0.08, 1.0)
"""Share of the area that a random resized crop keeps: the ImageNet standard."""


class ImageFiles(Dataset):
    """A PathSplit by (index, seed of the epoch), as (uint8 image [3,S,S], class id, index)."""

    def __init__(
        self,
        split: PathSplit,
        transform: Callable[[Image.Image], Tensor],
        *,
        python_random: bool = False,
        cache: ImageCache | None = None,
    ) -> None:
        self.split, self.transform, self.cache = split, transform, cache
        self.python_random = python_random  # whether the transform draws from `random` and numpy as well

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int, int]:
        index, seed = key
        image, seed = self.read(index), seed_for(seed, index)
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.default_generator.manual_seed(seed)  # torch.manual_seed takes 0.1 ms, and seeds the GPUs too
            if self.python_random:
                stack.enter_context(python_seed(seed))
            return self.transform(image), int(self.split.labels[index]), index

    def read(self, index: int) -> Image.Image:
        """Return an image as RGB at its own size, from the cache or its file.

        Raises: UserError naming a file that cannot be read.
        """
        image = self.cache.get(index) if self.cache else None
        if image is not None:
            return image
        image = read_rgb(self.split.paths[index])
        if self.cache:
            self.cache.put(index, image)
        return image


def transform_for(
    size: int,
    *,
    train: bool,
    flip: bool = False,
    crop_scale: tuple[float, float] | None = None,
    augment: Augment | None = None,
) -> Callable[[Image.Image], Tensor]:
    """Return what makes an RGB image a uint8 tensor [3,size,size]."""
    if not train:
        return partial(for_test, size=size)
    steps = [
        v2.RandomResizedCrop(size, scale=crop_scale or CROP_SCALE, antialias=True),
        *([v2.RandomHorizontalFlip()] if flip else []),
        *([augment] if augment else []),
    ]
    return v2.Compose([*steps, v2.PILToTensor()])


class EpochOrder:
    """Batches of (index, seed of the epoch): a DataLoader's `batch_sampler` whose `epoch` is set before it is read.

    Args:
        part: of every batch, what one of several devices reads.
    """

    epoch = 0

    def __init__(self, rows: Tensor, batch_size: int, *, seed: int, shuffle: bool, part: slice = slice(None)) -> None:
        self.rows, self.batch_size, self.seed, self.shuffle, self.part = rows, batch_size, seed, shuffle, part

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order, seed = self.rows, seed_for(self.seed, self.epoch)
        if self.shuffle:
            order = order[torch.randperm(len(order), generator=generator_for(self.seed, "batches", self.epoch))]
            order = order[: len(order) // self.batch_size * self.batch_size]  # no incomplete batch
        for batch in order.split(self.batch_size):
            yield [(row, seed) for row in batch[self.part].tolist()]


def stream(
    files: Dataset, order: EpochOrder, *, workers: int, pinned: bool, collate: Callable[[list], tuple] | None = None
) -> DataLoader:
    """Return a DataLoader whose workers start with its first epoch and end when it is collected."""
    return DataLoader(
        files,
        batch_sampler=order,
        num_workers=workers,
        multiprocessing_context=start_method() if workers else None,
        persistent_workers=workers > 0,
        pin_memory=pinned,
        collate_fn=collate,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else its first epoch draws from the global one, and a resumed run differs
    )


def _start_worker(number: int) -> None:
    """Let a worker outlive Ctrl-C, which a notebook's loop survives too, and leave its parent's objects where they are.

    Without `freeze` the collector writes into each of them, and every worker gets a copy of the list of files.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
