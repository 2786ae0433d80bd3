"""What AutoMix and AdAutoMix share: a generator of masks, trained beside the student on a teacher's features.

A step draws, looks at the clean batch through the teacher, and mixes it twice: once with a graph, to train the
generator, and once without, to train the student.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.methods.base import Draws, MixMethod, StepOutput, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.losses import soft_cross_entropy
from adautomix.methods.ops.mixing import (
    Mixed,
    draw_index,
    mask_area_gap,
    mask_entropy,
    mixed_from_lam,
    mixed_from_mask,
    sample_lam,
)
from adautomix.models.ema import RunningStatistics
from adautomix.models.generator import scale_to
from adautomix.models.modes import buffers_kept, unwrapped
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import same_random_state


@dataclass(frozen=True)
class GeneratorDraws(Draws):
    """Draws of the student's mix (`index`, `lam`), and beside them those of the generator's own mix.

    AdAutoMix: with more than two images both mixes have the same lam; in `paper` they are one mix, lam and index.
    `constant`: whether the student's masks are the constants lam; None: lam is looked at. `adversarial`: whether
    AdAutoMix's generator has its adversarial loss; None: the number of the step tells. `trains_generator`: whether
    AdAutoMix's generator has a loss at all.
    """

    index_generator: Int[Tensor, "N B"] | None = None
    lam_generator: Float[Tensor, "B N"] | None = None
    constant: bool | None = None
    adversarial: bool | None = None
    trains_generator: bool = True


@dataclass(frozen=True)
class TeacherPass:
    """The teacher's clean pass: `tap` [B,C,h,w], `mix` logits [B,K] or None, and its update of BatchNorm."""

    tap: Float[Tensor, "B C h w"]
    mix: Float[Tensor, "B K"] | None
    statistics: RunningStatistics


@torch.no_grad()
def teacher_pass(teacher: nn.Module, x: Float[Tensor, "B C H W"], heads: tuple[str, ...] = ()) -> TeacherPass:
    """Return what the teacher sees in the clean batch: its tap, and its mix logits if that head is asked for."""
    statistics = RunningStatistics(teacher)
    out = teacher(x, heads=heads, tap=True)
    statistics.record()
    return TeacherPass(out.tap, out.logits.get("mix"), statistics)


def cross_entropy_of(net: nn.Module, x: Tensor, targets: Tensor, head: str) -> Float[Tensor, ""]:
    """Return the cross-entropy of one pass through one head."""
    return soft_cross_entropy(net(x, heads=(head,)).logits[head], targets)


def within_margin(lam: Float[Tensor, "B N"], margin: float) -> bool:
    """Return whether lam_0 is within the margin of 0 or 1; the upper test is strict for N > 2, as released."""
    first = float(lam[0, 0])
    return first <= margin or (1 - first <= margin if lam.shape[1] == 2 else 1 - first < margin)


