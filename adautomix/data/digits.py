"""Handwritten digits carried by scikit-learn: 1,797 real scans, no download.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998 (its test part). 8x8 px with 17 grey levels,
enlarged to 16 px RGB; a fixed shuffle gives 1,000 for training and 797 for test. No flips: a mirrored 2 is no 2.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from adautomix.data.base import Dataset, MemorySplit, size_or_default
from adautomix.data.carried import carried_file
from adautomix.data.fingerprints import fingerprint

TRAIN = 1000


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the digits at 16 px (or 8, 32); `root` is not used."""
    size = size_or_default("digits", size, (16, 8, 32))
    rows = torch.from_numpy(np.loadtxt(carried_file("data/digits.csv.gz"), delimiter=",", dtype=np.float32))
    grey = rows[:, :64].reshape(-1, 1, 8, 8) / 16
    grey = F.interpolate(grey, size=(size, size), mode="bilinear", align_corners=False)
    images = (grey * 255).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    labels = rows[:, 64].long()
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(labels)))
    full = MemorySplit(images, labels)
    return Dataset(
        name="digits",
        label="digits",
        classes=tuple("0123456789"),
        train=full.take(order[:TRAIN]),
        test=full.take(order[TRAIN:]),
        size=size,
        mean=(0.305,) * 3,  # measured on the training images at 16 px
        std=(0.318,) * 3,
        pad=size // 16,  # a digit fills its image: a wider shift would cut it and mirror its other side
        flip=False,
        fingerprint=fingerprint(["sklearn digits", len(labels)]),
    )
