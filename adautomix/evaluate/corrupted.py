"""Accuracy on corrupted test images: the 15 corruptions of CIFAR-C and ImageNet-C at five severities.

Hendrycks and Dietterich 2019. For CIFAR the authors average plainly, over severities and then corruptions; the division
by AlexNet's errors belongs to ImageNet. What a reader gets wrong: the released AdAutoMix code averages 19 corruptions,
four of them meant for validation only, and all these means weigh a cell alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adautomix.errors import UserError
from adautomix.evaluate.checks import require_eval
from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4, corrupt

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
    table: str | None = None,
    seed: int = 0,
    head: str = "one",
) -> CorruptionTable:
    """Return the accuracy of every corruption and severity, made anew with the same pixels for every network.

    Args:
        batches: of `x` in [0,1], `y` and `index`.
        table: whose severities; by default what fits the images: "cifar" up to 32 px, "tiny" up to 63, else "imagenet".
    """
    require_eval(model)
    right, count = {name: torch.zeros(len(severities)) for name in names}, 0
    for x, y, index in batches:
        chosen = table or default_table(max(x.shape[2:]))
        for name in names:
            for i, severity in enumerate(severities):
                corrupted = corrupt(x, name, severity, table=chosen, seed=seed, index=index)
                right[name][i] += _hits(model, corrupted, y, head)
        count += len(y)
    if not count:
        raise UserError("there are no test images")
    return CorruptionTable({name: (100 * hits / count).tolist() for name, hits in right.items()}, count)


def default_table(side: int) -> str:
    """Return the severity table for images of this side (px)."""
    return "cifar" if side <= 32 else "tiny" if side < 64 else "imagenet"


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the corruption result a Run stores: means over the 15, and over the released code's 19, and all cells."""
    whole = corruption_table(model, batches, names=(*CORRUPTIONS15, *CORRUPTIONS_EXTRA4))
    standard = CorruptionTable({name: whole.top1[name] for name in CORRUPTIONS15}, whole.n)
    return {
        "value": {
            "top1": standard.mean_accuracy(),
            "error": standard.mce(),
            "released_top1": whole.mean_accuracy(),
            "table": whole.top1,
        },
        "settings": {"seed": 0, "severities": list(SEVERITIES), "source": "regenerated", "head": "one"},
        "n_images": whole.n,
        "protocol": "mean over five severities, then 15 corruptions (released_top1: 19), unnormalised; severity table "
        "by the images' size; motion blur is not ImageMagick's, frost has a made-up texture",
    }


def _hits(model: nn.Module, x: Tensor, y: Tensor, head: str) -> Tensor:
    return (model(x, heads=(head,)).logits[head].argmax(dim=1) == y).sum().cpu()
