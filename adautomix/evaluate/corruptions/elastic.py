"""Elastic transform: a random affine map, then a smooth random displacement of every pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from adautomix.evaluate.corruptions.blur import smooth
from adautomix.evaluate.corruptions.tables import Numbers
from adautomix.evaluate.per_image_rng import PerImageRNG


def elastic_transform(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x bent. The affine step interpolates exactly; OpenCV, which made the published files, in 1/32 px."""
    height, width = x.shape[-2:]
    strength, sd_px, shift = (part * min(height, width) for part in setting)
    bent = affine(x, draws.uniform(-shift, shift, 3, 2))
    if strength == 0:
        return bent
    return displace(bent, smooth(draws.uniform(-1, 1, 2, height, width), sd_px, "reflect", truncate=3) * strength)


def affine(x: Float[Tensor, "B C H W"], shifts: Float[Tensor, "B 3 2"]) -> Float[Tensor, "B C H W"]:
    """Return the images under the affine maps that move three points about the middle by these shifts.

    Args:
        shifts: columns and rows in px, for the points lower right, upper right and upper left (as published: centre
            plus and minus a third of the side). Borders are mirrored about the last pixel.
    """
    height, width = x.shape[-2:]
    reach, down, right = min(height, width) // 3, height // 2, width // 2
    corners = [[right + reach, down + reach], [right + reach, down - reach], [right - reach, down - reach]]
    old = torch.tensor(corners, device=x.device, dtype=torch.float32).expand_as(shifts)
    ones = torch.ones_like(shifts[..., :1])
    back = torch.linalg.solve(torch.cat([old + shifts, ones], dim=2), old)  # new place -> old place, [B,3,2]
    rows, cols = _places(x)
    old_cols, old_rows = (
        back[:, 0, i, None, None] * cols + back[:, 1, i, None, None] * rows + back[:, 2, i, None, None] for i in (0, 1)
    )
    place = torch.stack([2 * old_cols / (width - 1) - 1, 2 * old_rows / (height - 1) - 1], dim=-1)
    return F.grid_sample(x, place, mode="bilinear", padding_mode="reflection", align_corners=True)


def displace(x: Float[Tensor, "B C H W"], shift: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B C H W"]:
    """Return the images read at every pixel's place plus a shift.

    Args:
        shift: px, first down and then right. Borders are mirrored at the last pixel's outer edge (scipy's "reflect").
    """
    height, width = x.shape[-2:]
    rows, cols = _places(x)
    place = torch.stack(
        [(2 * (cols + shift[:, 1]) + 1) / width - 1, (2 * (rows + shift[:, 0]) + 1) / height - 1], dim=-1
    )
    return F.grid_sample(x, place, mode="bilinear", padding_mode="reflection", align_corners=False)


def _places(x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "H 1"], Float[Tensor, " W"]]:
    rows, cols = (torch.arange(side, device=x.device, dtype=torch.float32) for side in x.shape[-2:])
    return rows[:, None], cols
