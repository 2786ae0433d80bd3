"""The labelling problem of Puzzle Mix, solved for a whole batch at once in torch, on the input's device.

Every block (node) of an n x n grid takes one of L labels; a label costs something by itself (unary), and neighbours
that differ pay weight * ((i - j) / (L - 1))^2 (Kim et al. 2020, Puzzle Mix, as in the released `graphcut_multi`).
The released code calls a graph-cut library (gco, alpha-beta swap) image by image. Here it is TRW-S (Kolmogorov,
"Convergent Tree-Reweighted Message Passing for Energy Minimization", PAMI 2006): sweeps of messages over the grid's
antidiagonals, whose nodes are not neighbours and so are updated together, for all images. For these energies (weights
of zero or more, a convex distance between labels) the relaxation that TRW-S works on has an integral optimum.
TRW-S gives a bound and beliefs, not a labelling. Labels are read off in the order of a sweep,
every node given the labels before it, and then improved one node at a time (`polish`).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

SWEEPS = 3
"""Sweeps there and back between two looks at which images are solved."""
ROUNDS = 12
"""Most such looks. At Puzzle Mix's defaults most images are solved at the first, nearly all by the third."""
TOLERANCE = 0.005
"""An image is solved once its energy is at most this share above the bound."""


class LabelProblem(NamedTuple):
    """A batch of labelling problems on an n x n grid.

    Attributes:
        unary: [B,n,n,L], cost of every label at every node.
        down: [B,n-1,n], weight of the edge from node (r,c) to (r+1,c); zero or more.
        right: [B,n,n-1], weight of the edge from node (r,c) to (r,c+1); zero or more.
    """

    unary: Float[Tensor, "B n n L"]
    down: Float[Tensor, "B n-1 n"]
    right: Float[Tensor, "B n n-1"]


def label_distance(labels: int, device: torch.device | None = None) -> Float[Tensor, "L L"]:
    """Return ((i - j) / (L - 1))^2 for every pair of labels."""
    share = torch.linspace(0, 1, labels, device=device)
    return (share[:, None] - share).square()


def label_energy(labels: Int[Tensor, "B n n"], grid: LabelProblem) -> Float[Tensor, " B"]:
    """Return the cost of one labelling of every problem: unary costs plus weighted distances of neighbours."""
    share = labels.to(grid.unary.dtype) / (grid.unary.shape[-1] - 1)
    unary = grid.unary.gather(-1, labels[..., None]).sum(dim=(1, 2, 3))
    down = grid.down * share.diff(dim=1).square()
    right = grid.right * share.diff(dim=2).square()
    return unary + down.sum(dim=(1, 2)) + right.sum(dim=(1, 2))


def solve_labels(grid: LabelProblem, tolerance: float = TOLERANCE, rounds: int = ROUNDS) -> Int[Tensor, "B n n"]:
    """Return a labelling of every problem whose energy is close to the least one; deterministic.

    Args:
        tolerance: a problem is left alone once its labelling is proven to be at most this share above the minimum.
        rounds: of SWEEPS sweeps; what is not proven after the last stays with the best labelling found.
    """
    skewed = Skewed.of(grid)
    ahead, back = (torch.zeros_like(skewed.pair[:, :, :, 0]) for _ in range(2))
    best = grid.unary.argmin(dim=-1)
    left = torch.arange(len(best), device=best.device)
    for _ in range(rounds):
        for _ in range(SWEEPS):
            pass_ahead(skewed, ahead, back)
            bound = pass_back(skewed, ahead, back)
        here = LabelProblem(*(part[left] for part in grid))
        best[left] = better(best[left], polish(read_off(skewed, back), here), here)
        reached = label_energy(best[left], here)
        unproven = torch.nonzero(reached - bound > tolerance * reached.abs())[:, 0]
        if len(unproven) == 0:
            break
        left, skewed = left[unproven], skewed.of_images(unproven)
        ahead, back = ahead[..., unproven], back[..., unproven]
    return best


def better(first: Int[Tensor, "B n n"], second: Int[Tensor, "B n n"], grid: LabelProblem) -> Int[Tensor, "B n n"]:
    """Return for every problem the labelling with less energy."""
    return torch.where((label_energy(second, grid) < label_energy(first, grid))[:, None, None], second, first)


class Skewed(NamedTuple):
    """A problem by antidiagonals d = r + c, so that a sweep takes a few operations per d; node (r,c) is at [d,...,r,:].

    Edges of a node at [d,...,r]: 0 goes right, to [d+1,...,r], and 1 goes down, to [d+1,...,r+1]. Where there is no
    node or no edge everything is zero, and then messages are zero by themselves.

    Attributes:
        unary: [D,L,n,B] with D = 2n-1.
        pair: [D,2,L,L,n,B], cost of every pair of labels on both edges ahead of a node.
        share: [D,1,n,1], TRW-S's weight of a node: 1 over the larger of its numbers of edges behind and ahead.
        edge: [D,2,n,1], 1 where a node has the edge.
    """

    unary: Float[Tensor, "D L n B"]
    pair: Float[Tensor, "D 2 L L n B"]
    share: Float[Tensor, "D 1 n 1"]
    edge: Float[Tensor, "D 2 n 1"]

    @classmethod
    def of(cls, grid: LabelProblem) -> "Skewed":
        """Return a LabelProblem laid out by antidiagonals."""
        n, labels = grid.unary.shape[1], grid.unary.shape[-1]
        weight = torch.stack([F.pad(grid.right, (0, 1)), F.pad(grid.down, (0, 0, 0, 1))], dim=-1)
        pair = skew(weight)[:, :, None, None] * label_distance(labels, weight.device)[:, :, None, None]
        share = torch.full((1, n, n, 1), 0.5, device=weight.device)
        share[:, 0, -1] = share[:, -1, 0] = 1.0  # the two corners with one edge behind and one ahead
        edge = torch.ones(1, n, n, 2, device=weight.device)
        edge[:, :, -1, 0] = edge[:, -1, :, 1] = 0.0
        return cls(skew(grid.unary), pair, skew(share), skew(edge))

    def of_images(self, rows: Int[Tensor, " K"]) -> "Skewed":
        """Return the problems of some of the images, as new tensors."""
        return self._replace(unary=self.unary[..., rows], pair=self.pair[..., rows])


