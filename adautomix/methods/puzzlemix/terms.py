"""The terms of Puzzle Mix's energy, before their weights: saliency by block, the prior of lam, colours along seams.

Kim et al. 2020 (Puzzle Mix), as in the released `mixup_graph` and `neigh_penalty` (snu-mllab/PuzzleMix, mixup.py).
Colours are compared where two blocks meet, between images too: what matters of a seam is how
well the lower edge of a block of one image goes with the upper edge of the next block of the other.
"""

from math import comb, gcd

import torch
from jaxtyping import Float, Int
from torch import Tensor


def enlarge(values: Float[Tensor, "B n n"], height: int, width: int) -> Float[Tensor, "B H W"]:
    """Return every value repeated over a block of `height` x `width`."""
    return values.repeat_interleave(height, dim=1).repeat_interleave(width, dim=2)


def block_shares(saliency: Float[Tensor, "B H W"], n: int) -> Float[Tensor, "B n n"]:
    """Return the share of an image's saliency in each of n x n blocks, in float32.

    Every share is the same where nothing is salient: gradients of a student that is certain are exactly zero. Also
    where saliency is not finite; then the student has diverged, and the step's loss will say so.
    """
    blocks = saliency.float().unflatten(2, (n, -1)).unflatten(1, (n, -1)).sum(dim=(2, 4))
    total = blocks.sum(dim=(1, 2), keepdim=True)
    return torch.where((total > 0) & total.isfinite(), blocks / total, 1 / n**2)


def negative_log_binomial(lam: Float[Tensor, " B"], n_labels: int) -> Float[Tensor, "B L"]:
    """Return -log of the chance of i = 0 .. n_labels - 1 successes of probability lam in n_labels - 1 tries.

    1e-8 is added to the chance, as in the released code, so that it stays finite at lam 0 and 1.
    """
    tries = n_labels - 1
    chances = [comb(tries, i) * lam**i * (1 - lam) ** (tries - i) for i in range(n_labels)]
    return -(torch.stack(chances, dim=1) + 1e-8).log()


def seam_differences(
    x: Float[Tensor, "B C H W"], partner: Int[Tensor, " B"], n: int, neigh_size: int, dim: int
) -> Float[Tensor, "2 2 B p q"]:
    """Return the mean absolute colour difference at every seam, [i,j]: from slot i before it to slot j after it.

    Args:
        partner: row of the image in slot 1.
        neigh_size: px, side of the squares whose means are compared; the largest divisor that fits into a block.
        dim: 1 for seams between rows of blocks, p = n-1; 2 for those between columns, q = n-1.
    """
    height, width = x.shape[-2:]
    side = gcd(neigh_size, height // n, width // n)
    pooled = torch.nn.functional.avg_pool2d(x.float(), side)
    cells = pooled.unflatten(3, (n, -1)).unflatten(2, (n, -1))  # [B,C,n,k,n,l]
    along = 2 * dim  # the blocks' dimension; their cells' is the next
    before = cells.narrow(along, 0, n - 1).select(along + 1, -1)
    after = cells.narrow(along, 1, n - 1).select(along + 1, 0)  # [B,C,n-1,n,l] or [B,C,n,k,n-1]
    ends = (before, before[partner]), (after, after[partner])
    other = 4 if dim == 1 else 3
    return torch.stack([torch.stack([(a - b).abs().mean(dim=(1, other)) for b in ends[1]]) for a in ends[0]])
