"""What a submodule gives, as a map [B,C,h,w]: channels last, tokens that form a grid, or wrapped in an object.

A ViT's tokens [B,T,C] are the patches row by row, after prefix tokens (class, registers) that have no place in the
image. What a reader gets wrong: 197 tokens of 224 px are 1 + 14 x 14; taken for a map they would be 197 channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class Layout:
    """How a network lays its features out.

    Attributes:
        grid: rows and columns of the map, where they are known; else they have the image's proportions.
        prefix: tokens before the grid's; None: to be found out from their number.
        channels_last: maps are [B,h,w,C]; None: to be found out from their shape.
    """

    grid: tuple[int, int] | None = None
    prefix: int | None = None
    channels_last: bool | None = None

    @classmethod
    def of(cls, net: nn.Module, grid: tuple[int, int] | None = None) -> "Layout":
        """Return what a network says about itself: timm's do, others say nothing."""
        last = {"NHWC": True, "NCHW": None}[getattr(net, "output_fmt", "NCHW")]  # timm's Swin
        return cls(grid, getattr(net, "num_prefix_tokens", None), last)

    def found_in(self, features: Tensor, image: tuple[int, int]) -> "Layout":
        """Return the layout with nothing left to be found out, from features [B,...] of images of this size (px).

        Raises: UserError for features that are no map, or tokens that form no grid of the image's proportions.
        """
        if features.ndim == 4:
            if self.channels_last is not None:
                return self
            return replace(self, channels_last=self._looks_channels_last(features.shape, image))
        if features.ndim != 3:
            raise UserError(f"{list(features.shape)} is no map [B,C,h,w]")
        tokens = features.shape[1]
        prefixes = [0, 1] if self.prefix is None else [self.prefix]
        if self.grid is not None:
            prefixes = [tokens - self.grid[0] * self.grid[1]]
        fit = [n for n in prefixes if n >= 0 and grid_of(tokens - n, self.grid or image) is not None]
        if not fit:
            raise UserError(f"{tokens} tokens of {image[0]}x{image[1]} px form no grid that is known")
        return replace(self, prefix=fit[0])

    def _looks_channels_last(self, shape: torch.Size, image: tuple[int, int]) -> bool:
        # A grid has the image's proportions. Where both readings have, it is torch's own order.
        _, a, b, c = shape
        if self.grid is not None:
            return (a, b) == self.grid != (b, c)
        return a * image[1] == b * image[0] and b * image[1] != c * image[0]

    def to_map(self, features: Tensor, image: tuple[int, int]) -> Tensor:
        """Return features as [B,C,h,w], a view; raises UserError where their tokens form no grid."""
        if features.ndim == 4:
            return features.permute(0, 3, 1, 2) if self.channels_last else features
        tokens = features.shape[1] - self.prefix
        grid = grid_of(tokens, self.grid or image)
        if grid is None:
            raise UserError(f"{tokens} tokens of {image[0]}x{image[1]} px form no grid that is known")
        return features[:, self.prefix :].transpose(1, 2).unflatten(2, grid)

    def filled_with(self, vector: Tensor, features: Tensor) -> Tensor:
        """Return features of the same layout that hold one vector [B,C] at every place."""
        if features.ndim == 4:
            vector = vector[:, None, None] if self.channels_last else vector[:, :, None, None]
        else:
            vector = vector[:, None]
        return vector.expand_as(features)


def grid_of(tokens: int, proportions: tuple[int, int]) -> tuple[int, int] | None:
    """Return the rows and columns of a grid of that many tokens and those proportions (h, w); None: there is none."""
    h = round((tokens * proportions[0] / proportions[1]) ** 0.5)
    w = tokens // h if h else 0
    return (h, w) if h * w == tokens > 0 and h * proportions[1] == w * proportions[0] else None


def may_show(grid: tuple[int, int], image: tuple[int, int]) -> bool:
    """Return whether a map of these rows and columns may be of images of this height and width.

    Its cells are at most twice as long one way as the other, give or take a row and a column that were rounded.
    """
    (h, w), (height, width) = grid, image
    return (h - 1) * width <= 2 * (w + 1) * height and (w - 1) * height <= 2 * (h + 1) * width


def tensor_of(output: Any, names: tuple[str, ...] = ("last_hidden_state",)) -> Tensor:
    """Return the features in what a module gave: itself, the first that an object has of `names`, a tuple's first.

    Raises: UserError for anything else.
    """
    if isinstance(output, Tensor):
        return output
    for name in names:
        value = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(value, Tensor):
            return value
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    raise UserError(f"{type(output).__name__} is no tensor, and has none at {' or '.join(names)}")


class Kept:
    """A forward hook that keeps what its module gave while `wanted`; it stays for the module's life.

    A hook that comes and goes with a pass would break the graph of torch.compile. Not a closure: a copied network has a
    copy of its own.
    """

    def __init__(self) -> None:
        self.wanted, self.output = False, None

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep a copy: what follows may work in place, such as ReLU(inplace=True)."""
        if self.wanted:
            self.output = tensor_of(output).clone()

    def taken(self) -> Tensor | None:
        """Return what was kept, and keep it no longer."""
        output, self.output = self.output, None
        return output
