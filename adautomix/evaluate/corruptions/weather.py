"""Weather: snow, frost and fog.

Frost needs photographs of ice, which are not ours to give: a made-up texture stands in, so its frost is not the
published one. Snow is blurred by our motion blur, not ImageMagick's (see blur.py).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from adautomix.evaluate.corruptions.blur import clipped_zoom, motion_offsets, motion_weights, move
from adautomix.evaluate.corruptions.grid import floor_to_8bit, round_to_8bit
from adautomix.evaluate.corruptions.tables import Number, Numbers
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.grey import LUMA

ICE_LEVEL, ICE_CONTRAST, ICE_TINT = (0.45, 0.82), 0.11, (-0.07, 0.01, 0.06)
"""Mean grey (drawn in between), standard deviation and colour of the made-up ice, about those of the five published
photographs in use: grey 0.48 to 0.81, standard deviation 0.07 to 0.17, bluish."""


def fog(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x behind clouds; white stays as bright as it was."""
    strength, decay = setting
    clouds = plasma(*x.shape[-2:], decay, draws)[:, None]
    brightest = x.amax((1, 2, 3), keepdim=True)
    return (x + strength * clouds) * brightest / (brightest + strength)


def snow(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x whitened, with flakes blown in one direction and, turned by half, in the other."""
    mean, sd, zoom, threshold, radius, sd_px, keep = setting
    flakes = clipped_zoom(draws.normal(1, *x.shape[-2:]) * sd + mean, zoom)
    flakes = floor_to_8bit(torch.where(flakes < threshold, 0.0, flakes))
    weights = motion_weights(int(radius), sd_px)
    flakes = round_to_8bit(move(flakes, weights, motion_offsets(draws.uniform(-135, -45), len(weights))))
    grey = torch.einsum("bchw,c->bhw", x, torch.tensor(LUMA, device=x.device))[:, None]
    whitened = keep * x + (1 - keep) * torch.maximum(x, grey * 1.5 + 0.5)
    return whitened + flakes + flakes.flip(-2, -1)


def frost(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return a weighted sum of x and made-up ice."""
    image_weight, ice_weight = setting
    return image_weight * x + ice_weight * made_up_ice(*x.shape[-2:], draws)


def made_up_ice(height: int, width: int, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return ice-like textures in [0,1]: bright ridges of two fine plasmas, bluish. No photograph, not the published
    ones."""
    ridges = sum(1 - (2 * plasma(height, width, decay, draws) - 1).abs() for decay in (1.2, 1.6))
    ridges = ridges - ridges.mean((1, 2), keepdim=True)
    ridges = ridges / ridges.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)
    grey = draws.uniform(*ICE_LEVEL, 1, 1) + ICE_CONTRAST * ridges
    tint = torch.tensor(ICE_TINT, device=grey.device)[:, None, None]
    return (grey[:, None] + tint).clamp(0, 1)


def plasma(height: int, width: int, decay: Number, draws: PerImageRNG) -> Float[Tensor, "B H W"]:
    """Return random clouds in [0,1], a map an image: the upper left of the next square whose side is a power of two."""
    side = 1 << (max(height, width) - 1).bit_length()
    return diamond_square(draws.uniform(-1, 1, side, side), decay)[:, :height, :width]


def diamond_square(u: Float[Tensor, "B N N"], decay: Number) -> Float[Tensor, "B N N"]:
    """Return the diamond-square map on a torus: every point is the mean of four neighbours plus its own draw.

    Args:
        u: a draw in [-1,1] a point; N is a power of two. The draw at (0, 0) is not used.
        decay: the draws of each scale are worth so many times less than those of the one above, squared: the published
            code draws between -wobble and wobble and then multiplies by wobble again.
    Returns: a new tensor, scaled to [0,1].
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
