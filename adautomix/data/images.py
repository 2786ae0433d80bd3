"""Reading image files: one as the evaluators get it, or many at once, with every bad one named."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, features
from torch import Tensor

from adautomix.utils.cores import cores
from adautomix.utils.errors import UserError, first_five, first_line
from adautomix.utils.progress import progress

IN_MEMORY = 64
"""Sets with images up to this side (px) are kept whole in memory as uint8; larger ones are read as needed."""
ALWAYS = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
BUILT_IN = {".avif": "avif", ".jp2": "jpg_2000"}
"""Suffixes that Pillow reads if it was built with this feature."""
PLUGINS = {".heic": "pillow-heif", ".heif": "pillow-heif", ".jxl": "pillow-jxl-plugin"}
"""Suffixes that Pillow reads with a package of this name (the extra `images`)."""
MODULES = {"pillow-heif": "pillow_heif", "pillow-jxl-plugin": "pillow_jxl"}


def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of the image files that the Pillow here can read, its plug-ins made known to it."""
    there = {package: find_spec(module) is not None for package, module in MODULES.items()}
    if there["pillow-heif"]:
        import_module("pillow_heif").register_heif_opener()
    if there["pillow-jxl-plugin"]:
        import_module("pillow_jxl")  # makes itself known
    built_in = (suffix for suffix, feature in BUILT_IN.items() if features.check(feature))
    return frozenset({*ALWAYS, *built_in, *(suffix for suffix, package in PLUGINS.items() if there[package])})


EXTENSIONS = readable_suffixes()
"""Of an animated GIF the first picture is read."""
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""TIFF's tag."""


@dataclass(frozen=True)
class EncodedImage:
    """An image file's bytes within a larger file, `content` (bytes or a buffer); `name` is for messages."""

    name: str
    content: Any

    def __str__(self) -> str:
        return self.name


Source = Path | EncodedImage
"""Where an image is read from."""


def openable(source: Source) -> Path | BytesIO:
    """Return what Pillow opens."""
    return BytesIO(source.content) if isinstance(source, EncodedImage) else source


def read_for_test(path: Source, size: int) -> UInt8[Tensor, "3 S S"]:
    """Return one image file as the evaluators get it, by `for_test`.

    Raises: UserError naming a file that cannot be read.
    """
    return for_test(read_rgb(path), size)


def for_test(image: Image.Image, size: int) -> UInt8[Tensor, "3 S S"]:
    """Return an RGB image with its shorter side resized and the centre square of `size` px cut out.

    Up to 64 px (IN_MEMORY) the shorter side becomes `size`, bicubic, and training images are read so too. Above, it
    becomes 8/7 of it (256 for 224), bilinear, as torchvision's Resize and CenterCrop round.
    """
    if size > IN_MEMORY:
        from torchvision.transforms.v2 import functional as F  # its import takes two seconds, in vain for small images

        square = F.center_crop(F.resize(image, [size * 8 // 7], antialias=True), [size])
    else:
        scale = size / min(image.size)
        if scale != 1:
            wide, high = (max(size, round(side * scale)) for side in image.size)
            image = image.resize((wide, high), Image.Resampling.BICUBIC)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        square = image.crop((left, top, left + size, top + size))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def read_rgb(path: Source) -> Image.Image:
    """Return an image file as 8-bit RGB at its own size, by `to_rgb`.

    Raises: UserError naming a file that cannot be read.
    """
    try:
        return _decode(path)
    except Exception as error:  # decoders raise whatever broken bytes lead them to, RuntimeError and MemoryError too
        raise UserError(f"image file {path} cannot be read ({_why(path, error)}); delete or replace it") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit RGB, turned as its camera says if that can be read.

    16-bit grey is divided by 256 (12-bit by 16), so that it keeps its range instead of going white. What is transparent
    is laid on white: below it lies any colour, and often one alone.
    Raises: UserError for 32-bit integers and floats, of which nobody knows which number is white; what Pillow raises.
    """
    image.load()  # the file may be closed before the pixels are used
    with suppress(Exception):  # a damaged EXIF tag is no reason to do without the picture
        ImageOps.exif_transpose(image, in_place=True)
    if (bits := _grey_bits(image)) > 8:
        grey = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
        image = Image.fromarray(255 - grey if _white_is_zero(image) else grey)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _white_is_zero(image: Image.Image) -> bool:
    """Return whether a TIFF of more than 8 bits, an X-ray say, is a negative; Pillow turns those of 8 bits itself."""
    return getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0


def _grey_bits(image: Image.Image) -> int:
    """Return the bits of a grey image's range, 8 for all others."""
    if image.mode.startswith("I;16"):
        return getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # Pillow's word for their 16 bits
        return 16
    if image.mode in ("I", "F"):
        raise UserError(f"no fixed white in mode {image.mode}: save it with 8 or 16 unsigned bits a pixel")
    return 8


def read_images(paths: Sequence[Source], size: int) -> UInt8[Tensor, "M 3 S S"]:
    """Return all images as `read_for_test` does; decoding runs in threads.

    Raises: UserError naming the files that cannot be read.
    """
    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(cores()) as pool:
        results = pool.map(partial(_try_read, size=size), paths)
        errors = []
        for i, (image, error) in enumerate(progress(results, total=len(paths), name="reading", unit="image")):
            if error is None:
                images[i] = image
            else:
                errors.append(f"{paths[i]} ({error})")
    if errors:
        raise UserError(f"{len(errors)} image file(s) cannot be read; delete or replace them: {first_five(errors)}")
    return images


def _try_read(path: Source, size: int) -> tuple[Tensor | None, str | None]:
    try:
        return for_test(_decode(path), size), None
    except Exception as error:  # as in read_rgb
        return None, _why(path, error)


def _decode(path: Source) -> Image.Image:
    with Image.open(openable(path)) as file:
        return to_rgb(file)


def _why(path: Source, error: Exception) -> str:
    if isinstance(path, Path) and path.is_file() and path.stat().st_size == 0:
        return "empty file"
    return first_line(error)[:80]
