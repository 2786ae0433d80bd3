"""Reading image files: many at once, with every bad one named."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from adautomix.errors import UserError
from adautomix.progress import progress

EXTENSIONS = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for files it cannot read."""


def read_image(path: Path, size: int) -> UInt8[Tensor, "3 S S"]:
    """Return one image as RGB, its shorter side resized to `size` px and the centre square cut out.

    Raises: OSError if it cannot be read.
    """
    with Image.open(path) as file:
        image = to_rgb(file)
        scale = size / min(image.size)
        if scale != 1:
            wide, high = (max(size, round(side * scale)) for side in image.size)
            image = image.resize((wide, high), Image.Resampling.BICUBIC)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        square = image.crop((left, top, left + size, top + size))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit RGB, turned as its camera says; 16-bit grey keeps its range instead of going white."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 2**16 - 1) // 256).astype(np.uint8))
    image.load()  # the file may be closed before the pixels are used
    return image if image.mode == "RGB" else image.convert("RGB")


def read_images(paths: Sequence[Path], size: int) -> UInt8[Tensor, "M 3 S S"]:
    """Return all images; decoding runs in threads.

    Raises: UserError naming the files that cannot be read.
    """
    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(cpu_count()) as pool:
        results = pool.map(partial(_try_read, size=size), paths)
        errors = []
        for i, (image, error) in enumerate(progress(results, total=len(paths), name="reading", unit="image")):
            if error is None:
                images[i] = image
            else:
                errors.append(f"{paths[i]} ({error})")
    if errors:
        more = f" and {len(errors) - 5} more" if len(errors) > 5 else ""
        raise UserError(
            f"{len(errors)} image file(s) cannot be read; delete or replace them: {'; '.join(errors[:5])}{more}"
        )
    return images


def _try_read(path: Path, size: int) -> tuple[Tensor | None, str | None]:
    try:
        return read_image(path, size), None
    except UNREADABLE as error:
        return None, "empty file" if path.stat().st_size == 0 else str(error).splitlines()[0][:80]
