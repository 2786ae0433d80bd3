"""Six real photographs carried by scikit-image and scikit-learn: cat, astronaut, coffee, rocket, flower, temple.

A class each. Training crops come from the left half of every photograph and test crops from the right, so no pixel
is in both. Too small to measure generalisation; made for seeing what mixing does to a real image. `write_photo_folder`
writes them as image files, for those who want to see what a folder of their own would give.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from skimage import data as skimage_data
from torch import Tensor

from adautomix.data.base import IMAGENET_MEAN, IMAGENET_STD, IN_MEMORY, Dataset, MemorySplit
from adautomix.data.carried import carried_file
from adautomix.data.fingerprints import fingerprint
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_atomic

PHOTOS = {
    "cat": skimage_data.chelsea,
    "astronaut": skimage_data.astronaut,
    "coffee": skimage_data.coffee,
    "rocket": skimage_data.rocket,
    "flower": lambda: Image.open(carried_file("images/flower.jpg")),
    "temple": lambda: Image.open(carried_file("images/china.jpg")),
}
TRAIN_CROPS, TEST_CROPS = 48, 24  # a class
CROP_SIDE = (0.7, 1.0)
"""Side of a crop as a share of the half's shorter side."""


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return square crops of `size` px (default 32, up to 64); `root` is not used."""
    size = 32 if size is None else size
    if not 8 <= size <= IN_MEMORY:
        raise UserError(f"photos comes at 8 to {IN_MEMORY} px, not {size}; whole_photos() gives larger ones")
    rng = np.random.RandomState(0)
    train, test = [], []
    for image in map(_read, PHOTOS.values()):
        middle = image.shape[2] // 2
        train.append(_crops(image[:, :, :middle], TRAIN_CROPS, size, rng))
        test.append(_crops(image[:, :, middle:], TEST_CROPS, size, rng))
    return Dataset(
        name="photos",
        label="photos",
        classes=tuple(PHOTOS),
        train=_split(train),
        test=_split(test),
        size=size,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        pad=size // 8,
        flip=True,
        fingerprint=fingerprint(["six photographs", TRAIN_CROPS, TEST_CROPS, CROP_SIDE]),
    )


def whole_photos(size: int = 224) -> tuple[Float[Tensor, "6 3 S S"], tuple[str, ...]]:
    """Return the six photographs, each its largest centred square at `size` px in [0,1], and their names."""
    squares = []
    for image in map(_read, PHOTOS.values()):
        side = min(image.shape[1:])
        top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
        squares.append(_resize(image[:, top : top + side, left : left + side], size))
    return torch.stack(squares).float() / 255, tuple(PHOTOS)


def write_photo_folder(root: Path, size: int = IN_MEMORY) -> int:
    """Write every crop as `root/train/<class>/NN.png` or `root/test/<class>/NN.png`, and return how many were missing.

    Each file is whole or not there, and those that are there are kept: a call cut off is made good by the next.

    Args:
        size: side of the crops in px, 8 to 64.
    Raises: UserError if files of those names are there at another size: they are someone else's.
    """
    dataset = load(size=size)
    missing = 0
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        crops = len(split) // dataset.num_classes  # class by class
        for row, k in enumerate(split.labels.tolist()):
            path = root / part / dataset.classes[k] / f"{row % crops:02d}.png"
            if path.exists():
                _require_size(path, size)
            else:
                _write_png(path, split.images[row])
                missing += 1
    return missing


def _require_size(path: Path, size: int) -> None:
    with Image.open(path) as image:
        if image.size != (size, size):
            raise UserError(f"{path} is {image.width} x {image.height} px, not {size}; name an empty folder")


def _write_png(path: Path, pixels: Tensor) -> None:
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    write_atomic(path, lambda temporary: image.save(temporary, format="PNG"))


def _read(photo) -> Tensor:
    return torch.from_numpy(np.array(photo())).permute(2, 0, 1)[:3]


def _crops(image: Tensor, n: int, size: int, rng: np.random.RandomState) -> Tensor:
    crops = []
    for _ in range(n):
        side = int(min(image.shape[1:]) * rng.uniform(*CROP_SIDE))
        top, left = (rng.randint(length - side + 1) for length in image.shape[1:])
        crops.append(_resize(image[:, top : top + side, left : left + side], size))
    return torch.stack(crops)


def _resize(image: Tensor, size: int) -> Tensor:
    pixels = image[None].float()
    pixels = F.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return pixels[0].round().clamp(0, 255).to(torch.uint8)


def _split(groups: list[Tensor]) -> MemorySplit:
    labels = torch.cat([torch.full((len(group),), k) for k, group in enumerate(groups)])
    return MemorySplit(torch.cat(groups), labels)
