"""Shared by the loaders' tests: nine odd files as a data set, and a comparison of epochs."""

import numpy as np
import torch
from PIL import Image

from adautomix.data.base import Dataset, PathSplit


def nine_files(folder):
    """Nine files of two classes as a data set at 72 px: sizes differ, one was turned by its camera, one is grey."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{i}.{'png' if i % 2 else 'jpg'}" for i in range(9)]
    for i, path in enumerate(paths):
        pixels = rng.integers(0, 256, (int(rng.integers(40, 120)), int(rng.integers(40, 120)), 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6 if i == 2 else 1
        Image.fromarray(pixels).save(path, exif=exif)
    Image.fromarray(rng.integers(0, 2**16, (50, 60)).astype(np.uint16)).save(paths[3])
    split = PathSplit(paths, torch.arange(9) % 2)
    half = (0.5, 0.5, 0.5)
    return Dataset("files", "files", ("a", "b"), split, split, 72, half, half, pad=0, flip=True, fingerprint="")


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
