"""Weather: snow, frost and fog.

Frost needs photographs of ice, which are not ours to give. Without them a made-up texture stands in, and its frost is
not the published one: hand over your own textures where that matters. Snow is blurred by our motion blur, not
ImageMagick's (see blur.py).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from adautomix.evaluate.checks import require_pixels
from adautomix.evaluate.corruptions.blur import clipped_zoom, motion_offsets, motion_weights, move
from adautomix.evaluate.corruptions.grid import cut_off, to_grid
from adautomix.evaluate.corruptions.plasma import plasma
from adautomix.evaluate.corruptions.tables import Numbers
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.errors import UserError
from adautomix.utils.grey import LUMA

ICE_LEVEL, ICE_CONTRAST, ICE_TINT = (0.45, 0.82), 0.11, (-0.07, 0.01, 0.06)
"""Mean grey (drawn in between), standard deviation and colour of the made-up ice, about those of the five published
photographs in use: grey 0.48 to 0.81, standard deviation 0.07 to 0.17, bluish."""
PUBLISHED_TEXTURES = 5
"""The published code owns six photographs and draws among the first five."""


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
    flakes = cut_off(torch.where(flakes < threshold, 0.0, flakes))
    weights = motion_weights(int(radius), sd_px)
    flakes = to_grid(move(flakes, weights, motion_offsets(draws.uniform(-135, -45), len(weights))))
    grey = torch.einsum("bchw,c->bhw", x, torch.tensor(LUMA, device=x.device))[:, None]
    whitened = keep * x + (1 - keep) * torch.maximum(x, grey * 1.5 + 0.5)
    return whitened + flakes + flakes.flip(-2, -1)


def frost(
    x: Float[Tensor, "B 3 H W"],
    setting: Numbers,
    draws: PerImageRNG,
    textures: Float[Tensor, "T 3 h w"] | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Return a weighted sum of x and ice: a random piece of a random texture, or made up if there are none."""
    image_weight, ice_weight = setting
    ice = made_up_ice(*x.shape[-2:], draws) if textures is None else crops(textures.to(x), *x.shape[-2:], draws)
    return image_weight * x + ice_weight * ice


def made_up_ice(height: int, width: int, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return ice-like textures in [0,1]: bright ridges of two fine plasmas, bluish. No photograph, not the published
    ones."""
    ridges = sum(1 - (2 * plasma(height, width, decay, draws) - 1).abs() for decay in (1.2, 1.6))
    ridges = ridges - ridges.mean((1, 2), keepdim=True)
    ridges = ridges / ridges.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)
    grey = draws.uniform(*ICE_LEVEL, 1, 1) + ICE_CONTRAST * ridges
    tint = torch.tensor(ICE_TINT, device=grey.device)[:, None, None]
    return (grey[:, None] + tint).clamp(0, 1)


def crops(textures: Float[Tensor, "T 3 h w"], height: int, width: int, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return a piece of one of the first five textures an image."""
    count, _, tall, wide = textures.shape
    which = draws.below(min(count, PUBLISHED_TEXTURES))
    # As published, the last row and column of places is never drawn; a texture of just the image's size has only one.
    top, left = draws.below(max(tall - height, 1)), draws.below(max(wide - width, 1))
    rows = top[:, None, None] + torch.arange(height, device=top.device)[:, None]
    cols = left[:, None, None] + torch.arange(width, device=top.device)
    return textures[which[:, None, None], :, rows, cols].movedim(-1, 1)


def require_textures(textures: Tensor, height: int, width: int) -> None:
    """Raise UserError unless textures are pixels [T,3,h,w] in [0,1], at least as large as the images."""
    require_pixels(textures)
    if textures.shape[2] < height or textures.shape[3] < width:
        raise UserError(
            f"textures must be at least {height} x {width} px, as the images are, got {textures.shape[2]} x "
            f"{textures.shape[3]}: enlarge them (published: photographs scaled by 0.2 for CIFAR, 0.3 for Tiny ImageNet)"
        )
