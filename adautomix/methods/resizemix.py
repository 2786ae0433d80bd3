"""ResizeMix: the whole second image, made small, pasted into the first; labels by area.

Qin et al.: "ResizeMix: Mixing Data with Preserved Object Information and True Labels", 2020, section 3.3.
What is drawn is the side ratio, not lam. lam follows from the pasted area.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.methods.base import Draws, MixMethod
from adautomix.methods.context import Context
from adautomix.methods.cutmix import box_mask
from adautomix.methods.ops.mixing import Mixed, blend, draw_index
from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class ResizeMixDraws(Draws):
    """`ratio` [B]: side of the pasted image as a share of its own; `corner` [B,2]: where it lies, in [0,1)."""

    ratio: Float[Tensor, " B"] | None = None
    corner: Float[Tensor, "B 2"] | None = None


class ResizeMix(MixMethod):
    """x[index], resized to a share of its sides, pasted anywhere within x.

    Args:
        ratio_min, ratio_max: the side ratio is uniform between them (0.1 and 0.8, the paper's).
        per_sample: draw ratio and place for every image instead of every batch.
    """

    def __init__(self, *, ratio_min: float = 0.1, ratio_max: float = 0.8, per_sample: bool = False) -> None:
        if not 0 < ratio_min <= ratio_max <= 1:
            raise UserError(f"need 0 < ratio_min <= ratio_max <= 1, got {ratio_min} and {ratio_max}")
        self.ratio_min, self.ratio_max, self.per_sample = ratio_min, ratio_max, per_sample

    def draw(self, batch_size: int, ctx: Context) -> ResizeMixDraws:
        """Return one permutation of the batch, side ratios and corners; lam is nominal, 1 - ratio^2."""
        rows, rng = (batch_size if self.per_sample else 1), ctx.rng_for(self.per_sample)
        low, high = self.ratio_min, self.ratio_max
        ratio = (low + (high - low) * torch.rand(rows, generator=rng)).expand(batch_size)
        corner = torch.rand(rows, 2, generator=rng).expand(batch_size, 2)
        lam = torch.stack([1 - ratio**2, ratio**2], dim=1)
        return ResizeMixDraws(draw_index(batch_size, 2, ctx.image_rng), lam, ratio, corner)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: ResizeMixDraws) -> Mixed:
        """Return x with a small x[index] in every image."""
        size = (x.shape[2], x.shape[3])
        box = resized_boxes(draws.ratio, draws.corner, size)
        index = draws.index.to(x.device, non_blocking=True)
        if self.per_sample:
            place = box.to(x.device, non_blocking=True)
            small, mask = resample(x.index_select(0, index[1]), place), box_mask(place, size)
            mixed = torch.where(mask[:, 1:].bool(), small, x)
        else:
            mixed, mask = paste(x, index[1], box[0].tolist()), box_mask(box[:1].to(x.device, non_blocking=True), size)
        lam = mask.mean(dim=(2, 3)).expand(len(x), -1)
        targets = blend(ctx.targets(y), index, lam)
        return Mixed(mixed, targets, lam, index, mask.expand(len(x), -1, -1, -1))


def resized_boxes(
    ratio: Float[Tensor, " B"], corner: Float[Tensor, "B 2"], size: tuple[int, int]
) -> Int[Tensor, "B 4"]:
    """Return boxes (top, bottom, left, right) in px, half-open, at least 1 px wide and wholly inside the image."""
    hw = torch.tensor(size)
    side = (ratio[:, None].double() * hw).long().clamp(min=1)
    low = (corner * (hw - side + 1)).long().minimum(hw - side)
    high = low + side
    return torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], dim=1)


def paste(x: Float[Tensor, "B C H W"], row: Int[Tensor, " B"], box: list[int]) -> Float[Tensor, "B C H W"]:
    """Return a copy of x with x[row], resized bilinearly, in one box."""
    top, bottom, left, right = box
    small = F.interpolate(x, size=(bottom - top, right - left), mode="bilinear", align_corners=False)
    mixed = x.clone()
    mixed[:, :, top:bottom, left:right] = small.index_select(0, row)
    return mixed


def resample(x: Float[Tensor, "B C H W"], box: Int[Tensor, "B 4"]) -> Float[Tensor, "B C H W"]:
    """Return every image resized bilinearly into its own box; values outside the box mean nothing."""
    exact = torch.promote_types(x.dtype, torch.float32)  # half precision cannot count the pixels of a side
    top, bottom, left, right = (side[:, None].to(x.device, exact) for side in box.unbind(1))
    (row, col) = (torch.arange(n, device=x.device, dtype=exact)[None] for n in x.shape[2:])
    # A pixel's centre at a share s of the box is at 2 s - 1 of the whole image, in grid_sample's coordinates.
    v, u = 2 * (row + 0.5 - top) / (bottom - top) - 1, 2 * (col + 0.5 - left) / (right - left) - 1
    shape = (len(x), v.shape[1], u.shape[1])
    grid = torch.stack([u[:, None, :].expand(shape), v[:, :, None].expand(shape)], dim=-1)
    return F.grid_sample(x.to(exact), grid, mode="bilinear", padding_mode="border", align_corners=False).to(x.dtype)
