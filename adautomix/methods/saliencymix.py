"""SaliencyMix: CutMix whose box lies on the most salient pixel of the image it is cut from.

Uddin et al.: "SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization", ICLR 2021,
section 3. The salient image is the one that is pasted, and common code computes one map, of
one image, for the whole batch. Here every image has its own.
"""

from torch import Tensor

from adautomix.methods.base import Draws, MixMethod, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.cutmix import box_mask, boxes
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_mask, sample_lam
from adautomix.methods.ops.saliency import most_salient, spectral_residual


class SaliencyMix(MixMethod):
    """A box with area share 1 - lam, around the most salient pixel of x[index], pasted at the same place.

    Args:
        alpha: Beta parameter (0.2 in the AdAutoMix benchmark; the SaliencyMix paper: 1).
        per_sample: draw lam for every image instead of every batch.
        one_map: use the map of the first pasted image for the whole batch, as common code does; faster.
    """

    def __init__(self, *, alpha: float = 0.2, per_sample: bool = False, one_map: bool = False) -> None:
        self.alpha, self.per_sample, self.one_map = check_alpha(alpha), per_sample, one_map

    def draw(self, batch_size: int, ctx: Context) -> Draws:
        """Return lam and one permutation of the batch."""
        lam = sample_lam(batch_size, 2, self.alpha, ctx.rng_for(self.per_sample), per_sample=self.per_sample)
        return Draws(draw_index(batch_size, 2, ctx.image_rng), lam)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: Draws) -> Mixed:
        """Return x with a box of x[index] in every image; the label's lam is the area left."""
        size, pasted = (x.shape[2], x.shape[3]), draws.index[1].to(x.device, non_blocking=True)
        if self.one_map:
            peak = most_salient(spectral_residual(x.index_select(0, pasted[:1]))).expand(len(x), 2)
        else:
            peak = most_salient(spectral_residual(x)).index_select(0, pasted)
        box = boxes(draws.lam[:, 0], peak, size)
        return mixed_from_mask(x, ctx.targets(y), draws.index, box_mask(box, size))
