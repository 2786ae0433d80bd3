"""Random numbers that belong to an image, not to a batch: counter-based, drawn for all images at once on any device.

splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): the n-th number is a
hash of key + n * GOLDEN. Every image has its own key, so its numbers are the same in whatever batch it comes, and no
generator's state is read or moved. All arithmetic wraps at 64 bits, as torch's int64 does.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.utils.seeding import seed_for

GOLDEN = 0x9E3779B97F4A7C15
LOW32 = (1 << 32) - 1


def signed(value: int) -> int:
    """Return the int64 with the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def mix64(z: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Return splitmix64's hash of every number; z is overwritten."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        # Torch shifts in copies of the sign bit: the mask makes it the shift of an unsigned number.
        z ^= (z >> shift).bitwise_and_((1 << (64 - shift)) - 1)
        if factor != 1:
            z *= signed(factor)
    return z


class PerImageRNG:
    """The stream of one corruption's random numbers, one row per image; each call goes on where the last one ended."""

    def __init__(self, keys: Int[Tensor, " B"]) -> None:
        self.keys = keys
        self.used = 0

    @classmethod
    def of(cls, index: Int[Tensor, " B"], seed: int, *names: str | int) -> "PerImageRNG":
        """Return the streams of the images with these numbers under a seed and names, on the index's device."""
        base = signed(seed_for(seed, *names))
        return cls(mix64(mix64(index.long() * signed(GOLDEN)) ^ base))

    def _halves(self, count: int) -> tuple[Int[Tensor, "B N"], Int[Tensor, "B N"]]:
        """Return the lower and the upper 32 bits of the next 64-bit numbers of every image."""
        places = torch.arange(self.used + 1, self.used + count + 1, device=self.keys.device) * signed(GOLDEN)
        self.used += count
        words = mix64(self.keys[:, None] + places)
        return words & LOW32, (words >> 32).bitwise_and_(LOW32)

    def bits(self, *shape: int) -> Int[Tensor, "B ..."]:
        """Return int64 numbers [B, *shape], uniform in [0, 2**32)."""
        count = math.prod(shape)
        both = torch.cat(self._halves((count + 1) // 2), dim=1)
        return both[:, :count].reshape(-1, *shape)

    def below(self, limit: int, *shape: int) -> Int[Tensor, "B ..."]:
        """Return int64 numbers [B, *shape], uniform in [0, limit), for limits far below 2**32."""
        return (self.bits(*shape) * limit) >> 32

    def uniform(self, low: float | int, high: float | int, *shape: int) -> Float[Tensor, "B ..."]:
        """Return float32 numbers [B, *shape], uniform between low and high."""
        return self.bits(*shape).float().mul_((high - low) / 2**32).add_(low)

    def normal(self, *shape: int) -> Float[Tensor, "B ..."]:
        """Return float32 standard normals [B, *shape] (Box and Muller 1958)."""
        count = math.prod(shape)
        first, second = self._halves((count + 1) // 2)
        radius = first.add_(1).float().mul_(2**-32).log_().mul_(-2).sqrt_()  # +1: the logarithm of 0 is no number
        angle = second.float().mul_(2 * math.pi / 2**32)
        both = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
        return both[:, :count].reshape(-1, *shape)
