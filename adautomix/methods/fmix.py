"""FMix: two images mixed by a random blob, cut from low-frequency noise.

Harris et al.: "FMix: Enhancing Mixed Sample Data Augmentation", 2020, section 4. The noise is
thresholded at the pixel that gives the mask the area lam, not at a fixed value.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from adautomix.methods.base import Draws, MixMethod, check_alpha
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed, draw_index, mixed_from_mask, sample_lam
from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class FMixDraws(Draws):
    """`noise_seed`: of the noise, which is drawn when the size of the images is known."""

    noise_seed: int = 0


class FMix(MixMethod):
    """x where smooth noise is highest, on a share lam of the pixels, and x[index] elsewhere.

    Args:
        alpha: Beta parameter (0.2 for CNNs, 1.0 for transformers in the AdAutoMix benchmark; the FMix paper: 1).
        decay: the noise's amplitude falls with frequency to this power (3, the paper's).
        max_soft: share of the pixels, on either side of the edge, over which the mask goes from 1 to 0 (0: hard edges).
        per_sample: draw lam and mask for every image instead of every batch.
    """

    def __init__(
        self, *, alpha: float = 0.2, decay: float = 3.0, max_soft: float = 0.0, per_sample: bool = False
    ) -> None:
        if decay < 0 or not 0 <= max_soft <= 0.5:
            raise UserError(f"decay must be zero or more and max_soft in [0,0.5], got {decay} and {max_soft}")
        self.alpha, self.decay, self.max_soft = check_alpha(alpha), decay, max_soft
        self.per_sample = per_sample

    def draw(self, batch_size: int, ctx: Context) -> FMixDraws:
        """Return lam, one permutation of the batch, and the noise's seed."""
        rng = ctx.rng_for(self.per_sample)
        lam = sample_lam(batch_size, 2, self.alpha, rng, per_sample=self.per_sample)
        index = draw_index(batch_size, 2, ctx.image_rng)
        return FMixDraws(index, lam, int(torch.randint(2**62, (), generator=rng)))

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: FMixDraws) -> Mixed:
        """Return the masked mix; the label's lam is the mask's area, lam to within a pixel."""
        rows, size = (len(x) if self.per_sample else 1), (x.shape[2], x.shape[3])
        rng = torch.Generator().manual_seed(draws.noise_seed)
        spectrum = torch.randn(rows, size[0], size[1] // 2 + 1, 2, generator=rng).to(x.device, non_blocking=True)
        noise = low_frequency_noise(torch.view_as_complex(spectrum), size, self.decay)
        first = highest(noise, draws.lam[:rows, 0].to(noise, non_blocking=True), self.max_soft)
        mask = torch.stack([first, 1 - first], dim=1).expand(len(x), -1, -1, -1)
        return mixed_from_mask(x, ctx.targets(y), draws.index, mask)


def low_frequency_noise(spectrum: Tensor, size: tuple[int, int], decay: float) -> Float[Tensor, "R H W"]:
    """Return noise whose amplitude falls as frequency^-decay (section 4.1).

    Args:
        spectrum: complex white noise [R,H,W//2+1].
        size: (H, W) in px.
    """
    rows = torch.fft.fftfreq(size[0], device=spectrum.device)[:, None]
    columns = torch.fft.rfftfreq(size[1], device=spectrum.device)[None]
    # The constant component gets the lowest frequency there is: it moves all pixels alike, so the order stays the same.
    frequency = (rows**2 + columns**2).sqrt().clamp(min=1 / max(size))
    return torch.fft.irfft2(spectrum / frequency**decay, s=size)


def highest(noise: Float[Tensor, "R H W"], share: Float[Tensor, " R"], max_soft: float = 0.0) -> Float[Tensor, "R H W"]:
    """Return masks that are 1 on the given share of the pixels, where the noise is highest, and 0 elsewhere.

    Args:
        max_soft: see FMix; the soft band never reaches beyond the first or last pixel.
    """
    order = noise.flatten(1).argsort(dim=1, descending=True)
    pixels = order.shape[1]
    rank = torch.arange(pixels, device=noise.device)  # 0 is the highest pixel
    edge = (share * pixels).round()[:, None]
    band = (torch.minimum(share, 1 - share).clamp(max=max_soft) * pixels).floor()[:, None]
    soft = ((edge + band - rank - 0.5) / (2 * band).clamp(min=1)).clamp(0, 1)
    in_order = torch.where(band > 0, soft, (rank < edge).to(noise))
    return torch.empty_like(in_order).scatter_(1, order, in_order).view_as(noise)
