"""Image files above 64 px: decoded and augmented one by one in the loader's worker processes.

Training images get a random resized crop and a flip (the ImageNet standard), test images are resized to 8/7 of the
size and their centre is cut out (256 to 224). Every image's randomness is a function of (seed, index), so batches do
not depend on the number of workers.
"""

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from adautomix.data.base import PathSplit
from adautomix.data.images import UNREADABLE, to_rgb
from adautomix.errors import UserError
from adautomix.seeding import seed_for


class ImageFiles(Dataset):
    """A PathSplit as (uint8 image [3,S,S], class id, index)."""

    def __init__(self, split: PathSplit, size: int, *, train: bool, flip: bool, seed: int) -> None:
        self.split, self.seed = split, seed
        if train:
            steps = [
                v2.RandomResizedCrop(size, antialias=True),
                *([v2.RandomHorizontalFlip()] if flip else []),
            ]
        else:
            steps = [v2.Resize(size * 8 // 7, antialias=True), v2.CenterCrop(size)]
        self.transform = v2.Compose([*steps, v2.PILToTensor()])

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        path = self.split.paths[index]
        try:
            with Image.open(path) as file:
                image = to_rgb(file)
        except UNREADABLE as error:
            raise UserError(f"image file {path} cannot be read ({error}); delete or replace it") from error
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(self.seed, index))
            return self.transform(image), int(self.split.labels[index]), index
