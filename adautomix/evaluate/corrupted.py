"""Accuracy on corrupted test images: the 15 corruptions of CIFAR-C and ImageNet-C at five severities.

Hendrycks and Dietterich 2019. For CIFAR the authors average plainly, over severities and then corruptions; the division
by AlexNet's errors belongs to ImageNet. What a reader gets wrong: the released AdAutoMix code averages 19 corruptions,
four of them meant for validation only. Both means are stored; `top1` and `error` are over the 15.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adautomix.evaluate.batching import count_right, logits_of
from adautomix.evaluate.corruption_source import MadeOnDemand, Source
from adautomix.evaluate.corruptions import ALL19, CORRUPTIONS15, SEVERITIES


def corruption_table(
    model: nn.Module, batches: Iterable[Any], *, names: Iterable[str] = ALL19, source: Source | None = None
) -> tuple[dict[str, list[float]], int]:
    """Return the accuracy (%) of every corruption, a list over severities, and the number of images in a cell.

    Args:
        batches: of `x` in [0,1], `y` and `index`.
        source: where the corrupted images come from; by default they are made as needed. The pixels are the same for
            every network.
    Raises: UserError for a model in train mode, no images, or outputs that are not finite; and as the source does.
    """
    source = source or MadeOnDemand()
    names = tuple(dict.fromkeys(names))  # looked through for every batch, and counted by name

    def versions(x: Tensor, y: Tensor, index: Tensor) -> Iterator[tuple[tuple[str, int], Tensor]]:
        for name in names:
            for severity in SEVERITIES:
                yield (name, severity), logits_of(model, source(x, index, name, severity))

    counts = count_right(model, batches, versions)
    right = {name: torch.tensor([counts.right[name, severity] for severity in SEVERITIES]) for name in names}
    return {name: (100 * row / counts.n).tolist() for name, row in right.items()}, counts.n


def mean_accuracy(table: dict[str, list[float]], names: Sequence[str]) -> float:
    """Return the mean over severities, then over these corruptions, in percent."""
    return sum(sum(table[name]) / len(table[name]) for name in names) / len(names)


def evaluate(model: nn.Module, batches: Iterable[Any], *, source: Source | None = None) -> dict[str, Any]:
    """Return the corruption result a Run stores: means over the 15, and over the released code's 19, and all cells."""
    source = source or MadeOnDemand()
    table, count = corruption_table(model, batches, source=source)
    top1 = mean_accuracy(table, CORRUPTIONS15)
    published = source.settings["source"] == "published"
    made = "" if published else "; made anew: motion blur is not ImageMagick's, frost has a made-up texture"
    return {
        "value": {"top1": top1, "error": 100 - top1, "released_top1": mean_accuracy(table, ALL19), "table": table},
        "settings": settings(source.settings),
        "n_images": count,
        "protocol": f"mean over five severities, then 15 corruptions (released_top1: 19), unnormalised{made}",
    }


def settings(source: dict[str, Any]) -> dict[str, Any]:
    """Return what a result records of how it was made; `source`: the settings of where its images came from."""
    return source | {"severities": list(SEVERITIES), "head": "one"}
