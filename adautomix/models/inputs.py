"""What a network may be given: images in [0,1], with its channels, in batches that its BatchNorm can take."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from adautomix.utils.errors import UserError

Size = int | tuple[int, int]
"""A side, or height and width, in px."""


def pair(size: Size) -> tuple[int, int]:
    """Return height and width."""
    return (size, size) if isinstance(size, int) else tuple(size)


def check_images(x: Tensor, channels: int) -> None:
    """Raise UserError for anything but a batch of images [B,C,H,W], float, with `channels` channels."""
    if x.ndim != 4:
        alone = ": a single image is x[None]" if x.ndim == 3 else ""
        raise UserError(f"a batch of images [B,C,H,W] is needed, got the shape {tuple(x.shape)}{alone}")
    if not x.is_floating_point():
        raise UserError(f"images must be float in [0,1], got {x.dtype}: divide by 255")
    if x.shape[1] != channels:
        raise UserError(
            f"images have {x.shape[1]} channels, and mean and std are of {channels}: give the Classifier "
            "a mean and a std of as many numbers as the images have channels"
        )


def warn_of_pixels(x: Tensor, stacklevel: int) -> None:
    """Warn of pixels outside [0,1]; on a GPU the look is waited for, so once is enough."""
    low, high = x.detach().aminmax() if x.numel() else (0.0, 1.0)
    if not (low >= -0.01 and high <= 1.01):
        warnings.warn(
            f"pixels from {float(low):.2f} to {float(high):.2f} were given, and [0,1] is wanted: the Classifier "
            "normalises images itself. If yours are normalised already, make it with mean=(0, 0, 0), std=(1, 1, 1)",
            stacklevel=stacklevel + 1,
        )


@contextmanager
def channels_told(x: Tensor) -> Iterator[None]:
    """Make torch's complaint that a network's first convolution has other channels than images x one that helps."""
    try:
        yield
    except RuntimeError as error:
        wanted = re.search(rf"expected input{re.escape(str(list(x.shape)))} to have (\d+) channels", str(error))
        if not wanted:
            raise
        raise UserError(
            f"the network takes images of {wanted[1]} channels, and mean and std are of {x.shape[1]}, which is their "
            f"number: build the network for {x.shape[1]} (timm: in_chans={x.shape[1]}), or give mean and std of "
            f"{wanted[1]} numbers each, and such images"
        ) from error


def batch_too_small(error: ValueError, x: Tensor) -> UserError | None:
    """Return torch's complaint of a batch too small for BatchNorm as one that helps; None for any other complaint."""
    if "more than 1 value per channel" not in str(error):
        return None
    return UserError(
        f"BatchNorm needs more than one value a channel, and a batch of {'x'.join(map(str, x.shape))} leaves "
        "it one: give a larger batch (drop a last one that is too small) or larger images"
    )
