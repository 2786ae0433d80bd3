"""CutMix: a box of one image pasted into another, labels by area.

Yun et al.: "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
Eq. 1-2. What a reader gets wrong: the box is clipped at the border, so lam must be computed again from its area.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.methods.base import Context, Draws, MixMethod, check_alpha
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
        lam = sample_lam(batch_size, 2, self.alpha, ctx.rng, per_sample=self.per_sample)
        rows = batch_size if self.per_sample else 1
        centre = torch.rand(rows, 2, generator=ctx.rng).expand(batch_size, 2)
        return CutMixDraws(draw_index(batch_size, 2, ctx.rng), lam, centre)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: CutMixDraws) -> Mixed:
        """Return x with a box of x[index] in every image."""
        targets, size = ctx.targets(y), (x.shape[2], x.shape[3])
        if self.per_sample:
            middle = (draws.centre.double() * torch.tensor(size)).long()
            box = boxes(draws.lam[:, 0], middle, size).to(x.device, non_blocking=True)
            return mixed_from_mask(x, targets, draws.index, box_mask(box, size))
        return _paste(x, targets, draws.index, one_box(draws.lam[0, 0].item(), draws.centre[0].tolist(), size))


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


def one_box(lam: float, centre: list[float], size: tuple[int, int]) -> list[int]:
    """Return `boxes` of one pair in plain numbers, for a tenth of the time."""
    sides = []
    for middle, length in zip(centre, size, strict=True):
        half, at = int(length * math.sqrt(1 - lam)) // 2, int(middle * length)
        sides += [max(at - half, 0), min(at + half, length)]
    return sides


def box_mask(box: Int[Tensor, "B 4"], size: tuple[int, int]) -> Float[Tensor, "B 2 H W"]:
    """Return the masks of both slots: slot 1 is 1 inside the box, slot 0 outside."""
    top, bottom, left, right = (side[:, None] for side in box.unbind(1))
    row, col = (torch.arange(n, device=box.device) for n in size)
    rows, cols = (row >= top) & (row < bottom), (col >= left) & (col < right)
    inside = (rows[:, :, None] & cols[:, None, :]).float()
    return torch.stack([1 - inside, inside], dim=1)


def one_box_mask(box: list[int], size: tuple[int, int], device: torch.device) -> Float[Tensor, "1 2 H W"]:
    """Return `box_mask` of one box whose sides are known on the host: fewer, smaller operations."""
    top, bottom, left, right = box
    mask = torch.zeros(1, 2, *size, device=device)
    mask[:, 0] = 1
    mask[:, 0, top:bottom, left:right] = 0
    mask[:, 1, top:bottom, left:right] = 1
    return mask


def _paste(x: Tensor, targets: Tensor, index: Tensor, box: list[int]) -> Mixed:
    """Return the Mixed of one box for the whole batch: copies the box only, straight into place.

    `out=` knows no gradient: x must not require one (images of a training step do not).
    """
    top, bottom, left, right = box
    mask = one_box_mask(box, (x.shape[2], x.shape[3]), x.device)
    lam = mask.mean(dim=(2, 3)).expand(len(x), -1)
    index = index.to(x.device, non_blocking=True)
    mixed = x.clone()
    torch.index_select(x[:, :, top:bottom, left:right], 0, index[1], out=mixed[:, :, top:bottom, left:right])
    both = targets.index_select(0, index[1]).lerp_(targets, lam[:, :1])
    return Mixed(mixed, both, lam, index, mask.expand(len(x), -1, -1, -1))
