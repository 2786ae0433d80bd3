"""The batches to train on, and those to evaluate on."""

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from adautomix.data import augment as augmentation
from adautomix.data.base import IN_MEMORY, Dataset, MemorySplit
from adautomix.data.batches import ALL, FileLoader, MemoryLoader, Share
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import generator_for


def train_loader(
    dataset: Dataset,
    batch_size: int,
    *,
    device: torch.device | str,
    seed: int,
    workers: int = 2,
    rand_augment: str | None = None,
    cache: bool = True,
    decode: Literal["cpu", "gpu"] = "cpu",
    share: Share = ALL,
) -> MemoryLoader | FileLoader:
    """Return shuffled, augmented training batches.

    Args:
        batch_size: of the whole batch, of which `share` yields an equal part.
        rand_augment: RandAugment in timm's words, after crop and flip.
        cache: keep decoded image files in memory if they fit.
        decode: where JPEG files are decoded, see `gpu_decode.py`.
        share: one device's part of every batch.
    Raises: UserError for a set without training images, for a batch that cannot be shared equally, for words that timm
        does not know, and for decoding on a GPU that is not the device.
    """
    if not len(dataset.train):
        raise UserError(f"{dataset.label} holds no training images, only test images: it can be evaluated on")
    device = torch.device(device)
    require_equal_parts(batch_size, len(dataset.train), share.count)
    if decode == "gpu" and device.type != "cuda":
        raise UserError(f"decode='gpu' needs a CUDA device, got {device}; use decode='cpu'")
    common = {
        "device": device,
        "seed": seed,
        "shuffle": True,
        "flip": dataset.flip,
        "crop_scale": dataset.crop_scale,
        "augment": None if rand_augment is None else augmentation.rand_augment(rand_augment, dataset.mean),
        "share": share,
    }
    if isinstance(dataset.train, MemorySplit):
        return MemoryLoader(dataset.train, batch_size, pad=dataset.pad, **common)
    if decode == "gpu":
        from adautomix.data.gpu_decode import EncodedLoader

        return EncodedLoader(dataset.train, batch_size, size=dataset.size, workers=workers, **common)
    return FileLoader(dataset.train, batch_size, size=dataset.size, workers=workers, cache=cache, **common)


def eval_loader(
    dataset: Dataset,
    batch_size: int | None = None,
    *,
    device: torch.device | str,
    workers: int = 2,
    sample: int | None = None,
    cache: bool = True,
    split: Literal["test", "validation"] = "test",
    share: Share = ALL,
) -> MemoryLoader | FileLoader:
    """Return the test or validation images in order, as they are.

    Args:
        batch_size: by default 1000 on a GPU, or 100 above 64 px, which fill it, and 100 on a CPU, where larger
            activations leave the cache and are fetched from the system anew each time (up to 2.3 times the time).
        sample: only so many of them, drawn at random but always the same: the first would often be of one class.
        cache: keep decoded image files in memory if they fit.
        share: one device's part of the images; the parts in their order are all of them, each once.
    Raises: UserError for fewer images than shares, or a split that the set does not have.
    """
    device = torch.device(device)
    batch_size = batch_size or (1000 if dataset.size <= IN_MEMORY and device.type != "cpu" else 100)
    images = dataset.test if split == "test" else dataset.validation
    if images is None:
        raise UserError(f"{dataset.label} has no {split} images: hold a share of the training images out (validation)")
    rows = None if sample is None else sample_rows(len(images), sample)
    if share.count > 1:
        rows = torch.arange(len(images)) if rows is None else rows
        if len(rows) < share.count:
            raise UserError(f"{len(rows)} {split} image(s) cannot be shared by {share.count} devices: use fewer")
        rows = rows.tensor_split(share.count)[share.rank]
    if isinstance(images, MemorySplit):
        return MemoryLoader(images, batch_size, device=device, rows=rows)
    return FileLoader(images, batch_size, size=dataset.size, workers=workers, cache=cache, device=device, rows=rows)


def sample_rows(count: int, sample: int) -> Int[Tensor, " _"]:
    """Return `sample` of `count` rows in rising order, all of them if there are no more; always the same ones."""
    return torch.randperm(count, generator=generator_for(0, "sample", count))[:sample].sort().values


def require_equal_parts(batch_size: int, count: int, devices: int) -> None:
    """Raise UserError, with the nearest sizes that would do, unless a batch divides by the number of devices.

    Args:
        count: of training images; a batch has no more.
    """
    whole = min(batch_size, count)
    if whole % devices == 0:
        return
    below = whole // devices * devices
    if fitting := [str(size) for size in (below, below + devices) if 0 < size <= count]:
        few = f" (all that there are, of {batch_size} asked for)" if whole < batch_size else ""
        raise UserError(
            f"a batch of {whole} images{few} cannot be shared equally by {devices} devices: "
            f"give --batch-size {' or '.join(fitting)}"
        )
    raise UserError(f"{count} training image(s) cannot be shared by {devices} devices: use fewer")
