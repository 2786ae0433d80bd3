"""Digital corruptions: brightness, contrast, saturation, coarse pixels, JPEG.

Coarse pixels and JPEG are Pillow's, image by image on the CPU; everything else runs where x is.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from adautomix.evaluate.corruptions.tables import Number, Numbers
from adautomix.evaluate.per_image_rng import PerImageRNG


def brightness(x: Float[Tensor, "B 3 H W"], added: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x with its HSV value (the largest of red, green, blue) raised, at most to 1; hue and saturation stay."""
    value = x.amax(1, keepdim=True)
    brighter = (value + added).clamp(max=1)
    return torch.where(value > 0, x * (brighter / value.clamp(min=1e-6)), brighter)  # black has no hue: it turns grey


def contrast(x: Float[Tensor, "B 3 H W"], factor: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x drawn towards the mean of each image's channels."""
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * factor + mean


def saturate(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x with its HSV saturation times a factor plus a summand, clipped; grey counts as red, as hue 0 is."""
    factor, summand = setting
    value, least = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    spread = value - least
    saturation = spread / value.clamp(min=1e-6)
    red = torch.tensor([0.0, 1.0, 1.0], device=x.device).view(1, 3, 1, 1)
    depth = torch.where(spread > 0, (value - x) / spread.clamp(min=1e-6), red)  # how far below value, 0 to 1
    return value * (1 - (saturation * factor + summand).clamp(0, 1) * depth)


def pixelate(x: Float[Tensor, "B 3 H W"], factor: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x made smaller and larger again by Pillow's BOX filter; x must lie on the k/255 grid."""
    height, width = x.shape[-2:]
    small = int(width * factor), int(height * factor)

    def coarsened(image: Image.Image) -> Image.Image:
        return image.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)

    return _by_pillow(x, coarsened)


def jpeg_compression(x: Float[Tensor, "B 3 H W"], quality: int, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x as JPEG gives it back; x must lie on the k/255 grid. Pillow's defaults, colours at half resolution."""

    def compressed(image: Image.Image) -> Image.Image:
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _by_pillow(x, compressed)


def _by_pillow(x: Float[Tensor, "B 3 H W"], change: Callable[[Image.Image], Image.Image]) -> Float[Tensor, "B 3 H W"]:
    pixels = x.mul(255).round_().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    changed = np.stack([np.asarray(change(Image.fromarray(image))) for image in pixels])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).to(x.device).float() / 255
