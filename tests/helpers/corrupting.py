"""Shared by the corruptions' tests: small images, and one corruption of them with the usual settings."""

import torch

from adautomix.evaluate.corruptions import corrupt
from adautomix.evaluate.corruptions.grid import to_grid


def images(count=4, side=32, seed=0):
    """Return smooth random images on the k/255 grid, with some texture."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=rng), size=side, mode="bilinear")
    return to_grid(coarse + 0.1 * torch.rand(count, 3, side, side, generator=rng))


def grey(level=128, count=8, side=32):
    return torch.full((count, 3, side, side), level / 255)


def run(x, name, severity=3, table="cifar", seed=0, index=None, **options):
    index = torch.arange(len(x)) if index is None else index
    return corrupt(x, name, severity, table=table, seed=seed, index=index, **options)
