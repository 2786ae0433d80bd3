"""Glass blur: pixels are shuffled within a small reach, between two Gaussian blurs.

The published loop means to swap two pixels, but numpy's rows are views, so it copies: x[p] = x[q]. The published files
were made with it, so this copies too. Pixels are visited from the last to the first; if q was visited before p, its new
value is read. Those chains are followed for all pixels and images at once by pointer jumping (each round doubles the
length followed), which gives exactly what the loop gives.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.evaluate.corruptions.blur import smooth
from adautomix.evaluate.corruptions.grid import floor_to_8bit
from adautomix.evaluate.corruptions.tables import Numbers
from adautomix.evaluate.per_image_rng import PerImageRNG


def glass_blur(x: Float[Tensor, "B 3 H W"], setting: Numbers, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x blurred, shuffled and blurred again."""
    sd_px, reach, rounds = setting
    height, width = x.shape[-2:]
    offsets = draws.below(2 * reach, rounds, height, width, 2) - reach
    shuffled = shuffle(floor_to_8bit(smooth(x, sd_px)), offsets, reach)
    return smooth(shuffled, sd_px)


def shuffle(x: Float[Tensor, "B C H W"], offsets: Int[Tensor, "B R H W 2"], reach: int) -> Float[Tensor, "B C H W"]:
    """Return the images after rounds of in-place copies x[p] = x[p + offset], from the last pixel to the first.

    Args:
        offsets: rows and columns, each in [-reach, reach).
        reach: rows and columns from reach + 1 to side - reach (both included) are visited.
    """
    source = None
    for offset in offsets.unbind(1):
        step = one_round(offset, reach)
        source = step if source is None else source.gather(1, step)
    return x.flatten(2).gather(2, source[:, None].expand(-1, x.shape[1], -1)).view_as(x)


def one_round(offset: Int[Tensor, "B H W 2"], reach: int) -> Int[Tensor, "B N"]:
    """Return for every pixel which pixel of the same image, before the round, it shows after it."""
    batch, height, width, _ = offset.shape
    row = torch.arange(height, device=offset.device)[:, None].expand(height, width)
    col = torch.arange(width, device=offset.device).expand(height, width)
    visited = _inside(row, height, reach) & _inside(col, width, reach)
    here = row * width + col
    to_row, to_col = row + offset[..., 0], col + offset[..., 1]
    there = torch.where(visited, to_row * width + to_col, here)
    changed = visited & (there > here) & _inside(to_row, height, reach) & _inside(to_col, width, reach)

    first = torch.arange(batch, device=offset.device).view(-1, 1, 1) * (height * width)
    link, waits = (there + first).flatten(), changed.flatten()
    left = waits.nonzero()[:, 0]
    while len(left):
        target = link[left]
        # Both read before either is written: every round doubles the chains that are known.
        link[left], waits[left] = link[target], waits[target]
        left = left[waits[left]]
    return link.view(batch, -1) - first.view(-1, 1)


def _inside(place: Int[Tensor, "..."], side: int, reach: int) -> Tensor:
    return (place > reach) & (place <= side - reach)
