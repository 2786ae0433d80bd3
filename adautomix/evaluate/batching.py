"""Test batches: counting the right answers on changed images, and batches of one size whatever the loader's.

A loader's batches are as large as its device likes (100 images on a CPU, 1000 on a GPU). Where random numbers are drawn
for a batch, the result would depend on the machine: such evaluators take `fixed_batches`.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adautomix.evaluate.checks import (
    channels_of,
    require_eval,
    require_finite,
    require_images,
    require_labels,
    require_pixels,
)

BATCH = 100
"""Images that share random numbers where a method draws them for a batch (the released occlusion, AutoAttack); recorded
in the results' settings. The released mask falls on all of them alike, so another number is another result."""


class Counts(NamedTuple):
    """`right`: right answers (top-1) by version of the images; `n`: images seen; `size`: their height and width, px."""

    right: dict[Hashable, int]
    n: int
    size: tuple[int, int]

    def top1(self, version: Hashable) -> float:
        """Return the accuracy on one version, in percent."""
        return 100 * self.right[version] / self.n


def logits_of(model: nn.Module, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
    """Return the logits of head `one`, the one that every evaluator looks at."""
    return model(x, heads=("one",)).logits["one"]


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 in float32: by default torch lets convolutions on NVIDIA's GPUs round to TF32, of 10 bits."""
    backends = torch.backends
    if hasattr(backends.cudnn, "conv"):  # torch 2.9; whoever has used it may not ask for allow_tf32 any more
        name, full, kinds = "fp32_precision", "ieee", (backends.cudnn.conv, backends.cuda.matmul)
    else:
        name, full, kinds = "allow_tf32", False, (backends.cudnn, backends.cuda.matmul)
    before = [getattr(kind, name) for kind in kinds]
    try:
        for kind in kinds:
            setattr(kind, name, full)
        yield
    finally:
        for kind, was in zip(kinds, before, strict=True):
            setattr(kind, name, was)


@torch.no_grad()
@full_float32()
def count_right(
    model: nn.Module,
    batches: Iterable[Any],
    versions: Callable[[Tensor, Tensor, Tensor], Iterable[tuple[Hashable, Tensor]]],
) -> Counts:
    """Return how many images of a test set are answered right, in each of several versions.

    Args:
        batches: of `x` in [0,1], `y` and, if they have it, `index`; without it images are numbered as they come.
        versions: called with a batch's `x`, `y` and `index`; gives pairs of a version's name and its logits [B,K].
            Runs without gradients unless it asks for them.
    Raises: UserError for a model in train mode, pixels outside [0,1], labels that are no class ids [B], no
        images, or logits that are not finite.
    """
    require_eval(model)
    correct, worst, count, size = {}, [], 0, (0, 0)
    classes = getattr(model, "num_classes", None)  # a wrapper does not say it; its logits do
    for x, y, *rest in batches:
        require_pixels(x, channels_of(model))
        require_labels(y, len(x), classes)
        index = rest[0] if rest else torch.arange(count, count + len(y), device=y.device)
        for name, logits in versions(x, y, index):
            if classes is None:
                classes = logits.shape[1]
                require_labels(y, len(x), classes)
            worst.append(logits.abs().max())
            correct[name] = correct.get(name, 0) + (logits.argmax(dim=1) == y).sum()
        count, size = count + len(y), tuple(x.shape[-2:])
    require_images(count)
    require_finite(torch.stack(worst))  # once, as the counts: a GPU is waited for each time
    return Counts(dict(zip(correct, torch.stack(list(correct.values())).tolist(), strict=True)), count, size)


def small_batches(batches: Iterable[Any], size: int = BATCH) -> Iterator[tuple[Tensor, ...]]:
    """Yield each batch in parts of at most `size` images, with all that it holds: gradients take much memory."""
    for batch in batches:
        for start in range(0, len(batch[1]), size):
            yield tuple(part[start : start + size] for part in batch)


def fixed_batches(batches: Iterable[Any], size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
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
