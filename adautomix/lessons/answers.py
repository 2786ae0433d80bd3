"""Checks of numbers that a reader worked out: each computes the answer by itself, in another way than the solution.

Each returns "right", or one sentence that says what is off without giving the number away.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from adautomix.config import EmaConfig
from adautomix.lessons.telling import NOTHING, tells
from adautomix.models.ema import momentum
from adautomix.models.generator import MixBlock


@tells
def check_clipping(error: float | None) -> str:
    """Return "right" if `error` is the mean share by which CutMix's label is off where the clipping is forgotten.

    Args:
        error: between 0 and 1, for lam uniform in [0,1] (alpha 1) and a box centred anywhere.
    Source: a side s, uniform centre: s - s²/4 of it stays inside, so the mean is that of u - (√u - u/4)² for uniform u.
    """
    wanted = 1 / 5 - 1 / 48
    if error is not None and abs(_number(error) + wanted) < 0.03:
        return "the size is right; of slot 0's share, is that too much or too little? Give the size"
    return _near(error, wanted, 0.03)  # pixels round sides down: 0.20 at 32 px


@tells
def check_without_relu(change: float | None, weights: Mapping[str, Tensor], features: Tensor, lam: Tensor) -> str:
    """Return "right" if `change` is the largest difference that queries and keys without ReLU make to the masks.

    Args:
        weights: of the generator, by name.
        features, lam: [N,B,C,h,w] and [B,N]; masks are 4 times as large.
    """
    blocks = [MixBlock(features.shape[2], activation=activation) for activation in ("relu", None)]
    for block in blocks:
        block.load_state_dict(weights)
    with_relu, without = (block(features, lam, scale=4.0).detach() for block in blocks)
    gap = (with_relu - without).abs()
    if change is not None and abs(_number(change) - float(gap.mean())) < 0.02 * float(gap.mean()):
        return "that is the mean difference; asked is the largest"
    return _near(change, float(gap.max()), 0.02 * float(gap.max()))


@tells
def check_divided(unchanged: int | None, nats: float | None, scores: Tensor) -> str:
    """Return "right" if nothing changes for `unchanged` images, and the attention's entropy becomes `nats`.

    Args:
        scores: the sums over the other images before the softmax, [N,B,S,S], of N > 2 images.
    """
    if unchanged is None or nats is None:
        return NOTHING
    if unchanged != 2:
        return f"with {unchanged} images the sum is divided by {unchanged - 1}: that changes something"
    shares = torch.softmax(scores / (len(scores) - 1), dim=-1).double()
    return _near(nats, float(-(shares * shares.clamp(min=1e-30).log()).sum(dim=-1).mean()), 0.01, "the entropy")


@tells
def check_plateau(two: float | None, three: float | None, block: MixBlock, features: Tensor, probe: Tensor) -> str:
    """Return "right" if both are the value's gradient over the larger of query's and key's, in length.

    Args:
        two: with queries and keys ten times larger.
        three: with the value ten times larger, too.
        block: a generator as it starts.
        features: [N,1,C,h,w]; the gradient is that of the sum of masks times `probe`, 4 times as large.
    """
    if two is None or three is None:
        return NOTHING
    even = torch.full((1, len(features)), 1 / len(features))
    for words, given, larger in (
        ("queries and keys", two, ("query", "key")),
        ("all three", three, ("query", "key", "value")),
    ):
        changed = MixBlock(features.shape[2])
        changed.load_state_dict({k: v * (10 if k in _weights(larger) else 1) for k, v in block.state_dict().items()})
        value = (changed(features, even, scale=4.0) * probe).sum()
        layers = [changed.query.weight, changed.key.weight, changed.value.weight]
        query, key, last = (float(g.norm()) for g in torch.autograd.grad(value, layers))
        wanted = last / max(query, key)
        if (said := _near(given, wanted, 0.05 * wanted, f"the ratio with {words} larger")) != "right":
            return said
    return "right"


@tells
def check_honest(lam: float | None, masks: Tensor) -> str:
    """Return "right" if `lam` is the share that the first of masks [B,N,H,W] shows of its image."""
    return _near(lam, float(masks[0, 0].detach().double().mean()), 0.01)


@tells
def check_sure(loss: Callable[[float], float]) -> str:
    """Return "right" if `loss(eps)` is L_amce of a student that is sure of one class, 1 - eps, of ten.

    The label gives thirds to that class and to two others, among which and six more the student shares eps evenly.
    """
    for eps in (1e-2, 1e-4):
        given = loss(eps)
        wanted = math.log(9 / eps) * 2 / 3 - math.log1p(-eps) / 3
        known = {
            wanted * 3: "a third of the label is on each class: divide by 3",
            math.log(1 / eps) * 2 / 3 - math.log1p(-eps) / 3: "nine other classes share ε: each has a ninth of it",
        }
        for value, said in known.items():
            if given is not None and abs(_number(given) - value) < 1e-3:
                return said
        if (said := _near(given, wanted, 1e-3, f"the loss at ε = {eps:g}")) != "right":
            return said
    return "right"


@tells
def check_interval(weights: Sequence[float] | None, beta: float = 0.3, interval: int = 4) -> str:
    """Return "right" if `weights` are those of the student's loss, the teacher's and the cosine, on average.

    Of what the released generator minimises, with an adversarial step in every `interval` steps.
    """
    if weights is None:
        return NOTHING
    steps = [(0.0, -beta, 1 - beta) if step % interval == 0 else (0.0, 1.0, 0.0) for step in range(interval)]
    names = ("the student's loss", "the teacher's loss", "the cosine")
    for name, given, wanted in zip(names, weights, np.mean(steps, axis=0), strict=True):
        if (said := _near(given, float(wanted), 0.006, f"the weight of {name}")) != "right":
            return said
    return "right"


@tells
def check_forgotten(steps: int | None) -> str:
    """Return "right" if a run of `steps` steps without the cap leaves 1 % of the start in the teacher, or just less."""
    if steps is None:
        return NOTHING
    config = EmaConfig(warmup=False)
    left, before = (math.prod(momentum(config, k, n) for k in range(n)) for n in (int(steps), int(0.75 * steps)))
    if left >= 0.01:
        return f"too few: {left:.1%} of the start is left after {steps:,} steps"
    return "right" if before >= 0.01 else f"enough, but three quarters of {steps:,} steps would do as well"


@tells
def check_seeds(seeds: Callable[[float, float], int]) -> str:
    """Return "right" if `seeds(gain, sd)` is the least number of pairs of runs whose 95 % interval leaves out 0.

    Args:
        seeds: of the mean gain and the standard deviation of a pair's difference, both in points.
    """
    for gain, sd in ((2.0, 2.0), (1.0, 2.0), (3.0, 0.5)):
        wanted = 2
        while not gain > stats.t.ppf(0.975, wanted - 1) * sd / math.sqrt(wanted):
            wanted += 1
        given = seeds(gain, sd)
        normal = math.floor((1.96 * sd / gain) ** 2) + 1
        if given is not None and given == normal != wanted:
            return "1.96 is the normal distribution's; few pairs have wider tails: Student's t, with n - 1 degrees"
        if (said := _near(given, wanted, 0.5, f"at a gain of {gain:g} and sd {sd:g} the number")) != "right":
            return said
    return "right"


def _weights(layers: Sequence[str]) -> set[str]:
    return {f"{layer}.weight" for layer in layers}


def _near(given: float | None, wanted: float, tolerance: float, what: str = "it") -> str:
    if given is None:
        return NOTHING
    value = _number(given)
    if not math.isfinite(value):
        return f"{what} is no finite number: {value}"
    if abs(value - wanted) <= tolerance:
        return "right"
    return f"{what} is too {'large' if value > wanted else 'small'}: {value:.3g}"


def _number(given: float | Tensor) -> float:
    return float(given.detach() if isinstance(given, Tensor) else given)
