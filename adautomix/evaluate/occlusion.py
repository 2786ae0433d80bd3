"""Occlusion: how much is recognised when random patches of an image are missing (PatchDrop).

Naseer et al. 2021, "Intriguing Properties of Vision Transformers", section 3.1; the paper's Figure 3. Each image has
its own order of patches, so masks are nested: what is missing at 30 % is missing at 40 %. Every network sees the same
masks. What a reader gets wrong: a patch filled with black is not one filled with the mean colour; networks mind.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.checks import correct, require_eval, require_images, require_pixels
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import generator_for

RATIOS = tuple(r / 10 for r in range(11))
GRID = 14
"""Most patches a side: Naseer et al. have 14 at 224 px; the default is the largest that divides the image."""


def patchdrop(
    x: Float[Tensor, "B 3 H W"],
    ratio: float,
    *,
    grid: int,
    index: Int[Tensor, " _"],
    seed: int = 0,
    fill: str | Float[Tensor, " 3"] = "black",
) -> Float[Tensor, "B 3 H W"]:
    """Return the images with round(ratio grid^2) of their patches filled, a new tensor.

    Args:
        x: images in [0,1].
        grid: patches a side; must divide both sides of the image.
        index: which images of the test set these are: an image has the same order of patches in any batch.
        fill: "black", "mean" (each image's own mean colour), or a colour in [0,1].
    Raises: UserError for a ratio, grid, fill or index that does not fit.
    """
    require_pixels(x)
    if not 0 <= ratio <= 1:
        raise UserError(f"ratio must be in [0,1], got {ratio}")
    require_grid(grid, x.shape[2], x.shape[3])
    if index.shape != (len(x),):
        raise UserError(f"index must have one number an image, {len(x)}; got {tuple(index.shape)}")
    gone = dropped(orders(index.tolist(), grid, seed), ratio).view(-1, 1, grid, grid).to(x.device, non_blocking=True)
    gone = gone.repeat_interleave(x.shape[2] // grid, dim=2).repeat_interleave(x.shape[3] // grid, dim=3)
    return torch.where(gone, _colour(x, fill), x)


def orders(index: Sequence[int], grid: int, seed: int) -> Int[Tensor, "B cells"]:
    """Return the rank of every cell of every image: cells of the lowest ranks are dropped first."""
    draws = [torch.randperm(grid**2, generator=generator_for(seed, "patchdrop", grid, i)) for i in index]
    return torch.stack(draws)


def dropped(order: Int[Tensor, "B cells"], ratio: float) -> Tensor:
    """Return a bool [B,cells]: True where a patch is dropped; the same number for every image."""
    return order < round(ratio * order.shape[1])


def occlusion_curve(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    grid: int | None = None,
    ratios: Sequence[float] = RATIOS,
    seed: int = 0,
    fill: str | Float[Tensor, " 3"] = "black",
    head: str = "one",
) -> list[dict[str, float]]:
    """Return accuracy (%) against the share of patches dropped: rows of `ratio`, `top1` and `n`.

    Args:
        batches: of `x` in [0,1], `y` and `index`.
        grid: patches a side; by default 14 at 224 px, 8 at 32 px, see `default_grid`.
    Raises: UserError for a model in train mode, no images, or outputs that are not finite; and as `patchdrop`.
    """
    return _grid_and_curve(model, batches, grid, ratios, seed, fill, head)[1]


def _grid_and_curve(
    model: nn.Module, batches: Iterable[Any], grid: int | None, ratios: Sequence[float], seed: int, fill: Any, head: str
) -> tuple[int, list[dict[str, float]]]:
    require_eval(model)
    right, count = torch.zeros(len(ratios)), 0
    for x, y, index in batches:
        grid = grid or default_grid(x.shape[2], x.shape[3])
        for i, ratio in enumerate(ratios):
            occluded = patchdrop(x, ratio, grid=grid, index=index, seed=seed, fill=fill)
            with torch.no_grad():
                right[i] += correct(model(occluded, heads=(head,)).logits[head], y).sum().cpu()
        count += len(y)
    require_images(count)
    rows = zip(ratios, right.tolist(), strict=True)
    return grid, [{"ratio": ratio, "top1": 100 * number / count, "n": count} for ratio, number in rows]


def default_grid(height: int, width: int) -> int:
    """Return the most patches a side, up to 14, that divide both sides into patches of 2 px or more."""
    for grid in range(GRID, 1, -1):
        if height % grid == width % grid == 0 and min(height, width) >= 2 * grid:
            return grid
    raise UserError(f"no grid of 2 to {GRID} divides {height}x{width} px into patches: resize the images")


def require_grid(grid: int, height: int, width: int) -> None:
    """Raise UserError, with the grids that would do, unless `grid` divides both sides."""
    if grid < 1 or height % grid or width % grid:
        fitting = [n for n in range(1, min(height, width) + 1) if height % n == width % n == 0]
        raise UserError(f"grid={grid} does not divide {height}x{width} px; one of {fitting} does")


def _colour(x: Float[Tensor, "B 3 H W"], fill: str | Tensor) -> Tensor:
    if isinstance(fill, Tensor):
        if fill.shape != (3,) or fill.min() < 0 or fill.max() > 1:
            raise UserError(f"a fill colour is three numbers in [0,1], got {fill.tolist()}")
        return fill.to(x).view(1, 3, 1, 1)
    if fill == "mean":
        return x.mean(dim=(2, 3), keepdim=True)
    if fill != "black":
        raise UserError(f'fill must be "black", "mean" or a colour, got {fill!r}')
    return torch.zeros((), device=x.device, dtype=x.dtype)


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the occlusion result a Run stores: the curve, its mean, and accuracy at half the patches (%)."""
    grid, curve = _grid_and_curve(model, batches, None, RATIOS, 0, "black", "one")
    tops = [row["top1"] for row in curve]
    return {
        "value": {"mean": sum(tops) / len(tops), "half": tops[5], "curve": curve},
        "settings": _settings(grid),
        "n_images": curve[0]["n"],
        "protocol": "PatchDrop, random, one nested order of patches an image, filled before normalisation; eval mode",
    }


def settings(side: int) -> dict[str, Any]:
    """Return what a result on images of this side (px) records of how it was made; UserError as `default_grid`."""
    return _settings(default_grid(side, side))


def _settings(grid: int) -> dict[str, Any]:
    return {"grid": grid, "fill": "black", "seed": 0, "head": "one", "precision": "float32"}
