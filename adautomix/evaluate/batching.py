"""Batches as an evaluator needs them, whatever the loader's: numbered, only the first, or of one size.

What a reader gets wrong: a loader's batches are as large as its device likes (100 images on a CPU, 500 on a GPU). A
result whose random numbers are drawn for a batch would then depend on the machine.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

BATCH = 100
"""Images that share random numbers where a method draws them for a batch (the released occlusion, AutoAttack); recorded
in the results' settings. The released mask falls on all of them alike, so another number is another result."""


def take(batches: Iterable[Any], most: int | None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield `x`, `y` and `index` of up to `most` images in all, the last batch cut; None: of all.

    Args:
        batches: of `x`, `y` and, if they have it, `index`; without it images are numbered as they come.
    """
    seen = 0
    for x, y, *rest in batches:
        index = rest[0] if rest else torch.arange(seen, seen + len(y), device=y.device)
        left = len(y) if most is None else most - seen
        yield x[:left], y[:left], index[:left]
        seen += len(y)
        if most is not None and seen >= most:
            return


def rebatched(batches: Iterable[Any], size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the same `x` and `y` in the same order, `size` images at a time and what is left over in the end."""
    rest: tuple[Tensor, ...] = ()
    for batch in batches:
        x, y = (torch.cat(parts) for parts in zip(rest, batch[:2], strict=True)) if rest else batch[:2]
        whole = len(y) - len(y) % size
        for start in range(0, whole, size):
            yield x[start : start + size], y[start : start + size]
        rest = (x[whole:], y[whole:])
    if rest and len(rest[1]):
        yield rest
