"""Digital corruptions: brightness, contrast, saturation, coarse pixels, JPEG.

JPEG is Pillow's, image by image on the CPU, in memory; everything else runs where x is.
"""

from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from adautomix.evaluate.corruptions.grid import GUARD, separable
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
    """Return x made smaller and larger again, equal to Pillow's BOX filter bit by bit: every pass rounds to 8 bits."""
    height, width = x.shape[-2:]
    low, narrow = int(height * factor), int(width * factor)
    passes = (  # Pillow goes along the rows first
        (torch.eye(height), box_matrix(width, narrow)),
        (box_matrix(height, low), torch.eye(narrow)),
        (torch.eye(low), box_matrix(narrow, width)),
        (box_matrix(low, height), torch.eye(width)),
    )
    levels = (x * 255).round()
    for rows, cols in passes:
        levels = torch.floor(separable(levels, rows, cols) + 0.5 + GUARD)
    return levels / 255


@lru_cache(maxsize=64)
def box_matrix(side: int, new: int) -> Float[Tensor, "M N"]:
    """Return the matrix of Pillow's BOX resize of a line: the plain mean of the pixels whose centres the box holds."""
    scale = side / new
    support = 0.5 * max(scale, 1)
    centre = (np.arange(new)[:, None] + 0.5) * scale
    away = (np.arange(side) + 0.5 - centre) / max(scale, 1)
    first = np.maximum(np.trunc(centre - support + 0.5), 0)
    last = np.minimum(np.trunc(centre + support + 0.5), side)
    within = (np.arange(side) >= first) & (np.arange(side) < last)
    matrix = (within & (away > -0.5) & (away <= 0.5)).astype(float)
    return torch.from_numpy(matrix / matrix.sum(1, keepdims=True)).float()


def jpeg_compression(x: Float[Tensor, "B 3 H W"], quality: int, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x as JPEG gives it back; x must lie on the k/255 grid. Pillow's defaults, colours at half resolution."""
    pixels = x.mul(255).round_().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    decoded = np.stack([_through_jpeg(image, quality) for image in pixels])
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).to(x.device).float() / 255


def _through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
