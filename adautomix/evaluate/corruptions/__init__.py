"""The corruptions of CIFAR-C, Tiny-ImageNet-C and ImageNet-C, made anew for any images, batched and repeatable.

Procedures and numbers: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019; the code is ours. These are not the published files: random numbers differ, motion blur is
not ImageMagick's, frost has a made-up texture. Results are called "regenerated"; where the published files lie, the
evaluator reads them instead (`corruption_source.py`).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from adautomix.evaluate.checks import require_index, require_pixels
from adautomix.evaluate.corruptions.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from adautomix.evaluate.corruptions.digital import brightness, contrast, jpeg_compression, pixelate, saturate
from adautomix.evaluate.corruptions.elastic import elastic_transform
from adautomix.evaluate.corruptions.glass import glass_blur
from adautomix.evaluate.corruptions.grid import floor_to_8bit, round_to_8bit
from adautomix.evaluate.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from adautomix.evaluate.corruptions.spatter import spatter
from adautomix.evaluate.corruptions.tables import (
    ALL19,
    CORRUPTIONS15,
    CORRUPTIONS_EXTRA4,
    SEVERITIES,
    require_severity,
    severities,
)
from adautomix.evaluate.corruptions.weather import fog, frost, snow
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.errors import UserError, unknown

__all__ = ["ALL19", "CORRUPTIONS15", "CORRUPTIONS_EXTRA4", "SEVERITIES", "corrupt", "default_table", "severities"]

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    f.__name__: f
    for f in (
        *(gaussian_noise, shot_noise, impulse_noise, speckle_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur, gaussian_blur),
        *(snow, frost, fog, spatter),
        *(brightness, contrast, saturate, elastic_transform, pixelate, jpeg_compression),
    )
}
SIDES = {"cifar": (8, 32), "tiny": (33, 64), "imagenet": (64, 1 << 14)}
"""Image sides a table is for, px. Both ends belong to it: at 64 px, the side of Tiny-ImageNet, "tiny" is the default,
"imagenet" may be asked for."""


@torch.no_grad()
def corrupt(x: Tensor, name: str, severity: int, *, table: str, seed: int, index: Tensor) -> Tensor:
    """Return corrupted images; their random part depends on nothing but (seed, name, severity, index).

    The draws are the same whatever the batch and its order. So are the pixels, but for sums that a machine or a batch
    size adds up in another order: one level in some millions of pixels may differ. No generator is read or moved.

    Args:
        x: images [B,3,H,W], float in [0,1], on any device; rounded to the k/255 grid first, as the published code
            starts from 8 bits. Left untouched.
        name: one of CORRUPTIONS15 or CORRUPTIONS_EXTRA4.
        severity: 1 (mild) to 5.
        table: whose severities: "cifar" for sides of 8 to 32 px, "tiny" for 33 to 64, "imagenet" from 64 on. At 64 px
            both "tiny" and "imagenet" are accepted; evaluators take "tiny", as Tiny-ImageNet-C has 64 px.
        seed: of the whole corrupted test set.
        index: [B] whole numbers; which images of the test set these are.
    Returns: a new tensor like x, cut off to the k/255 grid as published (JPEG and pixelate are on it already).
    Raises: UserError for what cannot be corrupted, with what was given and what fits.
    """
    if name not in FUNCTIONS:
        raise unknown("corruption", name, FUNCTIONS)
    require_severity(severity)
    setting = severities(table)[name][severity - 1]
    require_pixels(x)
    _require_sides(*x.shape[-2:], table)
    require_index(index, len(x))
    draws = PerImageRNG.of(index.to(x.device), seed, name, severity)
    return floor_to_8bit(FUNCTIONS[name](round_to_8bit(x), setting, draws)).to(x.dtype)


def default_table(side: int) -> str:
    """Return the severity table for images of this side (px): at 64, which two fit, Tiny-ImageNet's."""
    return "cifar" if side <= 32 else "tiny" if side <= 64 else "imagenet"


def _require_sides(height: int, width: int, table: str) -> None:
    low, high = SIDES[table]
    if min(height, width) < 8 or not low <= max(height, width) <= high:
        small = min(height, width) < 8
        advice = "corruptions need sides from 8 px" if small else f"use table {default_table(max(height, width))!r}"
        raise UserError(f"the table {table!r} is for sides of {low} to {high} px, got {height} x {width}: {advice}")
