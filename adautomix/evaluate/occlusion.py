"""Occlusion: how much is recognised when random patches of an image are missing (PatchDrop).

Naseer et al. 2021, "Intriguing Properties of Vision Transformers", section 3.1; the paper's Figure 3. Each image has
its own order of patches, so masks are nested: what is missing at 30 % is missing at 40 %. Every network sees the same
masks. Patches are filled with black before normalisation; another colour gives other accuracies.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from adautomix.evaluate.batching import count_right, logits_of
from adautomix.evaluate.checks import require_index, require_pixels
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import generator_for

RATIOS = tuple(r / 10 for r in range(11))
GRID = 14
"""Most patches a side: Naseer et al. have 14 at 224 px; the default is the largest that divides the image."""


def patchdrop(
    x: Float[Tensor, "B C H W"],
    ratio: float,
    *,
    grid: int,
    index: Tensor,
    seed: int = 0,
    fill: str | Float[Tensor, " C"] = "black",
) -> Float[Tensor, "B C H W"]:
    """Return the images with round(ratio grid^2) of their patches filled, a new tensor.

    Args:
        x: images in [0,1].
        grid: patches a side; must divide both sides of the image.
        index: which images of the test set these are: an image has the same order of patches in any batch.
        fill: "black", "mean" (each image's own mean colour), or a colour in [0,1].
    Raises: UserError for a ratio, grid, fill or index that does not fit.
    """
    require_pixels(x, None)
    if not 0 <= ratio <= 1:
        raise UserError(f"ratio must be in [0,1], got {ratio}")
    height, width = x.shape[2:]
    if grid < 1 or height % grid or width % grid:
        fitting = [n for n in range(1, min(height, width) + 1) if height % n == width % n == 0]
        raise UserError(f"grid={grid} does not divide {height}x{width} px; one of {fitting} does")
    require_index(index, len(x))
    gone = dropped(orders(index.tolist(), grid, seed), ratio).view(-1, grid, grid)
    return fill_patches(x, gone, _colour(x, fill))


def orders(index: Sequence[int], grid: int, seed: int) -> Int[Tensor, "B cells"]:
    """Return the rank of every cell of every image: cells of the lowest ranks are dropped first."""
    return torch.stack([torch.randperm(grid**2, generator=generator_for(seed, "patchdrop", grid, i)) for i in index])


def dropped(order: Int[Tensor, "B cells"], ratio: float) -> Bool[Tensor, "B cells"]:
    """Return where a patch is dropped; the same number for every image."""
    return order < round(ratio * order.shape[1])


def fill_patches(
    x: Float[Tensor, "B C H W"], gone: Bool[Tensor, "_ n n"], colour: Float[Tensor, "..."]
) -> Float[Tensor, "B C H W"]:
    """Return the images with the patches that are `gone`, of n x n, in a colour; one mask may serve all."""
    gone = gone[:, None].to(x.device, non_blocking=True)
    tall, wide = x.shape[2] // gone.shape[2], x.shape[3] // gone.shape[3]
    return torch.where(gone.repeat_interleave(tall, dim=2).repeat_interleave(wide, dim=3), colour, x)


def default_grid(height: int, width: int) -> int:
    """Return the most patches a side, up to 14, that divide both sides into patches of 2 px or more: 8 at 32 px."""
    for grid in range(GRID, 1, -1):
        if height % grid == width % grid == 0 and min(height, width) >= 2 * grid:
            return grid
    raise UserError(f"no grid of 2 to {GRID} divides {height}x{width} px into patches: resize the images")


def _colour(x: Float[Tensor, "B C H W"], fill: str | Tensor) -> Tensor:
    if isinstance(fill, Tensor):
        if fill.shape != (x.shape[1],) or fill.min() < 0 or fill.max() > 1:
            raise UserError(f"a fill colour is {x.shape[1]} numbers in [0,1], one a channel; got {fill.tolist()}")
        return fill.to(x).view(1, -1, 1, 1)
    if fill == "mean":
        return x.mean(dim=(2, 3), keepdim=True)
    if fill != "black":
        raise UserError(f'fill must be "black", "mean" or a colour, got {fill!r}')
    return torch.zeros((), device=x.device, dtype=x.dtype)


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the occlusion result a Run stores: the curve, its mean, and accuracy at half the patches (%).

    Raises: UserError for a model in train mode, no images, or outputs that are not finite; and as `default_grid`.
    """

    def versions(x: Tensor, y: Tensor, index: Tensor) -> Iterator[tuple[float, Tensor]]:
        grid = default_grid(*x.shape[2:])
        for ratio in RATIOS:
            yield ratio, logits_of(model, patchdrop(x, ratio, grid=grid, index=index))

    counts = count_right(model, batches, versions)
    curve = [{"ratio": ratio, "top1": counts.top1(ratio), "n": counts.n} for ratio in RATIOS]
    return {
        "value": {"mean": sum(row["top1"] for row in curve) / len(curve), "half": counts.top1(0.5), "curve": curve},
        "settings": settings(*counts.size),
        "n_images": counts.n,
        "protocol": "PatchDrop, random, one nested order of patches an image, filled before normalisation; eval mode",
    }


def settings(height: int, width: int | None = None) -> dict[str, Any]:
    """Return what a result on images of this size (px; square by default) records; UserError as `default_grid`."""
    grid = default_grid(height, width or height)
    return {"grid": grid, "fill": "black", "seed": 0, "head": "one", "precision": "float32"}
