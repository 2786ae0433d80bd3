"""Batches of a split, on the training device.

Images up to 64 px, and medmnist's at any size, live there as one uint8 tensor: a batch is one gather with crop and flip
folded into it; no worker processes. With RandAugment they stay on the CPU, and every batch travels. Larger ones stream
from their files through workers that live as long as the loader, decoded once if memory allows (`cache.py`). Batches
are a function of seed, epoch and number alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from adautomix.data.augment import Augment, augment_batch, crop_and_flip, crop_boxes, resized_crops
from adautomix.data.base import MemorySplit, PathSplit, Split
from adautomix.utils.cores import cores
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import generator_for, seed_for

NO_ROOM = re.compile(
    r"Bus error|shared memory|/torch_|[Tt]oo many open files|ancdata|No space left|Read-only file system|Errno (1|13)\b"
)
"""What torch and the system say where processes cannot share memory; other errors of loaders are faults of ours."""


class Batch(NamedTuple):
    """`x` [B,3,S,S] in [0,1], class ids `y` [B], and each image's row in its split, `index` [B]."""

    x: Tensor
    y: Tensor
    index: Tensor


class Share(NamedTuple):
    """One device's part of the images, where a run has several: number `rank` of `count` equal ones."""

    rank: int = 0
    count: int = 1


ALL = Share()


