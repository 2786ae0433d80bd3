"""Temperature scaling: one number that makes a network as sure as it should be, without changing its answers.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2. The temperature is chosen on validation
images: chosen on the test images it would hide the error they are to show, unless each image is judged by a temperature
that others gave (`cross_fit`).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.evaluate.checks import require_scores
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import generator_for

LIMITS = (0.01, 100.0)
"""Temperatures looked at: a best one outside is none that few images could tell."""
HALVINGS = 60  # of the logarithm of that range: to 1 part in 10^17, less than float64 can tell apart


def fit_temperature(logits: Float[Tensor, "M K"], labels: Int[Tensor, " _"]) -> float:
    """Return the temperature T > 0 at which the mean cross-entropy of `logits / T` is least.

    T > 1: the network was too sure; T < 1: too modest. The largest logit stays the largest, so accuracy stays.
    The cross-entropy is convex in 1/T: its slope changes sign once, and that place is found by halving, in float64.

    Args:
        logits: of validation images; left untouched.
        labels: class ids [M].
    Raises: UserError for no images, fewer than two classes, numbers that are not finite, labels that do not fit, and
        images that ask for a T outside 0.01 to 100: all are right, or the true classes' logits no higher than others.
    Source: Guo et al. 2017, Eq. 9, with the negative log-likelihood as its loss.
    """
    _check(logits, labels)
    ahead = logits.double() - logits.double().gather(1, labels[:, None].long())  # [M,K]; 0 at the true class
    low, high = map(math.log, LIMITS)
    if _slope(ahead, high) >= 0:
        raise UserError(
            f"no temperature fits: the higher, the better, up to {LIMITS[1]:g}. Of these {len(labels)} images "
            "the network knows next to nothing, or its logits are huge; train it longer, or with a smaller lr"
        )
    if _slope(ahead, low) <= 0:
        right = int((logits.argmax(dim=1) == labels).sum())
        sure = right == len(labels)
        why = "take more images, with some that are hard" if sure else "its logits are all but equal: train longer"
        raise UserError(
            f"no temperature fits: the lower, the better, down to {LIMITS[0]}. {right} of {len(labels)} images are "
            f"answered right; {why}"
        )
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(ahead, middle) > 0 else (low, middle)
    return math.exp((low + high) / 2)


def cross_fit(logits: Float[Tensor, "M K"], labels: Int[Tensor, " _"]) -> tuple[Float[Tensor, "M K"], list[float]]:
    """Return the logits with each half divided by the temperature that the other half gives, and both temperatures.

    Shows how calibrated a network would be with a temperature from images like these, without judging any image by a
    temperature that it helped to choose. The halves are drawn at random, always the same; the logits are float64.

    Raises: UserError for fewer than two images, and as `fit_temperature` for either half.
    """
    if len(logits) < 2:
        raise UserError(f"two halves need two images or more, got {len(logits)}")
    _check(logits, labels)
    order = torch.randperm(len(logits), generator=generator_for(0, "halves", len(logits)))
    halves = order.tensor_split(2)
    temperatures = [fit_temperature(logits[rows], labels[rows]) for rows in reversed(halves)]
    scaled = torch.empty_like(logits, dtype=torch.float64)
    for rows, temperature in zip(halves, temperatures, strict=True):
        scaled[rows] = logits[rows].double() / temperature
    return scaled, temperatures


def _slope(ahead: Float[Tensor, "M K"], log_t: float) -> float:
    """Return the derivative of the mean cross-entropy by 1/T: how far the expected logit is above the true class's."""
    shares = (ahead / math.exp(log_t)).softmax(dim=1)
    return (shares * ahead).sum(dim=1).mean().item()


def _check(logits: Tensor, labels: Tensor) -> None:
    if not len(logits):
        raise UserError("a temperature needs validation images, got none: hold some out, e.g. validation=0.2")
    require_scores(logits, labels, "logits", classes=2)
