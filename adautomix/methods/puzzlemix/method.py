"""Puzzle Mix: a mask over blocks that shows what is salient in both images, and blocks moved so that it shows more.

Kim, Choo and Song: "Puzzle Mix: Exploiting Saliency and Local Statistics for Optimal Mixup", ICML 2020, and its
released code (snu-mllab/PuzzleMix: mixup.py for the method; README.md and main.py for the values, CIFAR-100).
lam is only wished for. It enters the prior of the labelling, and the label's shares are the
areas of the mask that comes out. Transport changes the images, never the mask, so it never changes the label.
"""

from dataclasses import dataclass
from math import gcd
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adautomix.methods.base import Draws, MixMethod, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed, blend, draw_index, sample_lam
from adautomix.methods.ops.saliency import gradient_saliency
from adautomix.methods.puzzlemix.exact import solve_exactly
from adautomix.methods.puzzlemix.solver import LabelProblem, solve_labels
from adautomix.methods.puzzlemix.terms import block_shares, enlarge, negative_log_binomial, seam_differences
from adautomix.methods.puzzlemix.transport import move_blocks, transport
from adautomix.models.modes import unwrapped
from adautomix.utils.errors import UserError

SOLVERS = {"trws": solve_labels, "exact": solve_exactly}
MAX_CELLS = 16
"""Most cells a side that transport moves; the released code has cost matrices for 2, 4, 8 and 16 only."""


@dataclass(frozen=True)
class PuzzleDraws(Draws):
    """`blocks`: how many blocks a side the images are cut into, if their sides allow it (`PuzzleMix.grid`)."""

    blocks: int = 2