class GeneratorMethod(MixMethod):
    """A method with a generator; `alpha`, `margin` and `mode` as described in AutoMix."""

    heads = ("one", "mix")
    runs_teacher = True
    n_mix: int = 2

    def __init__(self, generator: nn.Module, alpha: float, margin: float, mode: str) -> None:
        self.generator, self.alpha, self.margin, self.mode = generator, check_alpha(alpha), margin, mode
        if not 0 <= margin < 0.5:
            raise UserError(f"margin must be in [0,0.5), got {margin}")
        if mode not in ("nearest", "bilinear"):
            raise UserError(f"mode must be nearest or bilinear, got {mode!r}")

    @classmethod
    def build(cls, student: nn.Module, **options: Any) -> "GeneratorMethod":
        """Return a method whose generator fits the student's tap and is on its device."""
        method = super().build(student, **options)
        method.generator.to(unwrapped(student).mean.device)
        return method

    @classmethod
    def init_args(cls, student: nn.Module) -> tuple[int, ...]:
        """Return the channels of the student's tap."""
        if student.tap_shape is None:
            raise UserError(f'{cls.__name__} reads hidden features: give the Classifier a tap, e.g. tap="layer3"')
        return (student.tap_shape[0],)

    def trainable_modules(self) -> dict[str, nn.Module]:
        """Return the generator."""
        return {"generator": self.generator}

    def draw(self, batch_size: int, ctx: Context) -> GeneratorDraws:
        """Return, for two images, independent draws of lam and partners for both mixes; slot 0 is the batch itself."""
        lam, lam_generator = (sample_lam(batch_size, 2, self.alpha, ctx.rng) for _ in range(2))
        index, index_generator = (draw_index(batch_size, 2, ctx.image_rng) for _ in range(2))
        return GeneratorDraws(index, lam, index_generator, lam_generator)

    def decided(self, draws: GeneratorDraws, step: int) -> GeneratorDraws:
        """Return the draws with `constant` filled in."""
        return replace(draws, constant=self.constant(draws))

    def constant(self, draws: GeneratorDraws) -> bool:
        """Return whether the student's masks are the constants lam, because lam_0 is within the margin of 0 or 1."""
        return within_margin(draws.lam, self.margin) if draws.constant is None else draws.constant

    def mix_by_masks(self, x: Tensor, targets: Tensor, tap: Tensor, index: Tensor, lam: Tensor) -> Mixed:
        """Return the mix of a batch by the generator's masks, with its graph (Eq. 1-2)."""
        features = tap[index.to(tap.device, non_blocking=True)]  # [N,B,C,h,w]
        mask = self.generator(features, lam.to(tap.device, non_blocking=True), scale_to(x, tap), self.mode)
        return mixed_from_mask(x, targets, index, mask, lam)

    @torch.no_grad()
    def mix_for_student(self, x: Tensor, targets: Tensor, tap: Tensor, draws: GeneratorDraws) -> Mixed:
        """Return the student's own mix, detached; within the margin its masks are the constants lam."""
        if self.constant(draws):
            return mixed_from_lam(x, targets, draws.index, draws.lam)
        return self.mix_by_masks(x, targets, tap, draws.index, draws.lam)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: GeneratorDraws) -> Mixed:
        """Return the mix that the student is shown, detached; makes a teacher pass of its own, and leaves no trace."""
        return mix_as_seen(self, x, x, y, ctx, draws)


@torch.no_grad()
def mix_as_seen(method: MixMethod, x: Tensor, seen: Tensor, y: Tensor, ctx: Context, draws: Draws) -> Mixed:
    """Return images mixed by masks from what the teacher sees in smaller ones of the same; for pictures.

    A network that learned on 32 px finds its way in 32 px; its masks may then mix the photograph itself.

    Args:
        x, seen: the same images [B,3,H,W] and [B,3,h,w]; a method without a generator looks at x alone.
    """
    if not isinstance(method, GeneratorMethod):
        return method.mix(x, y, ctx, draws)
    # A look at a mix must not train anything, nor change what is drawn after it.
    with buffers_kept(ctx.teacher, method.generator), same_random_state(x.device):
        tap = ctx.teacher(seen, heads=(), tap=True).tap
        return method.mix_for_student(x, ctx.targets(y), tap, draws)


def step_output(
    student: tuple[Tensor, ...],
    generator: Tensor | None,
    terms: dict[str, Tensor],
    generator_mix: Mixed,
    student_mix: Mixed,
    draws: GeneratorDraws,
) -> StepOutput:
    """Return the step's output: `mixed` holds the generator's mix, then the student's, and `metrics` tell of masks.

    Args:
        student: the summands of its loss, last pass first.
        generator: its loss; None where this step does not train it.
    """
    mixed = (generator_mix.detach(), student_mix.detach())
    mask, lam = mixed[0].mask, mixed[0].lam
    metrics = {"mask_entropy": mask_entropy(mask), "mask_area_gap": mask_area_gap(mask, lam)}
    losses = {"student": sum(student[1:], start=student[0])}
    if generator is not None:
        losses["generator"] = generator
    # Where the student is shown the generator's own mix, with its graph, the two losses have that in common.
    apart = {} if student_mix.x.requires_grad else {"student": student}
    return StepOutput(losses, terms, mixed, draws, metrics, apart)
