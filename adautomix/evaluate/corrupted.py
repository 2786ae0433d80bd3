"""Accuracy on corrupted test images: the 15 corruptions of CIFAR-C and ImageNet-C at five severities.

Hendrycks and Dietterich 2019. For CIFAR the authors average plainly, over severities and then corruptions; the division
by AlexNet's errors belongs to ImageNet. What a reader gets wrong: the released AdAutoMix code averages 19 corruptions,
four of them meant for validation only, and all these means weigh a cell alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from adautomix.evaluate.checks import correct, require_eval, require_images
from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4
from adautomix.evaluate.corruptions.sources import Made, Source
from adautomix.utils.errors import UserError

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class CorruptionTable:
    """`top1`: accuracy (%) of every corruption, a list over severities; `n`: images a cell."""

    top1: dict[str, list[float]]
    n: int

    def mean_accuracy(self) -> float:
        """Return the mean over severities, then over corruptions, in percent."""
        means = [sum(row) / len(row) for row in self.top1.values()]
        return sum(means) / len(means)

    def mce(self, baseline: "CorruptionTable | None" = None) -> float:
        """Return the mean corruption error in percent.

        Args:
            baseline: another network's table; each corruption's mean error is divided by the baseline's (ImageNet-C:
                AlexNet). None: the plain mean error, "unnormalised".
        Raises: UserError for a baseline of other corruptions.
        """
        if baseline is None:
            return 100 - self.mean_accuracy()
        if set(baseline.top1) != set(self.top1):
            raise UserError("the baseline's table has other corruptions: evaluate both on the same")
        ratios = [sum(100 - t for t in row) / sum(100 - t for t in baseline.top1[k]) for k, row in self.top1.items()]
        return 100 * sum(ratios) / len(ratios)


@torch.no_grad()
def corruption_table(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    names: Sequence[str] = CORRUPTIONS15,
    severities: Sequence[int] = SEVERITIES,
    source: Source | None = None,
    head: str = "one",
) -> CorruptionTable:
    """Return the accuracy of every corruption and severity; every network sees the same pixels.

    Args:
        batches: of `x` in [0,1], `y` and `index`.
        source: where the corrupted images come from (`corruptions.sources`); by default they are made as needed.
    Raises: UserError for a model in train mode, no images, or outputs that are not finite; and as the source does.
    """
    require_eval(model)
    source = source or Made()
    right, count = {name: torch.zeros(len(severities)) for name in names}, 0
    for x, y, index in batches:
        for name in names:
            for i, severity in enumerate(severities):
                logits = model(source(x, index, name, severity), heads=(head,)).logits[head]
                right[name][i] += correct(logits, y).sum().cpu()
        count += len(y)
    require_images(count)
    return CorruptionTable({name: (100 * row / count).tolist() for name, row in right.items()}, count)


def evaluate(model: nn.Module, batches: Iterable[Any], *, source: Source | None = None) -> dict[str, Any]:
    """Return the corruption result a Run stores: means over the 15, and over the released code's 19, and all cells."""
    source = source or Made()
    whole = corruption_table(model, batches, names=(*CORRUPTIONS15, *CORRUPTIONS_EXTRA4), source=source)
    standard = CorruptionTable({name: whole.top1[name] for name in CORRUPTIONS15}, whole.n)
    published = source.settings["source"] == "published"
    made = "" if published else "; made anew: motion blur is not ImageMagick's, frost has a made-up texture"
    return {
        "value": {
            "top1": standard.mean_accuracy(),
            "error": standard.mce(),
            "released_top1": whole.mean_accuracy(),
            "table": whole.top1,
        },
        "settings": settings(source.settings),
        "n_images": whole.n,
        "protocol": f"mean over five severities, then 15 corruptions (released_top1: 19), unnormalised{made}",
    }


def settings(source: dict[str, Any]) -> dict[str, Any]:
    """Return what a result records of how it was made; `source`: the settings of where its images came from."""
    return source | {"severities": list(SEVERITIES), "head": "one"}
