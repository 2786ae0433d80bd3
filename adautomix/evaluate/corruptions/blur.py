"""Blurs that are sums of moved copies: Gaussian, defocus, motion and zoom. Borders are repeated or mirrored.

Gaussian and zoom blur act on rows and columns apart, so each is a pair of matrices. Motion blur follows the rule of
ImageMagick, which made the published files (one-sided Gaussian weights, whole-pixel steps, repeated border), but is not
ImageMagick: weights below 1e-6 are left out, and its own rounding at 16 bits is not imitated.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor

from adautomix.evaluate.corruptions.grid import separable
from adautomix.evaluate.corruptions.tables import Number, Numbers
from adautomix.evaluate.per_image_rng import PerImageRNG

NEGLIGIBLE = 1e-6


def gaussian_blur(x: Float[Tensor, "B 3 H W"], sd_px: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x smoothed as scikit-image does by default: borders repeated, four standard deviations. Draws nothing."""
    return smooth(x, sd_px)


def smooth(
    x: Float[Tensor, "B C H W"], sd_px: Number, edge: str = "nearest", truncate: Number = 4.0
) -> Float[Tensor, "B C H W"]:
    """Return Gaussian-smoothed images.

    Args:
        sd_px: standard deviation in px; 0 changes nothing.
        edge: "nearest" repeats the border pixel, "reflect" mirrors at the border's outer edge (scipy's names).
        truncate: the kernel ends after so many standard deviations.
    """
    rows, cols = (gaussian_matrix(side, sd_px, edge, truncate) for side in x.shape[-2:])
    return separable(x, rows, cols)


@lru_cache(maxsize=256)
def gaussian_matrix(side: int, sd_px: Number, edge: str, truncate: Number) -> Float[Tensor, "N N"]:
    """Return the matrix that smooths a line of so many pixels: scipy's filter of the identity; rows sum to 1."""
    matrix = ndimage.gaussian_filter1d(np.eye(side), max(sd_px, 1e-12), axis=0, mode=edge, truncate=truncate)
    return torch.from_numpy(matrix).float()


def defocus_blur(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x under a disk whose edge is softened. Draws nothing.

    Borders are mirrored about the last pixel. The published disks of radius 8 and 10 are softened within their own
    square and sum to 1.013 and 1.011; so do these.
    """
    kernel = disk_kernel(*setting).to(x)
    reach, channels = kernel.shape[0] // 2, x.flatten(0, 1)[:, None]
    return F.conv2d(mirrored(channels, reach), kernel[None, None]).view_as(x)


def mirrored(x: Float[Tensor, "N 1 H W"], reach: int) -> Float[Tensor, "N 1 h w"]:
    """Return images with `reach` px more on every side: mirrored about the last pixel, small ones again and again."""
    if reach < min(x.shape[-2:]):
        return F.pad(x, (reach,) * 4, mode="reflect")
    rows, cols = (np.pad(np.arange(side), reach, mode="reflect") for side in x.shape[-2:])
    return x[..., torch.from_numpy(rows).to(x.device)[:, None], torch.from_numpy(cols).to(x.device)]


@lru_cache(maxsize=32)
def disk_kernel(radius: Number, soft_px: Number) -> Float[Tensor, "K K"]:
    """Return a disk of pixels smoothed by a Gaussian of 3 or 5 px a side, empty border rows taken away."""
    half, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    disk = (y**2 + x**2 <= radius**2).astype(float)
    line = np.exp(-0.5 * (np.arange(-taps, taps + 1) / soft_px) ** 2)
    line /= line.sum()
    kernel = disk / disk.sum()
    for axis in (0, 1):
        kernel = ndimage.convolve1d(kernel, line, axis, mode="mirror")
    used = max(int(np.abs(place - half).max()) for place in np.nonzero(kernel > NEGLIGIBLE**2))
    middle = slice(half - used, half + used + 1)
    return torch.from_numpy(kernel[middle, middle]).float()


def motion_blur(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x moved in a direction of its own, within 45 degrees of the horizontal. Not ImageMagick's, see above."""
    weights = motion_weights(*setting)
    return move(x, weights, motion_offsets(draws.uniform(-45, 45), len(weights)))


def motion_weights(radius: Number, sd_px: Number) -> list[float]:
    """Return the weight of each step of a motion, the first and heaviest at the pixel itself; they sum to 1."""
    weights = [math.exp(-0.5 * (i / sd_px) ** 2) for i in range(2 * radius + 1)]
    weights = [w for w in weights if w >= NEGLIGIBLE * sum(weights)]
    return [w / sum(weights) for w in weights]


def motion_offsets(degrees: Float[Tensor, " B"], steps: int) -> Int[Tensor, "B T 2"]:
    """Return where each step reads, in whole px down and right of the pixel."""
    radians = torch.deg2rad(degrees)
    direction = torch.stack([radians.sin(), radians.cos()], dim=1)
    place = torch.arange(steps, device=degrees.device)
    return torch.ceil(place[None, :, None] * direction[:, None] - 0.5).long()


def move(x: Float[Tensor, "B C H W"], weights: list[float], offsets: Int[Tensor, "B T 2"]) -> Float[Tensor, "B C H W"]:
    """Return the weighted sum of copies of each image read at its own offsets, borders repeated.

    Whole-pixel offsets of few steps take few forms (about 60 for angles within 90 degrees): images of one form are
    added up as slices, which costs no index per pixel.
    """
    reach, (height, width) = int(offsets.abs().max()), x.shape[-2:]
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    forms, form_of = offsets.unique(dim=0, return_inverse=True)
    order, counts = form_of.argsort(stable=True), form_of.bincount().tolist()
    out = torch.empty_like(x)
    for members, form in zip(order.split(counts), forms.tolist(), strict=True):
        images, total = padded[members], 0.0
        for weight, (down, right) in zip(weights, form, strict=True):
            part = images[..., reach + down : reach + down + height, reach + right : reach + right + width]
            total = total + part * weight
        out[members] = total
    return out


def zoom_blur(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return the mean of x and its zooms by 1, 1 + step, ... Draws nothing; x itself counts twice, as published."""
    stop, step = setting
    factors = np.arange(1, stop, step).tolist()
    total = x.clone()
    for factor in factors:
        total += clipped_zoom(x, factor)
    return total / (len(factors) + 1)


def clipped_zoom(x: Float[Tensor, "B C H W"], factor: Number) -> Float[Tensor, "B C H W"]:
    """Return the middle of the images, enlarged to their size, linear in between."""
    rows, cols = (zoom_matrix(side, factor) for side in x.shape[-2:])
    return separable(x, rows, cols)


@lru_cache(maxsize=512)
def zoom_matrix(side: int, factor: Number) -> Float[Tensor, "N N"]:
    """Return the matrix that zooms the middle of a line to its length: scipy's zoom of the identity."""
    crop = math.ceil(side / factor)
    start = (side - crop) // 2
    zoomed = ndimage.zoom(np.eye(side)[start : start + crop], (factor, 1), order=1, mode="nearest")
    trim = (len(zoomed) - side) // 2
    return torch.from_numpy(zoomed[trim : trim + side]).float()
