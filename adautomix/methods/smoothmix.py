"""SmoothMix: a Gaussian spot of one image in another, labels by the spot's weight.

Lee et al.: "SmoothMix: A Simple Yet Effective Data Augmentation to Train Robust Classifiers", CVPR Workshops 2020, its
circular mask (SmoothMix-C). lam is not drawn. Place and width of the spot are, and lam is the
mean of the mask; no edge is left for a network to find.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from adautomix.methods.base import Draws, MixMethod
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_mask
from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class SmoothMixDraws(Draws):
    """`width` [R]: standard deviation as a share of the side; `centre` [R,2]: row and column, in [0,1). R: 1 or B."""

    width: Float[Tensor, " R"] | None = None
    centre: Float[Tensor, "R 2"] | None = None


class SmoothMix(MixMethod):
    """x[index] in a Gaussian spot with its peak at 1, x around it.

    Args:
        width_min, width_max: the spot's standard deviation, as a share of the image's side, is uniform between them
            (0.25 and 0.5, the paper's).
        per_sample: draw the spot for every image instead of every batch.
    """

    def __init__(self, *, width_min: float = 0.25, width_max: float = 0.5, per_sample: bool = False) -> None:
        if not 0 < width_min <= width_max:
            raise UserError(f"need 0 < width_min <= width_max, got {width_min} and {width_max}")
        self.width_min, self.width_max, self.per_sample = width_min, width_max, per_sample

    def draw(self, batch_size: int, ctx: Context) -> SmoothMixDraws:
        """Return one permutation of the batch, and the spots."""
        rows, rng = (batch_size if self.per_sample else 1), ctx.rng_for(self.per_sample)
        width = self.width_min + (self.width_max - self.width_min) * torch.rand(rows, generator=rng)
        centre = torch.rand(rows, 2, generator=rng)
        return SmoothMixDraws(draw_index(batch_size, 2, ctx.image_rng), None, width, centre)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: SmoothMixDraws) -> Mixed:
        """Return the masked mix; the label's lam is the mask's mean."""
        # exp(-(a+b)) is exp(-a) exp(-b): two vectors, on the host, instead of H W exponentials.
        rows, columns = (_bell(n, draws.centre[:, axis], draws.width) for axis, n in enumerate(x.shape[2:]))
        rows, columns = (side.to(x.device, non_blocking=True) for side in (rows, columns))
        spot = rows[:, :, None] * columns[:, None, :]
        mask = torch.stack([1 - spot, spot], dim=1).expand(len(x), -1, -1, -1)
        return mixed_from_mask(x, ctx.targets(y), draws.index, mask)


def _bell(pixels: int, centre: Float[Tensor, " R"], width: Float[Tensor, " R"]) -> Float[Tensor, "R pixels"]:
    at = (torch.arange(pixels) + 0.5) / pixels
    return torch.exp(-0.5 * ((at - centre[:, None]) / width[:, None]) ** 2)
