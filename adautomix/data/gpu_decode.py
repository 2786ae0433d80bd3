"""JPEG files decoded on the training device, by nvJPEG on a GPU: the loader's workers only read bytes and draw crops.

For training images above 64 px without RandAugment, which works on the CPU. Crops and flips are drawn as on the CPU, so
batches hold the same parts of the same images; their pixels are rounded otherwise. Files that are no plain JPEG (other
formats, CMYK, turned by their EXIF tag) are decoded by the worker, as always.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from adautomix.data.augment import RATIO
from adautomix.data.base import PathSplit
from adautomix.data.batches import FileLoader, to_device
from adautomix.data.images import EncodedImage, Source, openable, read_rgb
from adautomix.data.stream import CROP_SCALE
from adautomix.utils.errors import UserError, first_line
from adautomix.utils.seeding import seed_for

ORIENTATION = 0x0112
"""EXIF's tag; 1: upright."""
Encoded = tuple[Tensor, list[int], bool, int, int]
"""A file's bytes [n] or pixels [3,H,W], uint8; its crop (top, left, height, width, px); mirrored?; class id; index."""


class EncodedFiles(Dataset):
    """A PathSplit by (index, seed of the epoch), not decoded yet.

    Args:
        crop_scale, flip: as for the loaders.
    """

    def __init__(self, split: PathSplit, *, crop_scale: tuple[float, float] | None, flip: bool) -> None:
        self.split, self.crop_scale, self.flip = split, crop_scale or CROP_SCALE, flip

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: tuple[int, int]) -> Encoded:
        index, seed = key
        content, image = read(self.split.paths[index])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_for(seed, index))
            box = RandomResizedCrop.get_params(image, list(self.crop_scale), list(RATIO))
            mirrored = self.flip and bool(torch.rand(1) < 0.5)
        return content, list(map(int, box)), mirrored, int(self.split.labels[index]), index


def read(path: Source) -> tuple[Tensor, Image.Image]:
    """Return a file's bytes if it is a plain JPEG, else its pixels; and the image, whose size is known in either case.

    Raises: UserError naming a file that cannot be read.
    """
    try:
        with Image.open(openable(path)) as image:
            plain = image.format == "JPEG" and image.mode in ("RGB", "L") and image.getexif().get(ORIENTATION, 1) == 1
            if plain:
                return torch.from_numpy(_bytes(path)), image
    except Exception:  # read_rgb says what is wrong with it
        plain = False
    image = read_rgb(path)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1), image


def _bytes(path: Source) -> np.ndarray:
    if isinstance(path, EncodedImage):
        return np.frombuffer(path.content, dtype=np.uint8).copy()  # torch wants memory that may be written
    return np.fromfile(path, dtype=np.uint8)


def together(items: list[Encoded]) -> tuple[Any, ...]:
    """Collate a batch, whose contents differ in size: lists of contents, boxes and flips, then class ids and rows."""
    *parts, labels, rows = zip(*items, strict=True)
    return *map(list, parts), torch.tensor(labels), torch.tensor(rows)


class EncodedLoader(FileLoader):
    """A FileLoader of training images that are decoded, cropped and resized on the device; arguments as for it."""

    collate = staticmethod(together)

    def _opened(self) -> EncodedFiles:
        return EncodedFiles(self.split, crop_scale=self.crop_scale, flip=self.flip)

    def _arrived(
        self, contents: list[Tensor], boxes: list[list[int]], mirrored: list[bool], labels: Tensor, rows: Tensor
    ) -> Iterable[Tensor]:
        encoded = [i for i, content in enumerate(contents) if content.ndim == 1]
        images = dict(enumerate(contents)) | dict(zip(encoded, self._decoded(contents, encoded, rows), strict=True))
        parts = []
        for i, (box, mirror) in enumerate(zip(boxes, mirrored, strict=True)):
            image = to_device(images[i], self.device)
            part = F.resized_crop(image, *box, [self.size, self.size], antialias=True)
            parts.append(part.flip(-1) if mirror else part)
        return torch.stack(parts), to_device(labels, self.device), to_device(rows, self.device)

    def _decoded(self, contents: list[Tensor], encoded: list[int], rows: Tensor) -> list[Tensor]:
        """Return the images of the contents that are files' bytes; raises UserError naming what is damaged."""
        if encoded and self.device.type == "cuda":
            # torchvision decodes on a stream of its own, into memory that queued work may still be reading
            # (pytorch/vision, pull request 9606).
            torch.cuda.current_stream(self.device).synchronize()
        try:
            return decode_jpeg([contents[i] for i in encoded], ImageReadMode.RGB, self.device) if encoded else []
        except RuntimeError as error:
            for i in encoded:  # one of them; together they do not say which
                try:
                    decode_jpeg(contents[i], ImageReadMode.RGB, self.device)
                except RuntimeError as own:
                    path = self.split.paths[int(rows[i])]
                    raise UserError(f"image file {path} cannot be read ({first_line(own)}); replace it") from own
            raise UserError(f"a batch of JPEG files cannot be decoded on {self.device}: {first_line(error)}") from error
