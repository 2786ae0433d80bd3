"""Pixels on the 8-bit grid k/255, and images times matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

GUARD = 1e-3
"""In grey levels. The published code cuts off what lies behind the point (np.uint8) in float64; in float32 a level that
is whole may come out 0.00002 below itself, and would lose a whole level."""


def floor_to_8bit(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return pixels clipped to [0,1] and cut off to the next lower k/255, as the published files were stored."""
    return x.clamp(0, 1).mul_(255).add_(GUARD).floor_().div_(255)


def round_to_8bit(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return pixels clipped to [0,1] and rounded to the nearest k/255, float32."""
    return x.float().clamp(0, 1).mul_(255).round_().div_(255)


def separable(
    x: Float[Tensor, "B C H W"], rows: Float[Tensor, "H2 H"], cols: Float[Tensor, "W2 W"]
) -> Float[Tensor, "B C H2 W2"]:
    """Return rows @ image @ cols.T for every channel; the matrices are moved to the images' device."""
    return torch.matmul(rows.to(x), x @ cols.to(x).T)
