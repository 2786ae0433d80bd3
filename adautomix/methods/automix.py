"""AutoMix: a small network learns where to mix, from the features of a momentum teacher.

Liu et al.: "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", ECCV 2022, and its released code.
What a reader gets wrong: generator and student are given different mixes of the same batch, and the student's are
detached, so the student's loss never trains the generator.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.methods.base import Context, Draws, MixMethod, StepOutput, check_alpha
from adautomix.methods.ops.losses import mask_penalty, soft_cross_entropy
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
from adautomix.models.generator import Mode, Scale, append_lam, attend, init_projection, reduced, upsample
from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class GeneratorDraws(Draws):
    """Draws of the student's mix (`index`, `lam`), and beside them those of the generator's own mix.

    AdAutoMix: with more than two images both mixes have the same lam; in `paper` they are one mix, lam and index.
    """

    index_generator: Int[Tensor, "N B"] | None = None
    lam_generator: Float[Tensor, "B N"] | None = None


@dataclass(frozen=True)
class Look:
    """The clean teacher pass: `tap` [B,C,h,w], `mix` logits [B,K] or None, and its BatchNorm update, to be repeated."""

    tap: Float[Tensor, "B C h w"]
    mix: Float[Tensor, "B K"] | None
    statistics: RunningStatistics


class AutoMixBlock(nn.Module):
    """AutoMix's generator: one projection serves query and key, and only the second image has values.

    mask_1 = sigmoid(upsample(softmax(q_0 k_1^T / sqrt(d)) v_1)), mask_0 = 1 - mask_1. Arguments as for MixBlock.
    """

    def __init__(self, channels: int, reduction: int = 2, lam_channel: bool = False) -> None:
        super().__init__()
        self.lam_channel = lam_channel
        self.query = nn.Conv2d(channels + lam_channel, reduced(channels, reduction), 1)
        self.value = nn.Conv2d(channels + lam_channel, 1, 1)
        for conv in (self.query, self.value):
            init_projection(conv)

    def forward(
        self,
        features: Float[Tensor, "2 B C h w"],
        lam: Float[Tensor, "B 2"] | Float[Tensor, " 2"],
        scale: Scale,
        mode: Mode = "nearest",
    ) -> Float[Tensor, "B 2 H W"]:
        """Return the masks of both slots, which sum to 1 at every pixel, in float32."""
        z = append_lam(features, lam) if self.lam_channel else features
        query, key = self.query(z.flatten(0, 1)).flatten(2).transpose(1, 2).chunk(2)  # [B,P,d] each
        value = self.value(z[1]).flatten(1)  # [B,P]
        with torch.autocast(z.device.type, enabled=False):
            logits = (attend(query.float(), key.float()) @ value.float()[..., None])[..., 0]
        second = upsample(logits[:, None].unflatten(-1, z.shape[-2:]), scale, mode).sigmoid()
        return torch.cat([1 - second, second], dim=1)


class AutoMix(MixMethod):
    """Two images mixed by masks that a generator learns to make easy for the teacher.

    Student: CE(one head, x) + mixCE(mix head, x_mix). Generator: mixCE(teacher's mix head) + mask_penalty * penalty.
    Each step makes one clean and one mixed teacher pass.

    Args:
        channels: of the classifier's tap.
        alpha: Beta parameter of lam (2).
        margin: if lam_0 <= margin or 1 - lam_0 <= margin, the student's masks are the constants lam (0.08).
        mode: how masks are enlarged (nearest on CIFAR).
        reduction, lam_channel: of the generator; the lam channel is off on CIFAR and Tiny-ImageNet.
        mask_penalty: weight of the penalty that ties a mask's area to lam.
    """

    heads = ("one", "mix")
    runs_teacher = True
    n_mix = 2

    def __init__(
        self,
        channels: int,
        *,
        alpha: float = 2.0,
        margin: float = 0.08,
        mode: str = "nearest",
        reduction: int = 2,
        lam_channel: bool = False,
        mask_penalty: float = 0.1,
    ) -> None:
        self.alpha, self.margin, self.mode, self.mask_penalty = check_alpha(alpha), margin, mode, mask_penalty
        if not 0 <= margin < 0.5:
            raise UserError(f"margin must be in [0,0.5), got {margin}")
        if mask_penalty < 0:
            raise UserError(f"mask_penalty must be zero or more, got {mask_penalty}")
        if mode not in ("nearest", "bilinear"):
            raise UserError(f"mode must be nearest or bilinear, got {mode!r}")
        self.generator = self.make_generator(channels, reduction, lam_channel)

    def make_generator(self, channels: int, reduction: int, lam_channel: bool) -> nn.Module:
        """Return a new generator."""
        return AutoMixBlock(channels, reduction, lam_channel)

    @classmethod
    def build(cls, student: nn.Module, **options: Any) -> "AutoMix":
        """Return a method whose generator fits the student's tap and is on its device."""
        method = super().build(student, **options)
        method.generator.to(student.mean.device)
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
        """Return two independent draws of lam and of the partner images; slot 0 is the batch itself."""
        lam, lam_generator = (sample_lam(batch_size, 2, self.alpha, ctx.rng) for _ in range(2))
        index, index_generator = (draw_index(batch_size, 2, ctx.rng) for _ in range(2))
        return GeneratorDraws(index, lam, index_generator, lam_generator)

    def step(self, x: Tensor, y: Tensor, ctx: Context, draws: GeneratorDraws | None = None) -> StepOutput:
        """Return the student's and the generator's loss; `mixed` holds the generator's mix, then the student's."""
        draws = self.draw(len(x), ctx) if draws is None else draws
        targets = ctx.targets(y)
        clean = self.look(x, ctx)
        made = self.mix_with(x, targets, clean.tap, draws.index_generator, draws.lam_generator)
        shown = self.shown_to_student(x, targets, clean.tap, made, draws)
        terms = self.student_terms(x, targets, shown, ctx) | self.generator_terms(made, clean, ctx)
        losses = {"student": self.student_loss(terms), "generator": self.generator_loss(terms, ctx.step)}
        mixed = (made.detach(), shown.detach())
        gauges = {"mask_entropy": mask_entropy(mixed[0].mask), "mask_area_gap": mask_area_gap(mixed[0].mask, made.lam)}
        return StepOutput(losses, {k: v.detach() for k, v in terms.items()}, mixed, draws, gauges)

    @torch.no_grad()
    def look(self, x: Tensor, ctx: Context) -> Look:
        """Return what the teacher sees in the clean batch: its tap, and its mix logits where the step needs them."""
        statistics = RunningStatistics(ctx.teacher)
        out = ctx.teacher(x, heads=self.teacher_heads(ctx.step), tap=True)
        statistics.record()
        return Look(out.tap, out.logits.get("mix"), statistics)

    def teacher_heads(self, step: int) -> tuple[str, ...]:
        """Return the heads the clean teacher pass needs at a step: none, only its features are used."""
        return ()

    def mix_with(self, x: Tensor, targets: Tensor, tap: Tensor, index: Tensor, lam: Tensor) -> Mixed:
        """Return the generator's mix of a batch, with its graph."""
        features = tap[index.to(tap.device, non_blocking=True)]  # [N,B,C,h,w]
        mask = self.generator(features, lam.to(tap.device, non_blocking=True), self.scale(x, tap), self.mode)
        return mixed_from_mask(x, targets, index, mask, lam)

    @staticmethod
    def scale(x: Tensor, tap: Tensor) -> Scale:
        """Return how much larger the images are than the tap: a factor, or their size where it is not whole."""
        (height, width), (h, w) = x.shape[-2:], tap.shape[-2:]
        return float(height // h) if height % h == width % w == 0 and height * w == width * h else (height, width)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: GeneratorDraws) -> Mixed:
        """Return the mix that the student is shown, detached; makes a teacher pass of its own."""
        with torch.no_grad():
            tap = ctx.teacher(x, heads=(), tap=True).tap
        return self.student_mix(x, ctx.targets(y), tap, draws)

    @torch.no_grad()
    def student_mix(self, x: Tensor, targets: Tensor, tap: Tensor, draws: GeneratorDraws) -> Mixed:
        """Return the student's own mix, detached; with constant masks where the margin says so."""
        if self.too_lopsided(draws.lam):
            return mixed_from_lam(x, targets, draws.index, draws.lam)
        return self.mix_with(x, targets, tap, draws.index, draws.lam)

    def shown_to_student(self, x: Tensor, targets: Tensor, tap: Tensor, made: Mixed, draws: GeneratorDraws) -> Mixed:
        """Return the student's mix; `made` is the generator's, which is another one here."""
        return self.student_mix(x, targets, tap, draws)

    def too_lopsided(self, lam: Tensor) -> bool:
        """Return whether lam_0 is within the margin of 0 or 1; only the first share is looked at."""
        first = float(lam[0, 0])
        return first <= self.margin or 1 - first <= self.margin

    def student_terms(self, x: Tensor, targets: Tensor, shown: Mixed, ctx: Context) -> dict[str, Tensor]:
        """Return the student's loss terms.

        The passes stay apart, and in the released order: BatchNorm's running statistics weigh the last batch most.
        """
        return {
            "student_clean": self.student_term(x, targets, "one", ctx),
            "student_mixed": self.student_term(shown.x, shown.y, "mix", ctx),
        }

    @staticmethod
    def student_term(x: Tensor, targets: Tensor, head: str, ctx: Context) -> Tensor:
        """Return the student's cross-entropy on one batch, from one head."""
        return soft_cross_entropy(ctx.student(x, heads=(head,)).logits[head], targets)

    def student_loss(self, terms: dict[str, Tensor]) -> Tensor:
        """Return CE(one) + mixCE(mix)."""
        return terms["student_clean"] + terms["student_mixed"]

    def generator_terms(self, made: Mixed, clean: Look, ctx: Context) -> dict[str, Tensor]:
        """Return the teacher's cross-entropy on the generator's mix, and the penalty on its masks."""
        logits = ctx.teacher(made.x, heads=("mix",)).logits["mix"]
        penalty = self.mask_penalty * mask_penalty(made.mask, made.lam)
        return {"teacher_mixed": soft_cross_entropy(logits, made.y), "mask_penalty": penalty}

    def generator_loss(self, terms: dict[str, Tensor], step: int) -> Tensor:
        """Return what the generator minimises: masks that the teacher finds easy, of the right area."""
        return terms["teacher_mixed"] + terms["mask_penalty"]
