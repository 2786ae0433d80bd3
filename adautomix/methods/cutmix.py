"""CutMix: a box of one image pasted into another, labels by area.

Yun et al.: "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
Eq. 1-2. The box is clipped at the border, so lam must be computed again from its area.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.methods.base import Draws, MixMethod, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_mask, sample_lam


@dataclass(frozen=True)
class CutMixDraws(Draws):
    """`centre` [B,2]: row and column of the box's centre as shares of the image, in [0,1)."""

    centre: Float[Tensor, "B 2"] | None = None


class CutMix(MixMethod):
    """A box with area share 1 - lam, centred anywhere, comes from x[index].

    Args:
        alpha: Beta parameter (0.2 for CNNs, 2.0 for transformers in the AdAutoMix benchmark; the CutMix paper: 1).
        per_sample: draw lam and box for every image instead of every batch.
    """

    def __init__(self, *, alpha: float = 0.2, per_sample: bool = False) -> None:
        self.alpha, self.per_sample = check_alpha(alpha), per_sample

    def draw(self, batch_size: int, ctx: Context) -> CutMixDraws:
        """Return lam, one permutation of the batch, and the boxes' centres."""
        rng = ctx.rng_for(self.per_sample)
        lam = sample_lam(batch_size, 2, self.alpha, rng, per_sample=self.per_sample)
        rows = batch_size if self.per_sample else 1
        centre = torch.rand(rows, 2, generator=rng).expand(batch_size, 2)
        return CutMixDraws(draw_index(batch_size, 2, ctx.image_rng), lam, centre)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: CutMixDraws) -> Mixed:
        """Return x with a box of x[index] in every image."""
        size = (x.shape[2], x.shape[3])
        rows = slice(None) if self.per_sample else slice(1)
        middle = (draws.centre[rows].double() * torch.tensor(size)).long()
        box = boxes(draws.lam[rows, 0], middle, size).to(x.device, non_blocking=True)
        mask = box_mask(box, size).expand(len(x), -1, -1, -1)
        return mixed_from_mask(x, ctx.targets(y), draws.index, mask)


def boxes(lam: Float[Tensor, " B"], middle: Int[Tensor, "B 2"], size: tuple[int, int]) -> Int[Tensor, "B 4"]:
    """Return boxes (top, bottom, left, right) in px, half-open and clipped to the image, on the device of `middle`.

    Sides are int(H sqrt(1-lam)) and int(W sqrt(1-lam)), halved as the paper's code does.

    Args:
        lam: on the CPU, for float64: not every device has it.
        middle: row and column, px.
    """
    half = (torch.tensor(size) * (1 - lam.double()).sqrt()[:, None]).long() >> 1
    half, hw = (part.to(middle.device, non_blocking=True) for part in (half, torch.tensor(size)))
    return torch.stack([(middle - half).clamp_(min=0), torch.minimum(middle + half, hw)], dim=2).flatten(1)


def box_mask(box: Int[Tensor, "B 4"], size: tuple[int, int]) -> Float[Tensor, "B 2 H W"]:
    """Return the masks of both slots: slot 1 is 1 inside the box, slot 0 outside."""
    top, bottom, left, right = (side[:, None] for side in box.unbind(1))
    row, col = (torch.arange(n, device=box.device) for n in size)
    rows, cols = (row >= top) & (row < bottom), (col >= left) & (col < right)
    inside = (rows[:, :, None] & cols[:, None, :]).float()
    return torch.stack([1 - inside, inside], dim=1)