class _Loader:
    """What both loaders share.

    Args:
        shuffle: a new order every epoch, and the last incomplete batch left out; False: in order, all of it.
        flip: mirror each image with probability 0.5.
        crop_scale: least and largest share of the area of a random resized crop.
        augment: what `rand_augment` returned; changes every image after crop and flip.
        rows: only these images, in this order, if not shuffled; a batch's `index` is still the row in the split.
        share: the part of every training batch to yield; all parts together are the batch that one device would get.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        device: torch.device,
        seed: int = 0,
        shuffle: bool = False,
        flip: bool = False,
        crop_scale: tuple[float, float] | None = None,
        augment: Augment | None = None,
        rows: Tensor | None = None,
        share: Share = ALL,
    ) -> None:
        self.device, self.seed, self.shuffle = device, seed, shuffle
        self.rows = torch.arange(len(split)) if rows is None else rows
        self.batch_size = min(batch_size, len(self.rows))
        self.share, self.part = share, self.batch_size // share.count
        self.first = self.part * share.rank
        self.flip, self.crop_scale, self.augment = flip, crop_scale, augment

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        count = len(self.rows)
        return count // self.batch_size if self.shuffle else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)


class MemoryLoader(_Loader):
    """Batches of a MemorySplit that lives on the device, or on the CPU if its images get RandAugment.

    Args: as for both loaders, and
        pad: px of reflect padding for random crops, where there is no `crop_scale` (0: none).
    """

    def __init__(self, split: MemorySplit, batch_size: int, *, pad: int = 0, **common: Any) -> None:
        super().__init__(split, batch_size, **common)
        home = torch.device("cpu") if self.augment else self.device
        self.images, self.labels, self.pad = split.images.to(home), split.labels.to(home), pad

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the same number gives the same batches."""
        rng, count = generator_for(self.seed, "batches", number), len(self.rows)
        order = self.rows[torch.randperm(count, generator=rng)] if self.shuffle else self.rows
        place = self._places(count, rng)
        mirror = torch.rand(count, generator=rng) < (0.5 if self.flip else 0.0)
        order, place, mirror = (to_device(t, self.images.device) for t in (order, place, mirror))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            first = start + self.first
            part = slice(first, first + self.part)
            images = self._cropped(self.images[order[part]], place[part], mirror[part])
            if self.augment:
                images = augment_batch(images, self.augment, seed_for(self.seed, "augment", number, first))
            x, y, index = (to_device(t, self.device) for t in (images, self.labels[order[part]], order[part]))
            yield Batch(x.float().div_(255), y, index)

    def _places(self, count: int, rng: torch.Generator) -> Int[Tensor, "count _"]:
        """Return a box or a shift for every image."""
        if self.crop_scale:
            return crop_boxes(count, self.images.shape[-1], self.crop_scale, rng)
        return torch.randint(-self.pad, self.pad + 1, (count, 2), generator=rng)

    def _cropped(self, images: Tensor, place: Tensor, mirror: Tensor) -> Tensor:
        if self.crop_scale:
            return resized_crops(images, place, mirror)
        return crop_and_flip(images, place, mirror) if self.pad or self.flip else images


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on the device; from the CPU to a GPU by a copy that the CPU does not wait for."""
    if device.type == "cuda" and not tensor.is_cuda and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type == "cuda")


class FileLoader(_Loader):
    """Batches of a PathSplit, read by worker processes that live as long as the loader.

    Args: as for both loaders (`crop_scale` None: the ImageNet standard, 0.08 to 1), and
        size: px of a batch's images.
        workers: processes, no more than there are cores; 0: read where the batches are used.
        cache: keep decoded images in shared memory if they fit into half of what is available.
    """

    collate: Callable[[list[Any]], Any] | None = None

    def __init__(
        self, split: PathSplit, batch_size: int, *, size: int, workers: int = 2, cache: bool = True, **common: Any
    ) -> None:
        super().__init__(split, batch_size, **common)
        self.split, self.size, self.cache = split, size, cache
        self.workers = min(workers, cores())
        self._files, self._idle = None, None

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the same number gives the same batches, whatever the workers.

        Workers that are idle take it; an epoch begun before another has ended gets its own.
        Raises: UserError naming a file that cannot be read.
        """
        batches, self._idle = self._start() if self._idle is None else self._idle, None
        batches.batch_sampler.epoch = number
        try:
            for batch in batches:
                x, y, index = self._arrived(*batch)
                yield Batch(x.float().div_(255), y, index)
        except UserError as error:  # a worker's comes wrapped in its traceback; the last line is the message
            raise UserError(
                str(error).strip().splitlines()[-1].removeprefix("adautomix.utils.errors.UserError: ")
            ) from None
        except (RuntimeError, OSError, KeyboardInterrupt) as error:  # a worker was killed, or left in the middle
            batches = None
            if self.workers and not isinstance(error, KeyboardInterrupt) and NO_ROOM.search(str(error)):
                why = str(error).strip().splitlines()[-1]
                raise UserError(
                    f"the {self.workers} loader processes cannot work here ({why}): is there too little shared memory "
                    "in /dev/shm, or are too few open files allowed? Give --workers 0 to do without them"
                ) from error
            raise
        finally:
            self._idle = batches

    def _start(self):
        """Return a DataLoader; its workers inherit the cache, so that comes first."""
        from adautomix.data.stream import EpochOrder, stream

        if self._files is None:
            self._files = self._opened()
        part = slice(self.first, self.first + self.part)
        order = EpochOrder(self.rows, self.batch_size, seed=self.seed, shuffle=self.shuffle, part=part)
        pinned = self.device.type == "cuda"
        return stream(self._files, order, workers=self.workers, pinned=pinned, collate=self.collate)

    def _opened(self) -> Any:
        """Return the files as the workers read them."""
        from adautomix.data.cache import cache_for
        from adautomix.data.stream import ImageFiles, transform_for

        kinds = {"flip": self.flip, "crop_scale": self.crop_scale, "augment": self.augment}
        transform = transform_for(self.size, train=self.shuffle, **kinds)
        asked = {"workers": self.workers, "owners": self.share.count}
        cache = cache_for(self.split.paths, self.rows.tolist(), **asked) if self.cache else None
        return ImageFiles(self.split, transform, python_random=self.augment is not None, cache=cache)

    def _arrived(self, *batch: Any) -> Iterable[Tensor]:
        """Return images (uint8), class ids and rows on the device, of what the workers sent."""
        return (to_device(part, self.device) for part in batch)
