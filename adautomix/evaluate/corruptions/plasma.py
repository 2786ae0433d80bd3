"""Plasma: random clouds by the diamond-square algorithm on a torus, for all images at once."""

import torch
from jaxtyping import Float
from torch import Tensor

from adautomix.evaluate.corruptions.tables import Number
from adautomix.evaluate.per_image_rng import PerImageRNG


def plasma(height: int, width: int, decay: Number, draws: PerImageRNG) -> Float[Tensor, "B H W"]:
    """Return clouds in [0,1], a map an image; the upper left of the next square whose side is a power of two."""
    side = 1 << (max(height, width) - 1).bit_length()
    return diamond_square(draws.uniform(-1, 1, side, side), decay)[:, :height, :width]


def diamond_square(u: Float[Tensor, "B N N"], decay: Number) -> Float[Tensor, "B N N"]:
    """Return the map whose every point is the mean of four neighbours plus its own draw, scaled to [0,1].

    Args:
        u: a draw in [-1,1] a point; N is a power of two. The draw at (0, 0) is not used.
        decay: the draws of each scale are worth so many times less than those of the one above, squared: the published
            code draws between -wobble and wobble and then multiplies by wobble again.
    """
    maps, side = torch.zeros_like(u), u.shape[-1]
    step, wobble = side, 100.0
    while step >= 2:
        half = step // 2
        corners, centres = maps[:, ::step, ::step], maps[:, half::step, half::step]
        around = corners + corners.roll(-1, 1)
        centres[:] = (around + around.roll(-1, 2)) / 4 + u[:, half::step, half::step] * wobble**2
        top = centres + centres.roll(1, 1) + corners + corners.roll(-1, 2)
        left = centres + centres.roll(1, 2) + corners + corners.roll(-1, 1)
        maps[:, ::step, half::step] = top / 4 + u[:, ::step, half::step] * wobble**2
        maps[:, half::step, ::step] = left / 4 + u[:, half::step, ::step] * wobble**2
        step, wobble = half, wobble / decay
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-12)
