"""Notebook 03's game: generators trained for different aims against a student and a teacher that stand still.

All aims get the same batches and draws, so that whatever differs comes from the aim, or from the block.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adautomix.methods.ops.losses import cosine_agreement, mask_penalty, soft_cross_entropy
from adautomix.methods.ops.mixing import Mixed, draw_index, mask_entropy, mixed_from_mask, sample_lam
from adautomix.models.generator import AutoMixBlock, scale_to


@dataclass(frozen=True)
class Terms:
    """What an aim may look at: losses of student and teacher on the mix (nats), the cosine, and AutoMix's penalty.

    The penalty is of two images; of more it is 0.

    `odd`: whether the number of the step is odd, for aims that alternate.
    """

    student: Tensor
    teacher: Tensor
    cosine: Tensor
    penalty: Tensor
    odd: bool


Aim = Callable[[Terms], Tensor]


def mixed_by(block: nn.Module, x: Tensor, targets: Tensor, tap: Tensor, index: Tensor, lam: Tensor) -> Mixed:
    """Return the mix by a generator's masks, with its graph; an AutoMixBlock takes the first two slots.

    Args:
        block: MixBlock or AutoMixBlock, or any function (features [N,B,C,h,w], lam [B,N], scale) -> masks [B,N,H,W].
        x, targets, tap: a batch [B,3,H,W], its targets [B,K], and what the teacher sees in it [B,C,h,w].
        index, lam: [N,B] and [B,N]; two shares that are left of three are divided by their sum.
    """
    if isinstance(block, AutoMixBlock):
        index, lam = index[:2], lam[:, :2] / lam[:, :2].sum(dim=1, keepdim=True)
    return mixed_from_mask(x, targets, index, block(tap[index], lam, scale_to(x, tap)), lam)


def frozen_game(
    aims: Mapping[str, Aim],
    generators: Mapping[str, nn.Module],
    student: nn.Module,
    teacher: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    n_mix: int = 3,
    lr: float = 0.03,
    seed: int = 0,
) -> pd.DataFrame:
    """Train a generator for each aim, in place, uphill, and return one row per aim and step.

    Args:
        aims: by name, what a generator makes as large as it can.
        generators: by the same names; they see the teacher's tap.
        student, teacher: in eval mode, with the head `mix`; neither learns.
        batches: images in [0,1] and class ids; as many as there shall be steps.
    Returns: columns aim, step, gain (the student's loss above the entropy of the label, in nats), cosine, and entropy
        (of the masks, over its greatest value log N).
    """
    rng, rows = torch.Generator().manual_seed(seed), []
    optimizer = torch.optim.AdamW([p for block in generators.values() for p in block.parameters()], lr=lr)
    for step, (x, y) in enumerate(batches):
        index = draw_index(len(x), n_mix, rng, keep_first=False)
        lam = sample_lam(len(x), n_mix, 1.0, rng)
        with torch.no_grad():
            look = teacher(x, heads=("mix",), tap=True)
        targets = F.one_hot(y, look.logits["mix"].shape[1]).float()
        optimizer.zero_grad()
        for name, aim in aims.items():
            mix = mixed_by(generators[name], x, targets, look.tap, index, lam)
            terms = _terms(mix, student, teacher, look.logits["mix"], odd=bool(step % 2))
            (-aim(terms)).backward()
            gain = terms.student - torch.special.entr(mix.y).sum(dim=1).mean()
            entropy = mask_entropy(mix.mask.detach()).item() / math.log(len(mix.index))
            rows.append((name, step, gain.item(), terms.cosine.item(), entropy))
        optimizer.step()
    return pd.DataFrame(rows, columns=["aim", "step", "gain", "cosine", "entropy"])


def _terms(mix: Mixed, student: nn.Module, teacher: nn.Module, clean: Tensor, *, odd: bool) -> Terms:
    of_teacher = teacher(mix.x, heads=("mix",)).logits["mix"]
    of_student = student(mix.x, heads=("mix",)).logits["mix"]
    return Terms(
        soft_cross_entropy(of_student, mix.y),
        soft_cross_entropy(of_teacher, mix.y),
        cosine_agreement(of_teacher, clean, mix.index, mix.lam),
        mask_penalty(mix.mask, mix.lam) if len(mix.index) == 2 else torch.zeros(()),
        odd,
    )


@torch.no_grad()
def seen_by(teacher: nn.Module, x: Tensor) -> Tensor:
    """Return what a teacher sees in images [B,3,H,W]: its tap, mean over positions, brought to length 1, [B,C]."""
    return F.normalize(teacher(x, heads=(), tap=True).tap.mean(dim=(2, 3)))


def measures(mixes: list[Mixed], student: nn.Module, teacher: nn.Module, known: Tensor) -> dict[str, float]:
    """Return what mixes of the same images, for several draws of lam, could teach a student, and how varied they are.

    gain: the student's loss above the label's entropy (nats), what it could still learn. pull: length of its gradient.
    entropy: of the masks, over log N. variety: standard deviation of a pixel between the draws, mean over pixels; 0
    where lam changes nothing. near: cosine between the teacher's features of a mix and of the clean image nearest to
    it, mean over mixes; 1 where a mix is an image of the training set.

    Args:
        mixes: of the same images in the same slots, detached.
        student: its gradient is that of all weights that the head `mix` uses.
        known: what the teacher sees in the clean images that are looked through for `near`, see `seen_by`.
    """
    made = mixes[0]
    weights = [p for p in student.parameters() if p.requires_grad]
    loss = soft_cross_entropy(student(made.x, heads=("mix",)).logits["mix"], made.y)
    gradient = torch.autograd.grad(loss, weights, allow_unused=True)
    pull = torch.stack([g.norm() for g in gradient if g is not None]).norm()
    return {
        "gain": float(loss.detach() - torch.special.entr(made.y).sum(dim=1).mean()),
        "pull": float(pull),
        "entropy": float(mask_entropy(made.mask)) / math.log(len(made.index)),
        "variety": float(torch.stack([mix.x for mix in mixes]).std(dim=0, correction=0).mean()),
        "near": float((seen_by(teacher, made.x) @ known.T).amax(dim=1).mean()),
    }
