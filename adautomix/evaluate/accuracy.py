"""Accuracy on clean images: top-1, top-5, per class, and the cross-entropy.

Every image of the test set counts once, through the `one` head; in float32, unless training asked for less.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.batching import full_float32, logits_of
from adautomix.evaluate.checks import (
    channels_of,
    require_eval,
    require_finite,
    require_images,
    require_labels,
    require_pixels,
)

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Predictions:
    """`logits` [M,K] and class ids `labels` [M] of a whole test set, on the CPU."""

    logits: Float[Tensor, "M K"]
    labels: Int[Tensor, " M"]

    @classmethod
    def joined(cls, parts: "Sequence[Predictions]") -> "Predictions":
        """Return the predictions of several parts of a test set as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(torch.cat([part.logits for part in parts]), torch.cat([part.labels for part in parts]))


def predict(model: nn.Module, batches: Iterable[Any]) -> Predictions:
    """Return the logits of every test image, in order.

    Args:
        model: a Classifier in eval mode.
        batches: of `x` in [0,1] and `y`, on the model's device.
    Raises: UserError for a model in train mode, pixels outside [0,1], labels that are no class ids, or no images.
    """
    return predict_each([model], batches)[0]


@torch.no_grad()
@full_float32()
def predict_each(
    models: Sequence[nn.Module], batches: Iterable[Any], precision: Precision = "float32"
) -> list[Predictions]:
    """Return what `predict` gives for each of several models, which see every batch together: it is read once."""
    for model in models:
        require_eval(model)
    logits, labels = [[] for _ in models], []
    for x, y, *_ in batches:
        if not labels:
            require_pixels(x, channels_of(models[0]))  # the first tells; a check of each would stop a GPU every time
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            for model, seen in zip(models, logits, strict=True):
                seen.append(logits_of(model, x).float())
        labels.append(y)
    require_images(len(labels))
    truth = torch.cat(labels).cpu()  # counted in float64, which not all GPUs have
    require_labels(truth, sum(map(len, logits[0])), logits[0][0].shape[1])
    return [Predictions(torch.cat(seen).cpu(), truth) for seen in logits]


def predict_finite(model: nn.Module, batches: Iterable[Any]) -> Predictions:
    """Return what `predict` does; a UserError also for outputs that are not finite.

    Not in `predict` itself: training looks at the loss of a network that diverges.
    """
    predictions = predict(model, batches)
    require_finite(predictions.logits)
    return predictions


def accuracy_metrics(predictions: Predictions) -> dict[str, Any]:
    """Return `top1`, `top5`, `balanced` and `per_class` in percent, and the mean cross-entropy `loss` in nats.

    `balanced` is the mean over classes, each counting alike however many images it has. A class without test images
    has None, and is not in it. With fewer than five classes top5 is of all of them, so 100.
    """
    logits, labels = predictions.logits, predictions.labels.long()
    classes = logits.shape[1]
    first = logits.argmax(dim=1) == labels  # of equal logits the first, as in all evaluators; topk takes any
    five = (logits.topk(min(5, classes), dim=1).indices == labels[:, None]).any(dim=1) | first
    correct = first.double()
    total, right = (torch.bincount(labels, weights=w, minlength=classes) for w in (None, correct))
    per_class = [100 * r / t if t else None for r, t in zip(right.tolist(), total.tolist(), strict=True)]
    there = [value for value in per_class if value is not None]
    return {
        "top1": 100 * correct.mean().item(),
        "top5": 100 * five.double().mean().item(),
        "balanced": sum(there) / len(there),
        "loss": F.cross_entropy(logits, labels).item(),
        "per_class": per_class,
    }


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the result a Run stores: value, settings, number of images and protocol.

    Raises: UserError as `predict`, and for outputs that are not finite.
    """
    return accuracy_result(predict_finite(model, batches))


def accuracy_result(predictions: Predictions, precision: Precision = "float32") -> dict[str, Any]:
    """Return what `evaluate` does, of predictions that were made already."""
    return {
        "value": accuracy_metrics(predictions),
        "settings": settings() | {"precision": precision},
        "n_images": len(predictions.labels),
        "protocol": "every test image once, no augmentation, eval mode",
    }


def settings(side: int | None = None) -> dict[str, Any]:
    """Return what a result records of how it was made; the same for images of any side (px)."""
    return {"head": "one", "precision": "float32"}
