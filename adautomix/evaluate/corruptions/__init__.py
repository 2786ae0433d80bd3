"""The corruptions of CIFAR-C, Tiny-ImageNet-C and ImageNet-C, made anew for any images, batched and repeatable.

Procedures and numbers: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019; the code is ours. What a reader gets wrong: these are not the published files. Their random
numbers differ, motion blur is not ImageMagick's, frost has a texture of its own; call results "regenerated", and for
headline numbers read the files (`load_cifar_c`) where they exist.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from adautomix.evaluate.checks import require_pixels
from adautomix.evaluate.corruptions.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from adautomix.evaluate.corruptions.cifar_c import load_cifar_c, require_severity
from adautomix.evaluate.corruptions.digital import brightness, contrast, jpeg_compression, pixelate, saturate
from adautomix.evaluate.corruptions.elastic import elastic_transform
from adautomix.evaluate.corruptions.glass import glass_blur
from adautomix.evaluate.corruptions.grid import cut_off, to_grid
from adautomix.evaluate.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from adautomix.evaluate.corruptions.spatter import spatter
from adautomix.evaluate.corruptions.tables import CORRUPTIONS15, CORRUPTIONS_EXTRA4, severities
from adautomix.evaluate.corruptions.weather import fog, frost, require_textures, snow
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.errors import UserError, unknown

__all__ = ["CORRUPTIONS15", "CORRUPTIONS_EXTRA4", "corrupt", "load_cifar_c", "severities"]

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
def corrupt(
    x: Tensor, name: str, severity: int, *, table: str, seed: int, index: Tensor, textures: Tensor | None = None
) -> Tensor:
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
        textures: for frost only, photographs of ice [T,3,h,w] in [0,1], at least as large as the images; one of the
            first five is drawn. Without them frost has a made-up texture and is not the published one.
    Returns: a new tensor like x, cut off to the k/255 grid as published (JPEG and pixelate are on it already).
    Raises: UserError for what cannot be corrupted, with what was given and what fits.
    """
    if name not in FUNCTIONS:
        raise unknown("corruption", name, FUNCTIONS)
    require_severity(severity)
    settings = severities(table)[name]
    _require_images(x, table)
    _require_index(index, len(x))
    options = {}
    if textures is not None:
        if name != "frost":
            raise UserError(f"textures are for frost, got them for {name}: leave them out")
        require_textures(textures, *x.shape[-2:])
        options["textures"] = textures
    draws = PerImageRNG.of(index.to(x.device), seed, name, severity)
    return cut_off(FUNCTIONS[name](to_grid(x), settings[severity - 1], draws, **options)).to(x.dtype)


def _require_images(x: Tensor, table: str) -> None:
    if x.numel() == 0:
        raise UserError(f"there is nothing to corrupt: images have shape {tuple(x.shape)}")
    require_pixels(x)
    height, width = x.shape[-2:]
    low, high = SIDES[table]
    if min(height, width) < SIDES["cifar"][0] or not low <= max(height, width) <= high:
        fits = [name for name, (low, high) in SIDES.items() if low <= max(height, width) <= high]
        advice = f"use table {fits[0]!r}" if fits and min(height, width) >= 8 else "corruptions need sides from 8 px"
        raise UserError(f"the table {table!r} is for sides of {low} to {high} px, got {height} x {width}: {advice}")


def _require_index(index: Tensor, count: int) -> None:
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool or index.shape != (count,):
        raise UserError(
            f"index must be {count} whole numbers, one an image (their places in the test set), got {index.dtype} "
            f"{tuple(index.shape)}"
        )
