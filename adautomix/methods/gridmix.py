"""GridMix: every cell of a grid comes from one of two images, labels by area.

Baek, Bang, Shim: "GridMix: Strong Regularization Through Local Context Mapping", Pattern Recognition 109, 2021. What a
reader gets wrong: the paper also trains a second head on the label of every cell. This is its mixing alone; and widely
used code of the same name (OpenMixup's) cuts rows of holes instead, as GridMask does.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from adautomix.methods.base import Draws, MixMethod, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_mask, sample_lam
from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class GridMixDraws(Draws):
    """`order` [R,n*n]: uniform numbers, one a cell; the cells with the smallest ones stay. R: 1 or B."""

    order: Float[Tensor, "R cells"] | None = None


class GridMix(MixMethod):
    """x on a share lam of the cells of an n x n grid, chosen at random, and x[index] on the others.

    Args:
        alpha: Beta parameter.
        cells: n, cells along a side; a side of the image that n does not divide gets cells of two sizes.
        per_sample: draw lam and cells for every image instead of every batch.
    """

    def __init__(self, *, alpha: float = 1.0, cells: int = 4, per_sample: bool = False) -> None:
        if cells < 2:
            raise UserError(f"cells must be at least 2, got {cells}; one cell is one image")
        self.alpha, self.cells, self.per_sample = check_alpha(alpha), cells, per_sample

    def draw(self, batch_size: int, ctx: Context) -> GridMixDraws:
        """Return lam, one permutation of the batch, and the order in which cells are taken."""
        rng = ctx.rng_for(self.per_sample)
        lam = sample_lam(batch_size, 2, self.alpha, rng, per_sample=self.per_sample)
        index = draw_index(batch_size, 2, ctx.image_rng)
        order = torch.rand(batch_size if self.per_sample else 1, self.cells**2, generator=rng)
        return GridMixDraws(index, lam, order)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: GridMixDraws) -> Mixed:
        """Return the masked mix; the label's lam is the area left."""
        kept = (draws.lam[: len(draws.order), :1] * self.cells**2).round()
        first = (draws.order.argsort(dim=1).argsort(dim=1) < kept).float().view(-1, self.cells, self.cells)
        row, column = (torch.arange(n) * self.cells // n for n in x.shape[2:])
        grid = torch.stack([first, 1 - first], dim=1)[:, :, row[:, None], column]
        mask = grid.to(x.device, non_blocking=True).expand(len(x), -1, -1, -1)
        return mixed_from_mask(x, ctx.targets(y), draws.index, mask)
