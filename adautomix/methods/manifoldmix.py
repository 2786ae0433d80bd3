"""Manifold mixup: mix the hidden features of a layer that is drawn anew for every batch.

Verma et al.: "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019, section 2.
The input is one of the layers drawn from, so some of the batches are plain mixup.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.methods.base import Draws, MixMethod, StepOutput, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.losses import soft_cross_entropy
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_lam, require_batch, sample_lam
from adautomix.models.modes import eval_mode, unwrapped
from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class ManifoldMixDraws(Draws):
    """`layer`: 0 mixes the images, i > 0 the output of the i-th stage."""

    layer: int = 0


class ManifoldMix(MixMethod):
    """The output of one layer, blended with that of x[index]; the label is mixed as in mixup.

    Args:
        stages: names of the student's stages, first to last.
        alpha: Beta parameter (2, the paper's and the AdAutoMix benchmark's).
        layers: draw among the input and this many first stages, or as many as there are (2, the paper's for
            ResNets); 0 is mixup.
        per_sample: draw lam for every image instead of every batch.
    """

    def __init__(
        self, stages: tuple[str, ...] = (), *, alpha: float = 2.0, layers: int = 2, per_sample: bool = False
    ) -> None:
        if layers < 0:
            raise UserError(f"layers must be zero or more, got {layers}")
        if layers and not stages:
            raise UserError(
                'manifoldmix mixes hidden features: give the Classifier a tap, e.g. tap="layer3"; with layers=0 it '
                "mixes images alone, as mixup does"
            )
        self.stages = stages[:layers]
        self.alpha, self.per_sample = check_alpha(alpha), per_sample

    @classmethod
    def init_args(cls, student: nn.Module) -> tuple[tuple[str, ...]]:
        """Return the names of the student's stages, without a ResNet's stem; of one's own network its tap alone."""
        if student.stages:
            return (student.stages[1:] if len(student.stages) == 5 else student.stages,)
        return ((student.tap,) if student.tap is not None else (),)

    @classmethod
    def build(cls, student: nn.Module, **options: Any) -> "ManifoldMix":
        """Return a method that fits the student; raises UserError if the output of a stage cannot be mixed."""
        method, network = super().build(student, **options), unwrapped(student)
        blank = torch.zeros(2, network.mean.shape[1], *network.image_size, device=network.mean.device)
        with eval_mode(network), torch.no_grad():
            for stage in method.stages:
                try:
                    network(blank, heads=(), at=stage, edit=lambda hidden: hidden)
                except UserError as error:
                    message = f"manifoldmix cannot mix at the stage {stage!r}: {error}; or do with layers=0"
                    raise UserError(message) from error
        return method

    def draw(self, batch_size: int, ctx: Context) -> ManifoldMixDraws:
        """Return lam, one permutation of the batch, and the layer."""
        lam = sample_lam(batch_size, 2, self.alpha, ctx.rng_for(self.per_sample), per_sample=self.per_sample)
        index = draw_index(batch_size, 2, ctx.image_rng)
        return ManifoldMixDraws(index, lam, int(torch.randint(len(self.stages) + 1, (), generator=ctx.rng)))

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: ManifoldMixDraws) -> Mixed:
        """Return the images blended as the hidden features are: what is trained on if the layer is the input."""
        return mixed_from_lam(x, ctx.targets(y), draws.index, draws.lam)

    def step(self, x: Tensor, y: Tensor, ctx: Context, draws: ManifoldMixDraws | None = None) -> StepOutput:
        """Return the loss of one batch, mixed at the layer drawn."""
        require_batch(x, y)
        self.check_context(ctx)
        draws = self.draw(len(x), ctx) if draws is None else draws
        mixed = self.mix(x, y, ctx, draws)
        if draws.layer == 0:
            out = ctx.student(mixed.x)
        else:
            at = self.stages[draws.layer - 1]
            out = ctx.student(x, at=at, edit=lambda hidden: blend_hidden(hidden, mixed.index, mixed.lam))
        loss = soft_cross_entropy(out.logits["one"], mixed.y)
        return StepOutput({"student": loss}, {"ce": loss}, (mixed.detach(),), draws)


def blend_hidden(
    hidden: Float[Tensor, "B ..."], index: Int[Tensor, "2 B"], lam: Float[Tensor, "B 2"]
) -> Float[Tensor, "B ..."]:
    """Return lam_0 h + lam_1 h[index_1] of features of any layout whose first dimension is the batch."""
    share = lam[:, 1].to(hidden).view(-1, *[1] * (hidden.ndim - 1))
    return torch.lerp(hidden, hidden.index_select(0, index[1]), share)