def skew(values: Float[Tensor, "B n n L"]) -> Float[Tensor, "D L n B"]:
    """Return values by antidiagonal: [r+c, :, r, :] = values[:, r, c, :], zero elsewhere."""
    n = values.shape[1]
    row, col = torch.arange(n, device=values.device)[:, None], torch.arange(n, device=values.device)
    out = values.new_zeros(2 * n - 1, n, values.shape[-1], len(values))
    out[row + col, row] = values.permute(1, 2, 3, 0)
    return out.transpose(1, 2).contiguous()


def unskew(values: Int[Tensor, "D n B"]) -> Int[Tensor, "B n n"]:
    """Return [B,n,n] from values by antidiagonal."""
    n = values.shape[1]
    row, col = torch.arange(n, device=values.device)[:, None], torch.arange(n, device=values.device)
    return values[row + col, row].permute(2, 0, 1)


def pass_ahead(skewed: Skewed, ahead: Tensor, back: Tensor) -> None:
    """Update, in place, the messages right and down, one antidiagonal after the other (TRW-S, forward pass).

    Args:
        ahead, back: [D,2,L,n,B], the messages along and against both edges ahead of the node at [d,...,r].
    """
    for d in range(len(ahead) - 1):
        belief = skewed.unary[d] + back[d].sum(dim=0)
        if d > 0:
            belief += ahead[d - 1, 0]
            belief[:, 1:] += ahead[d - 1, 1, :, :-1]
        send = belief * skewed.share[d] - back[d]  # [2,L,n,B]
        message = (send[:, None] + skewed.pair[d]).amin(dim=2)  # pair is symmetric in its labels
        ahead[d] = message - message.amin(dim=1, keepdim=True)  # their least entry is zero, so that they stay small


def pass_back(skewed: Skewed, ahead: Tensor, back: Tensor) -> Float[Tensor, " B"]:
    """Update, in place, the messages left and up (TRW-S, backward pass); return a bound that no energy is below."""
    bound = torch.zeros_like(skewed.unary[0, 0, 0])
    for d in range(len(back) - 1, -1, -1):
        belief = skewed.unary[d] + back[d].sum(dim=0)
        if d > 0:
            belief += ahead[d - 1, 0]
            belief[:, 1:] += ahead[d - 1, 1, :, :-1]
        least = belief.amin(dim=0)  # [n,B]
        bound += least.sum(dim=0)
        if d > 0:
            belief = (belief - least) * skewed.share[d]
            below = F.pad(belief[:, 1:], (0, 0, 0, 1))  # the node that edge 1 leads to is one row further down
            send = torch.stack([belief, below]) - ahead[d - 1]
            message = (send[:, None] + skewed.pair[d - 1]).amin(dim=2)
            least = message.amin(dim=1)  # [2,n,B]
            back[d - 1] = message - least[:, None]
            bound += (least * skewed.edge[d - 1]).sum(dim=(0, 1))
    return bound


def read_off(skewed: Skewed, back: Tensor) -> Int[Tensor, "B n n"]:
    """Return labels: every node's best, given the labels before it and the messages from behind it."""
    chosen: list[Tensor] = []
    behind = torch.zeros_like(skewed.unary[0])
    for d in range(len(skewed.unary)):
        label = (skewed.unary[d] + back[d].sum(dim=0) + behind).argmin(dim=0)  # [n,B]
        chosen.append(label)
        index = label[None, None, None].expand(2, 1, *behind.shape)
        right, down = skewed.pair[d].gather(1, index)[:, 0]  # [L,n,B] each: cost of the next label, given this one
        behind = right + F.pad(down[:, :-1], (0, 0, 1, 0))
    return unskew(torch.stack(chosen))


def polish(labels: Int[Tensor, "B n n"], grid: LabelProblem, rounds: int = 2) -> Int[Tensor, "B n n"]:
    """Return labels after `rounds` of best single changes, the black and the white squares of a chessboard in turn."""
    n, count = grid.unary.shape[1], grid.unary.shape[-1]
    row = torch.arange(n, device=labels.device)
    black = (row[:, None] + row) % 2 == 0
    distance = label_distance(count, labels.device)
    for colour in (black, ~black) * rounds:
        labels = torch.where(colour, (grid.unary + neighbour_cost(distance[labels], grid)).argmin(dim=-1), labels)
    return labels


def neighbour_cost(distance: Float[Tensor, "B n n L"], grid: LabelProblem) -> Float[Tensor, "B n n L"]:
    """Return what every label of a node would pay to the node's neighbours, given their distance to every label."""
    down, right = grid.down[..., None], grid.right[..., None]
    cost = F.pad(down * distance[:, 1:], (0, 0, 0, 0, 0, 1)) + F.pad(down * distance[:, :-1], (0, 0, 0, 0, 1, 0))
    return cost + F.pad(right * distance[:, :, 1:], (0, 0, 0, 1)) + F.pad(right * distance[:, :, :-1], (0, 0, 1, 0))
