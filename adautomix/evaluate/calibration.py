"""Calibration: does a network that says 80 % get 80 % right?

Naeini et al. 2015, Guo et al. 2017 (ECE, Eq. 3; MCE, Eq. 5). Bins are closed on the right, so a confidence of exactly 1
is in the last one. What a reader gets wrong: the released "ECE" sorts the bins' accuracies and confidences apart, so it
compares the accuracy of one bin with the confidence of another and can be 0 for a network that is never right.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.accuracy import Predictions, predict_finite
from adautomix.evaluate.checks import require_scores
from adautomix.utils.errors import UserError

BINS = 15
RELEASED_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy.

    Attributes:
        ece, mce: mean over images, and maximum over bins, of |accuracy - confidence|; fractions.
        counts: images in every bin (a, b] of confidence.
        accuracy, confidence: means of every bin, fractions; nan where a bin is empty.
    """

    ece: float
    mce: float
    counts: Int[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    confidence: Float[Tensor, " bins"]


def calibration_metrics(
    values: Float[Tensor, "M K"], labels: Int[Tensor, " M"], *, kind: str, bins: int = BINS
) -> Calibration:
    """Return how well the largest probability of every image fits the share of images that are right.

    Args:
        kind: "logits" or "probabilities": what `values` are.
        bins: of equal width.
    Raises: UserError for no images, another kind, probabilities that do not sum to 1, or labels out of range.
    """
    conf, correct = confidence_and_correct(values, labels, kind)
    if bins < 1:
        raise UserError(f"bins must be 1 or more, got {bins}")
    counts, accuracy, confidence = bin_means(conf, correct, bins)
    gap = (accuracy - confidence).abs()[counts > 0]
    share = counts[counts > 0].double() / len(conf)
    return Calibration((share * gap).sum().item(), gap.max().item(), counts, accuracy, confidence)


def confidence_and_correct(
    values: Float[Tensor, "M K"], labels: Int[Tensor, " M"], kind: str
) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
    """Return every image's largest probability and whether its class is right (1 or 0), in float64."""
    if kind not in ("logits", "probabilities"):
        raise UserError(f"kind must be logits or probabilities, got {kind!r}")
    require_scores(values, labels, kind)
    rounding = max(1e-4, torch.finfo(values.dtype).eps) if values.is_floating_point() else 0  # float16 sums to 1.0005
    values = values.double()
    if kind == "probabilities" and ((values.sum(dim=1) - 1).abs().max() > rounding or values.min() < 0):
        raise UserError("the probabilities of an image must be zero or more and sum to 1; if they are logits, say so")
    conf = (values.softmax(dim=1) if kind == "logits" else values).amax(dim=1)
    return conf, (values.argmax(dim=1) == labels).double()


def bin_means(
    conf: Float[Tensor, " M"], correct: Float[Tensor, " M"], bins: int
) -> tuple[Int[Tensor, " bins"], Float[Tensor, " bins"], Float[Tensor, " bins"]]:
    """Return counts, mean accuracy and mean confidence of bins ((k-1)/bins, k/bins]; means of empty bins are nan."""
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    place = torch.bucketize(conf.double(), edges)
    counts = torch.bincount(place, minlength=bins)
    accuracy, confidence = (torch.bincount(place, part.double(), minlength=bins) / counts for part in (correct, conf))
    return counts, accuracy, confidence


def ece_released(
    values: Float[Tensor, "M K"], labels: Int[Tensor, " M"], *, kind: str, bins: int = RELEASED_BINS
) -> float:
    """Return the released "ECE", a fraction: bins' accuracies and confidences are each sorted, their counts are not.

    Equal to the ECE of so many bins if accuracy rises with confidence and no bin above the lowest filled one is empty:
    an empty bin enters both sorts as 0, which is the place of those below.
    """
    conf, correct = confidence_and_correct(values, labels, kind)
    counts, accuracy, confidence = (part.nan_to_num(0) for part in bin_means(conf, correct, bins))
    gap = (accuracy.sort().values - confidence.sort().values).abs()
    return (counts * gap).sum().item() / len(conf)


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the calibration result a Run stores: ECE, MCE and the released code's "ECE" in percent, and every bin."""
    return calibration_result(predict_finite(model, batches))


def calibration_result(predictions: Predictions) -> dict[str, Any]:
    """Return what `evaluate` does, of predictions that were made already."""
    result = calibration_metrics(predictions.logits, predictions.labels, kind="logits")
    rows = zip(result.counts.tolist(), result.accuracy.tolist(), result.confidence.tolist(), strict=True)
    bins = [{"count": n, "accuracy": a, "confidence": c} if n else {"count": 0} for n, a, c in rows]
    released = ece_released(predictions.logits, predictions.labels, kind="logits")
    return {
        "value": {"ece": 100 * result.ece, "mce": 100 * result.mce, "released_ece": 100 * released, "bins": bins},
        "settings": settings(),
        "n_images": len(predictions.labels),
        "protocol": "clean test images, largest softmax probability, equal-width bins closed on the right",
    }


def settings(side: int | None = None) -> dict[str, Any]:
    """Return what a result records of how it was made; the same for images of any side (px)."""
    bins = {"bins": BINS, "released_bins": RELEASED_BINS}
    return bins | {"head": "one", "precision": "float32", "temperature": 1.0}
