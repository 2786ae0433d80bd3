"""AdAutoMix: a generator that makes mixed images hard, kept in check by a teacher and by cosine agreement.

Qin et al.: "Adversarial AutoMixup", ICLR 2024, Eq. 1-4, and its released code. What a reader gets wrong: the paper's
Eq. 4 and the released code are two objectives. Both are here, by name; `released` is what the published numbers used.
A third, `cooperative`, is neither: it leaves the adversary out, to see what it adds.
"""

from dataclasses import replace

import torch
from torch import Tensor

from adautomix.methods.base import StepOutput
from adautomix.methods.context import Context
from adautomix.methods.learned import (
    GeneratorDraws,
    GeneratorMethod,
    cross_entropy_of,
    step_output,
    teacher_pass,
)
from adautomix.methods.ops.losses import cosine_agreement, soft_cross_entropy
from adautomix.methods.ops.mixing import blend, draw_index, require_batch, sample_lam
from adautomix.models.generator import MixBlock
from adautomix.utils.errors import UserError

OBJECTIVES = ("released", "paper", "cooperative")


class AdAutoMix(GeneratorMethod):
    """N images mixed by masks that a generator learns to make hard for the student (or, as released, the teacher).

    Student: L_amce + (1 - alpha_loss) L_ace + alpha_loss L_mce (Eq. 3); with two images L_amce + L_ace, as released.
    Generator, `paper` (Eq. 4), every step: maximise L_amce(student) - beta L_amce(teacher) + (1 - beta) L_cosine.
    Generator, `released`: every `adversarial_interval`-th step (0, 2, ...) minimise -beta L_amce(teacher) +
    (1 - beta) L_cosine, at the others L_amce(teacher). Both remaining signs are the opposite of Eq. 4's.
    Generator, `cooperative`: minimise L_amce(teacher) at every step, AutoMix's aim; no cosine, and beta plays no part.

    Args:
        channels: of the classifier's tap.
        n_mix: images mixed, N (3).
        random_n: draw N in 2..n_mix at every step (transformers).
        alpha: Beta parameter of lam (1).
        beta: weight of the adversarial term (0.3 CIFAR, 0.4 Tiny-ImageNet, 0.1 ImageNet).
        alpha_loss: weight of L_mce against L_ace (0.5).
        margin: if lam_0 is within it of 0 or 1, the student's masks are the constants lam (0.03).
        objective: "released", "paper" or "cooperative".
        adversarial_interval: of `released`.
        switch_off: if not 0, the probability with which a step trains the generator at all; the student sees its masks
            as ever. So does OpenMixup's code where no hook anneals that probability, as in the released runs; in spite
            of the name, nothing is switched off at once.
        mode: how masks are enlarged: bilinear (CNNs) or nearest (transformers).
        reduction, lam_channel: of the generator, see MixBlock.
        activation, norm: of the generator, see MixBlock; "none" switches it off.
    """

    def __init__(
        self,
        channels: int,
        *,
        n_mix: int = 3,
        random_n: bool = False,
        alpha: float = 1.0,
        beta: float = 0.3,
        alpha_loss: float = 0.5,
        margin: float = 0.03,
        objective: str = "released",
        adversarial_interval: int = 2,
        switch_off: float = 0.0,
        mode: str = "bilinear",
        reduction: int = 2,
        lam_channel: bool = False,
        activation: str = "relu",
        norm: str = "none",
    ) -> None:
        off = {"none": None}
        block = MixBlock(channels, reduction, lam_channel, off.get(norm, norm), off.get(activation, activation))
        super().__init__(block, alpha, margin, mode)
        if n_mix < 2 or adversarial_interval < 1:
            raise UserError(f"need n_mix >= 2, adversarial_interval >= 1; got {n_mix=}, {adversarial_interval=}")
        if not (0 <= beta <= 1 and 0 <= alpha_loss <= 1):
            raise UserError(f"beta and alpha_loss must be in [0,1], got {beta} and {alpha_loss}")
        if objective not in OBJECTIVES:
            raise UserError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")
        if not 0 <= switch_off <= 1:
            raise UserError(f"switch_off must be in [0,1], got {switch_off}")
        if switch_off and objective == "paper":
            raise UserError("switch_off does not go with objective='paper': one mix trains student and generator there")
        self.n_mix, self.random_n, self.beta, self.alpha_loss = n_mix, random_n, beta, alpha_loss
        self.objective, self.adversarial_interval, self.switch_off = objective, adversarial_interval, switch_off

    def draw(self, batch_size: int, ctx: Context) -> GeneratorDraws:
        """Return lam and index of both mixes: for N=2 as in AutoMix; for more, one lam and every slot permuted.

        The `paper` objective shows the student the generator's own batch, so there is one mix only.
        """
        n = int(torch.randint(2, self.n_mix + 1, (), generator=ctx.rng)) if self.random_n else self.n_mix
        if n == 2:
            draws = super().draw(batch_size, ctx)
        else:
            lam = sample_lam(batch_size, n, self.alpha, ctx.rng)
            index, other = (draw_index(batch_size, n, ctx.image_rng, keep_first=False) for _ in range(2))
            draws = GeneratorDraws(index, lam, other, lam)
        if self.objective == "paper":
            draws = replace(draws, index_generator=draws.index, lam_generator=draws.lam)
        if self.switch_off:
            trains = float(torch.rand((), generator=ctx.rng)) < self.switch_off
            draws = replace(draws, trains_generator=trains)
        return draws

    def decided(self, draws: GeneratorDraws, step: int) -> GeneratorDraws:
        """Return the draws with `constant` and `adversarial` filled in."""
        return replace(super().decided(draws, step), adversarial=self.adversarial(step))

    def adversarial(self, step: int) -> bool:
        """Return whether a step uses the adversarial loss: every one, every `adversarial_interval`-th, or none."""
        if self.objective == "released":
            return step % self.adversarial_interval == 0
        return self.objective == "paper"

    def step(self, x: Tensor, y: Tensor, ctx: Context, draws: GeneratorDraws | None = None) -> StepOutput:
        """Return the student's and the generator's loss; `mixed` holds the generator's mix, then the student's."""
        require_batch(x, y)
        draws = self.draw(len(x), ctx) if draws is None else draws
        targets = ctx.targets(y)
        adversarial = self.adversarial(ctx.step) if draws.adversarial is None else draws.adversarial

        # Mix the batch by masks from what the teacher sees in it; the cosine needs its clean logits, too.
        clean_pass = teacher_pass(ctx.teacher, x, heads=("mix",) if adversarial and draws.trains_generator else ())
        generator_mix = self.mix_by_masks(x, targets, clean_pass.tap, draws.index_generator, draws.lam_generator)
        if self.objective == "paper" and not self.constant(draws):
            # One mix for both: the student's loss trains the student downhill and the generator uphill.
            student_mix = replace(generator_mix, x=ReverseGradient.apply(generator_mix.x))
        else:
            student_mix = self.mix_for_student(x, targets, clean_pass.tap, draws)  # detached

        # Minimise over the student (Eq. 3): L_ace, L_mce and L_amce. The passes stay apart and in this, the released,
        # order: BatchNorm's running statistics weigh the last batch most.
        terms = {"student_clean": cross_entropy_of(ctx.student, x, targets, "one")}
        if draws.lam.shape[1] > 2:
            plain = blend(x, student_mix.index, student_mix.lam)  # with the same labels
            terms["student_plain"] = cross_entropy_of(ctx.student, plain, student_mix.y, "mix")
        terms["student_mixed"] = cross_entropy_of(ctx.student, student_mix.x, student_mix.y, "mix")

        student = self.student_loss(terms)
        if not draws.trains_generator:
            return step_output(student, None, terms, generator_mix, student_mix, draws)

        # Move the generator (Eq. 4): L_amce of the teacher and L_cosine.
        logits = ctx.teacher(generator_mix.x, heads=("mix",)).logits["mix"]
        terms["teacher_mixed"] = soft_cross_entropy(logits, generator_mix.y)
        if adversarial:
            terms["cosine"] = cosine_agreement(logits, clean_pass.mix, generator_mix.index, generator_mix.lam)
        # The released code passes the clean images through the teacher N more times here, for the cosine: the same
        # logits, but N more updates of its BatchNorm statistics, if they are its own.
        clean_pass.statistics.repeat(draws.lam.shape[1])

        return step_output(student, self.generator_loss(terms), terms, generator_mix, student_mix, draws)

    def student_loss(self, terms: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the summands of Eq. 3's minimum over the classifier; with two images no L_mce, as released."""
        if "student_plain" not in terms:
            return terms["student_mixed"], terms["student_clean"]
        clean, plain = terms["student_clean"], terms["student_plain"]
        return terms["student_mixed"], self.alpha_loss * plain, (1 - self.alpha_loss) * clean

    def generator_loss(self, terms: dict[str, Tensor]) -> Tensor:
        """Return what the generator minimises; the student's term of `paper` comes through the gradient reversal."""
        if "cosine" not in terms:
            return terms["teacher_mixed"]
        sign = 1 if self.objective == "paper" else -1
        return sign * (self.beta * terms["teacher_mixed"] - (1 - self.beta) * terms["cosine"])


class ReverseGradient(torch.autograd.Function):
    """Identity whose gradient has the other sign: what trains the student downhill trains the generator uphill."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Return x as it is."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        """Return the gradient negated."""
        return -grad
