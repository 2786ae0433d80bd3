"""MixUp: convex combinations of images and of labels.

Zhang, Cisse, Dauphin, Lopez-Paz: "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
The paper and the released benchmark draw one lam a batch, not one an image.
"""

from torch import Tensor

from adautomix.methods.base import Draws, MixMethod, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_lam, sample_lam


class MixUp(MixMethod):
    """x_mix = lam x + (1-lam) x[index], and the same for the labels.

    Args:
        alpha: Beta parameter (CNNs 1.0, transformers 0.8 in the AdAutoMix benchmark).
        per_sample: draw lam for every image instead of every batch.
    """

    def __init__(self, *, alpha: float = 1.0, per_sample: bool = False) -> None:
        self.alpha, self.per_sample = check_alpha(alpha), per_sample

    def draw(self, batch_size: int, ctx: Context) -> Draws:
        """Return lam and one permutation of the batch."""
        lam = sample_lam(batch_size, 2, self.alpha, ctx.rng_for(self.per_sample), per_sample=self.per_sample)
        return Draws(draw_index(batch_size, 2, ctx.image_rng), lam)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: Draws) -> Mixed:
        """Return the convex combination."""
        return mixed_from_lam(x, ctx.targets(y), draws.index, draws.lam)
