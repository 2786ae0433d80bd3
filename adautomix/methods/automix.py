"""AutoMix: a small network learns where to mix, from the features of a momentum teacher.

Liu et al.: "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", ECCV 2022, and its released code.
Generator and student are given different mixes of the same batch, and the student's are
detached, so the student's loss never trains the generator.
"""

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
from adautomix.methods.ops.losses import mask_penalty
from adautomix.methods.ops.mixing import require_batch
from adautomix.models.generator import AutoMixBlock
from adautomix.utils.errors import UserError


class AutoMix(GeneratorMethod):
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
        super().__init__(AutoMixBlock(channels, reduction, lam_channel), alpha, margin, mode)
        if mask_penalty < 0:
            raise UserError(f"mask_penalty must be zero or more, got {mask_penalty}")
        self.mask_penalty = mask_penalty

    def step(self, x: Tensor, y: Tensor, ctx: Context, draws: GeneratorDraws | None = None) -> StepOutput:
        """Return the student's and the generator's loss; `mixed` holds the generator's mix, then the student's."""
        require_batch(x, y)
        draws = self.draw(len(x), ctx) if draws is None else draws
        targets = ctx.targets(y)

        # Mix the batch twice, by masks from what the teacher sees in it.
        tap = teacher_pass(ctx.teacher, x).tap
        generator_mix = self.mix_by_masks(x, targets, tap, draws.index_generator, draws.lam_generator)
        student_mix = self.mix_for_student(x, targets, tap, draws)  # detached

        # The student learns the clean images and its mix. The passes stay apart and in this, the released, order:
        # BatchNorm's running statistics weigh the last batch most.
        clean = cross_entropy_of(ctx.student, x, targets, "one")
        mixed = cross_entropy_of(ctx.student, student_mix.x, student_mix.y, "mix")

        # The generator learns masks that the teacher finds easy, of the right area.
        easy = cross_entropy_of(ctx.teacher, generator_mix.x, generator_mix.y, "mix")
        penalty = self.mask_penalty * mask_penalty(generator_mix.mask, generator_mix.lam)

        terms = {"student_clean": clean, "student_mixed": mixed, "teacher_mixed": easy, "mask_penalty": penalty}
        return step_output((mixed, clean), easy + penalty, terms, generator_mix, student_mix, draws)
