"""Noise: Gaussian, shot (Poisson), impulse (salt and pepper) and speckle, drawn for every value on its own.

Shot noise is exact but for the resolution of its draws, 2**-32: the number of events is read off the Poisson
distribution function. An 8-bit image has only 256 rates, so the functions of all of them are one sorted table.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import poisson
from torch import Tensor

from adautomix.evaluate.corruptions.tables import Number
from adautomix.evaluate.per_image_rng import PerImageRNG

COARSE_BITS = 11
"""PerImageRNG that agree in so many leading bits share one entry of the coarse table."""


def gaussian_noise(x: Float[Tensor, "B 3 H W"], sd: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x plus normal noise."""
    return x + draws.normal(*x.shape[1:]) * sd


def speckle_noise(x: Float[Tensor, "B 3 H W"], sd: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x plus normal noise in proportion to x."""
    return x + x * (draws.normal(*x.shape[1:]) * sd)


def impulse_noise(x: Float[Tensor, "B 3 H W"], amount: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return x with a fraction of its values (of channels, not whole pixels) set to 0 or 1, each as likely."""
    u = draws.uniform(0, 1, *x.shape[1:])
    return torch.where(u < amount / 2, 0.0, torch.where(u < amount, 1.0, x))


def shot_noise(x: Float[Tensor, "B 3 H W"], rate: Number, draws: PerImageRNG) -> Float[Tensor, "B 3 H W"]:
    """Return Poisson(x * rate) / rate; x must lie on the k/255 grid."""
    level = x.mul(255).round_().long()
    return poisson_counts(level, rate, draws.bits(*x.shape[1:])).float() / rate


def poisson_counts(level: Int[Tensor, "..."], rate: Number, bits: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Return the Poisson quantile with mean rate * level / 255 at (bits + 1/2) / 2**32, as int64.

    A draw whose leading bits settle it is looked up; the few others (one in twenty) are searched for.
    """
    ends, starts, coarse = (t.to(level.device) for t in _poisson_tables(rate))
    key = (level << 32) | bits
    place = coarse[key >> (32 - COARSE_BITS)].long()
    open_ = place < 0
    place[open_] = torch.searchsorted(ends, key[open_], right=True)
    return place - starts[level]


@lru_cache(maxsize=8)
def _poisson_tables(rate: Number) -> tuple[Int[Tensor, " N"], Int[Tensor, "256"], Int[Tensor, " M"]]:
    """Return where each count's draws end, in units of 2**-32 after level << 32; where each level's zero lies; the
    place by leading bits, or -1 where those leave a choice."""
    top = int(rate + 9 * rate**0.5 + 20)
    means = np.arange(256)[:, None] * (rate / 255)
    cdf = np.rint(poisson.cdf(np.arange(top), means) * 2.0**32).astype(np.int64)
    cdf[:, -1] = 1 << 32  # no draw falls behind the last count
    ends = torch.from_numpy((cdf + (np.arange(256)[:, None] << 32)).ravel())
    first = torch.arange(256 << COARSE_BITS) << (32 - COARSE_BITS)
    low = torch.searchsorted(ends, first, right=True)
    high = torch.searchsorted(ends, first + (1 << (32 - COARSE_BITS)) - 1, right=True)
    return ends, torch.arange(256) * top, torch.where(low == high, low, -1).int()
