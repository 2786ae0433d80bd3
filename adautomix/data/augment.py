"""How training images are changed: crops and flips of whole batches on the device, RandAugment image by image."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from adautomix.config import RAND_AUGMENT, RAND_AUGMENT_FORM
from adautomix.utils.errors import UserError

Augment = Callable[[Image.Image], Image.Image]

TRIES = 10
RATIO = (3 / 4, 4 / 3)
"""Width by height of a random resized crop, and tries to find one that fits: torchvision's."""


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


def crop_boxes(count: int, side: int, scale: tuple[float, float], rng: torch.Generator) -> Int[Tensor, "_ 4"]:
    """Return random boxes (top, left, height, width) in px within a square of `side` px.

    Drawn as torchvision's RandomResizedCrop: a share of the area from `scale`, a log-uniform aspect ratio, the first
    of ten tries that fits, else the whole square.
    """
    area = torch.empty(count, TRIES).uniform_(*scale, generator=rng) * side**2
    ratio = torch.empty(count, TRIES).uniform_(*map(math.log, RATIO), generator=rng).exp()
    sides = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()], dim=2).round().long()  # [count,tries,2]
    fits = ((sides > 0) & (sides <= side)).all(dim=2)
    first = fits.byte().argmax(dim=1)
    chosen = sides[torch.arange(count), first]
    chosen[~fits.any(dim=1)] = side
    corner = (torch.rand(count, 2, generator=rng, dtype=torch.float64) * (side - chosen + 1)).long()
    return torch.cat([corner, chosen], dim=1)


def resized_crops(
    images: UInt8[Tensor, "B C S S"], boxes: Int[Tensor, "B 4"], mirror: Tensor
) -> UInt8[Tensor, "B C S S"]:
    """Return each image's box (top, left, height, width) enlarged to the whole side, mirrored where `mirror` [B].

    Bilinear, as torchvision's resized_crop to within one grey level: crops grow, so antialiasing changes nothing.
    """
    side = images.shape[-1]
    top, left, height, width = boxes.to(images.device).float().split(1, dim=1)  # [B,1] each
    place = (torch.arange(side, device=images.device) + 0.5) / side
    rows = top + (place * height - 0.5).clamp(min=0).minimum(height - 1)  # the border is the box's, not the image's
    across = torch.where(mirror[:, None], place.flip(0), place)
    cols = left + (across * width - 0.5).clamp(min=0).minimum(width - 1)
    grid = torch.stack(
        [cols[:, None, :].expand(-1, side, -1), rows[:, :, None].expand(-1, -1, side)], dim=3
    )  # [B,S,S,2] as (x, y)
    grid = grid * (2 / max(side - 1, 1)) - 1
    return F.grid_sample(images.float(), grid, align_corners=True).round_().to(torch.uint8)


def rand_augment(spec: str, mean: Sequence[float]) -> Augment:
    """Return timm's RandAugment of one RGB image; it draws from global generators, so call it inside `python_seed`.

    Args:
        spec: timm's words, e.g. rand-m7-mstd0.5.
        mean: the data set's mean colour, three floats in [0,1]; it fills what a shift or a turn uncovers.
    Raises: UserError for words that timm does not know.
    """
    from timm.data.auto_augment import rand_augment_transform

    if not RAND_AUGMENT.fullmatch(spec):
        raise UserError(f"rand_augment must be {RAND_AUGMENT_FORM}, got {spec!r}")
    change = rand_augment_transform(spec, {"img_mean": tuple(min(255, round(255 * m)) for m in mean)})
    for op in change.ops:
        if op.name.startswith("Posterize"):
            op.aug_fn = _posterize
    return change


def _posterize(image: Image.Image, bits: int, **unused: object) -> Image.Image:
    """Keep the highest bits of each channel. timm may ask for none or less: black; Pillow 13 raises there."""
    if bits < 1:
        return Image.new(image.mode, image.size)
    return image if bits >= 8 else ImageOps.posterize(image, bits)


def augment_batch(images: UInt8[Tensor, "B 3 H W"], augment: Augment, seed: int) -> UInt8[Tensor, "B 3 H W"]:
    """Return a batch on the CPU with every image changed by `augment`, one after the other, from one seed."""
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    with python_seed(seed):
        changed = np.stack([np.asarray(augment(Image.fromarray(image))) for image in pixels])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).contiguous()


@contextmanager
def python_seed(seed: int) -> Iterator[None]:
    """Seed `random` and `numpy.random` inside the block, and put their states back afterwards.

    Costs 0.1 ms, as much as RandAugment of one image of 32 px: seed a batch rather than an image where you can.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