class PuzzleMix(MixMethod):
    """Each block comes from x, from x[index], or is a blend of both; salient blocks are moved to where they show.

    Args:
        alpha: Beta parameter of lam (1).
        per_sample: draw lam for every image instead of every batch (released: one a batch).
        max_blocks: blocks a side are 2, 4, 8 or 16, drawn for every batch, up to this (16: 2**randint(1, 5)).
        n_labels: 2 to 4 values that a block's mask can have, evenly spaced from 0 to 1 (3).
        beta: label smoothness, price of neighbours with different labels (1.2); divided by 16 blocks.
        gamma: data local smoothness, the share of that price which follows from the seams' colours (0.5); at most 1,
            above which a seam could be paid for.
        eta: weight of the prior, -log Binomial(lam), that pulls the mask's area to lam (0.2).
        neigh_size: px, side of the squares whose mean colours are compared along a seam (4).
        transport: move blocks.
        t_size: px, side of what is moved (4, README; -1, main.py's own default: whole blocks).
        t_eps: price of moving, per squared distance in units of the image (0.8).
        solver: of the labelling: trws, batched, on the images' device, within 0.5 % of a bound for nearly all images;
            or exact, by minimum cut, image by image on the CPU. (Released: alpha-beta swap, a local minimum.)
    """

    asks_student = True

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        per_sample: bool = False,
        max_blocks: int = 16,
        n_labels: int = 3,
        beta: float = 1.2,
        gamma: float = 0.5,
        eta: float = 0.2,
        neigh_size: int = 4,
        transport: bool = True,
        t_size: int = 4,
        t_eps: float = 0.8,
        solver: str = "trws",
    ) -> None:
        self.alpha, self.per_sample, self.max_blocks = check_alpha(alpha), per_sample, max_blocks
        self.n_labels, self.beta, self.gamma, self.eta = n_labels, beta, gamma, eta
        self.neigh_size, self.transport, self.t_size, self.t_eps = neigh_size, transport, t_size, t_eps
        self.solver = solver
        self.check()

    def check(self) -> None:
        """Raise UserError for an option out of range."""
        if self.max_blocks not in (2, 4, 8, 16):
            raise UserError(f"max_blocks must be 2, 4, 8 or 16, got {self.max_blocks}")
        if self.solver not in SOLVERS:
            raise UserError(f"solver must be {' or '.join(SOLVERS)}, got {self.solver!r}")
        if self.n_labels not in (2, 3, 4):
            raise UserError(f"n_labels must be 2, 3 or 4, got {self.n_labels}")
        if min(self.beta, self.eta, self.t_eps) < 0 or not 0 <= self.gamma <= 1:
            got = f"{self.beta}, {self.eta}, {self.t_eps} and {self.gamma}"
            raise UserError(f"beta, eta and t_eps must be zero or more and gamma in [0,1], got {got}")
        if self.neigh_size < 1 or (self.t_size < 1 and self.t_size != -1):
            raise UserError(
                f"neigh_size and t_size are px, 1 or more (t_size also -1), got {self.neigh_size} and {self.t_size}"
            )

    def draw(self, batch_size: int, ctx: Context) -> PuzzleDraws:
        """Return lam, one permutation of the batch, and the number of blocks."""
        lam = sample_lam(batch_size, 2, self.alpha, ctx.rng_for(self.per_sample), per_sample=self.per_sample)
        power = int(torch.randint(1, self.max_blocks.bit_length(), (), generator=ctx.rng))
        return PuzzleDraws(draw_index(batch_size, 2, ctx.image_rng), lam, 2**power)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: PuzzleDraws) -> Mixed:
        """Return the mix; looks at the student's gradients (`gradient_saliency`), which leaves no trace in it."""
        targets = ctx.targets(y)
        return self.mix_salient(x, targets, gradient_saliency(unwrapped(ctx.student), x, targets), draws)

    @torch.no_grad()
    def mix_salient(
        self, x: Float[Tensor, "B C H W"], targets: Float[Tensor, "B K"], saliency: Tensor, draws: PuzzleDraws
    ) -> Mixed:
        """Return the mix for given saliency maps [B,H,W], of any scale."""
        index = draws.index.to(x.device, non_blocking=True)
        blocks = self.grid(draws.blocks, x)
        labels = SOLVERS[self.solver](self.problem(x, saliency, index[1], draws.lam.to(x.device), blocks))
        first = labels.to(x.dtype) / (self.n_labels - 1)  # [B,n,n], the share of slot 0
        images = x, x[index[1]]
        if self.transport:
            images = self.moved(images, (saliency, saliency[index[1]]), (first, 1 - first))
        mask = enlarge(first, x.shape[-2] // blocks, x.shape[-1] // blocks)
        mixed = torch.lerp(images[1], images[0], mask[:, None])
        both = torch.stack([mask, 1 - mask], dim=1)
        lam = both.mean(dim=(2, 3))
        return Mixed(mixed, blend(targets, index, lam), lam, index, both)

    @classmethod
    def build(cls, student: nn.Module, **options: Any) -> "PuzzleMix":
        """Return the method; raises UserError as others do, and for images that cannot be cut into equal blocks."""
        method = super().build(student, **options)
        cls.grid(2, torch.empty(1, 1, *unwrapped(student).image_size))  # the coarsest cut is the easiest
        return method

    @staticmethod
    def grid(blocks: int, x: Float[Tensor, "B C H W"]) -> int:
        """Return how many blocks a side images are cut into: the largest divisor of `blocks` that divides both sides.

        Raises: UserError if that is 1.
        """
        height, width = x.shape[-2:]
        if (fitting := gcd(blocks, height, width)) == 1:
            raise UserError(
                f"puzzlemix cuts images into 2 to 16 equal blocks a side, not possible at {height}x{width} px"
            )
        return fitting

    def problem(self, x: Tensor, saliency: Tensor, partner: Tensor, lam: Tensor, n: int) -> LabelProblem:
        """Return the labelling problem of a batch; label i shows slot 0 with share i / (n_labels - 1).

        A block that is not shown costs its saliency, a seam costs the difference of the colours that meet there.
        That difference is bilinear in the shares of both blocks; as in the released `mixup_graph`, it is split into
        what each block pays alone, linear in its share, and a weight for the squared difference of shares. For two
        labels this is the bilinear form but for a constant; blends it charges a little differently.
        """
        beta = self.beta / (16 * n)
        own = block_shares(saliency, n)
        cost = torch.stack([own, own[partner]])  # [2,B,n,n]: what showing only slot 1, only slot 0, costs
        weights = []
        for dim in (1, 2):  # seams below blocks, seams to their right
            seams = beta * self.gamma * seam_differences(x, partner, n, self.neigh_size, dim)  # [2,2,B,...]
            ahead, behind = seams.mean(dim=1), seams.mean(dim=0)  # by the slot of the block before, after the seam
            cost.narrow(dim + 1, 0, n - 1).add_(ahead.flip(0))
            cost.narrow(dim + 1, 1, n - 1).add_(behind.flip(0))
            weights.append(beta + (seams[0, 1] + seams[1, 0] - seams[0, 0] - seams[1, 1]) / 2)
        share = torch.linspace(0, 1, self.n_labels, device=x.device)
        unary = cost[0, ..., None] * (1 - share) + cost[1, ..., None] * share
        prior = self.eta * negative_log_binomial(lam[:, 0], self.n_labels) / n**2
        return LabelProblem(unary + prior[:, None, None], *weights)

    def moved(
        self, images: tuple[Tensor, ...], saliency: tuple[Tensor, ...], masks: tuple[Tensor, ...]
    ) -> list[Tensor]:
        """Return each slot's images, their cells moved to where the slot's mask [B,n,n] shows them."""
        n = masks[0].shape[-1]
        split = self.cells_per_block(n, *images[0].shape[-2:])
        sources = [
            transport(block_shares(s, n * split), enlarge(mask, split, split) > 0, self.t_eps)
            for s, mask in zip(saliency, masks, strict=True)
        ]
        return [move_blocks(x, source, n * split) for x, source in zip(images, sources, strict=True)]

    def cells_per_block(self, n: int, height: int, width: int) -> int:
        """Return into how many cells a side a block is cut for transport: cells of t_size px or more, 16 a side."""
        both = gcd(height // n, width // n)
        most = 1 if self.t_size == -1 else min(both // self.t_size, MAX_CELLS // n)
        return max((k for k in range(1, most + 1) if both % k == 0), default=1)
