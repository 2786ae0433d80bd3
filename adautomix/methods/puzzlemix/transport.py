"""Optimal transport of blocks: move what is salient to where the mask shows it, but not far.

Kim et al. 2020 (Puzzle Mix): the masked transport, `mask_transport` of the released mixup.py. Moving block i to place
j costs eps * distance(i, j)^2 - saliency_i * shown_j. Every block claims its cheapest place, the cheapest claim on a
place wins, and the losers may not claim that place again. A block that is shown claims its own place first, so what a
shown place costs can only fall.
What happens to blocks at places that are not shown is no part of the price, since nobody sees
it. In the released code those places come out black behind the mask; here whoever is left over fills them, so that the
result is a permutation, and the rounds go on to the end instead of stopping after as many as the grid has rows.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def distances(side: int, device: torch.device) -> Float[Tensor, "P P"]:
    """Return squared distances between the P = side^2 blocks of a grid, in units of its side less one."""
    place = torch.arange(side**2, device=device)
    row, col = place // side, place % side
    squared = (row[:, None] - row).square() + (col[:, None] - col).square()
    return squared.float() / (side - 1) ** 2


def transport_cost(
    saliency: Float[Tensor, "B g g"], shown: Bool[Tensor, "B g g"], eps: float
) -> Float[Tensor, "B P P"]:
    """Return the cost [b,i,j] of moving block i to place j.

    Args:
        saliency: of every block; sums to 1 over an image.
        shown: whether the mask shows anything of a place.
        eps: weight of the squared distance, which is at most 2.
    """
    gain = saliency.flatten(1)[:, :, None] * shown.flatten(1)[:, None, :]
    return torch.sub(eps * distances(saliency.shape[-1], saliency.device), gain)


def transport(saliency: Float[Tensor, "B g g"], shown: Bool[Tensor, "B g g"], eps: float) -> Int[Tensor, "B P"]:
    """Return, for every place, which block is moved there: a permutation.

    The cost summed over the places that are shown is no more than without any move. Arguments as for `transport_cost`.
    """
    claim, left_over = assign(transport_cost(saliency, shown, eps))
    free = torch.ones_like(claim).scatter_add(1, claim, left_over.long() - 1)  # 0 where a claim was won
    blocks, places = (rest.argsort(dim=1, descending=True, stable=True) for rest in (left_over.int(), free))
    filled = torch.empty_like(claim).scatter(1, blocks, places)  # the k-th block left over takes the k-th free place
    return torch.where(left_over, filled, claim).argsort(dim=1)


def assign(cost: Float[Tensor, "B P P"]) -> tuple[Int[Tensor, "B P"], Bool[Tensor, "B P"]]:
    """Return the place that every block wins, and which blocks win none; `cost` is used up.

    Proposals and rejections as in Gale and Shapley's stable matching; lost claims become infinite in `cost`. A block is
    left over once all it could still claim is a strange place at a cost of zero or more: the block that is at home
    there pays no more than zero.

    Args:
        cost: finite, or it would not end.
    """
    home = torch.arange(cost.shape[1], device=cost.device).expand(cost.shape[:2])
    paid, claim = cost.min(dim=2)
    while True:
        left_over = (paid >= 0) & (claim != home)
        lost = losers(claim, paid.masked_fill(left_over, torch.inf))
        if len(lost[0]) == 0:
            return claim, left_over
        cost[(*lost, claim[lost])] = torch.inf
        paid[lost], claim[lost] = cost[lost].min(dim=1)


def losers(claim: Int[Tensor, "B P"], paid: Float[Tensor, "B P"]) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"]]:
    """Return image and block of every claim that is not the cheapest on its place; of equal ones the first wins.

    Args:
        paid: cost of each claim; infinite where a block claims nothing.
    """
    count = claim.shape[1]
    best = torch.full_like(paid, torch.inf).scatter_reduce(1, claim, paid, "amin")
    block = torch.arange(count, device=claim.device).expand_as(claim)
    contender = torch.where(paid == best.gather(1, claim), block, count)
    winner = torch.full_like(claim, count).scatter_reduce(1, claim, contender, "amin")
    return torch.nonzero((winner.gather(1, claim) != block) & paid.isfinite(), as_tuple=True)


def move_blocks(x: Float[Tensor, "B C H W"], source: Int[Tensor, "B P"], side: int) -> Float[Tensor, "B C H W"]:
    """Return images whose block at every place is the old block `source` of that place, as a new tensor."""
    (batch, channels, height, width), h, w = x.shape, x.shape[2] // side, x.shape[3] // side
    blocks = x.reshape(batch, channels, side, h, side, w).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # [B,P,C,h,w]
    moved = blocks[torch.arange(batch, device=x.device)[:, None], source]
    return moved.unflatten(1, (side, side)).permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width)
