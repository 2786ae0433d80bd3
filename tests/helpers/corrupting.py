"""Shared by the corruptions' tests: small images, one corruption of them with the usual settings, published files."""

import numpy as np
import torch

from adautomix.evaluate.corruptions import ALL19, corrupt
from adautomix.evaluate.corruptions.grid import round_to_8bit


def images(count=4, side=32, seed=0):
    """Return smooth random images on the k/255 grid, with some texture."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=rng), size=side, mode="bilinear")
    return round_to_8bit(coarse + 0.1 * torch.rand(count, 3, side, side, generator=rng))


def grey(level=128, count=8, side=32):
    return torch.full((count, 3, side, side), level / 255)


def run(x, name, severity=3, table="cifar", seed=0, index=None):
    index = torch.arange(len(x)) if index is None else index
    return corrupt(x, name, severity, table=table, seed=seed, index=index)


def write_published(folder, labels, side=32):
    """Write files laid out like CIFAR-10-C: rows of one severity are all of one grey, 10 times the severity."""
    folder.mkdir()
    grey = np.repeat(np.arange(1, 6, dtype=np.uint8) * 10, len(labels))
    for name in ALL19:
        np.save(folder / f"{name}.npy", np.broadcast_to(grey[:, None, None, None], (len(grey), side, side, 3)))
    np.save(folder / "labels.npy", np.tile(labels.numpy(), 5))
