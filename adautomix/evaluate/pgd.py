"""PGD in pixel space: many small steps up the loss, from a random start.

Madry et al. 2018. Untargeted, L-infinity, on the cross-entropy with the true labels, in float32; eps as in
`attacks.py`. The random start belongs to an image, not to its place in a batch: the result is the same for any batches.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.attacks import COMMON, EPS, accuracy_by_eps, attack_result, check_attack, loss_gradient
from adautomix.evaluate.batching import full_float32
from adautomix.evaluate.checks import require_finite, require_index
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.errors import UserError

ALPHA, STEPS, SEED = 2 / 255, 20, 0


@full_float32()
def pgd(
    model: nn.Module,
    x: Float[Tensor, "B C H W"],
    y: Int[Tensor, " _"],
    *,
    eps: float = EPS,
    alpha: float = ALPHA,
    steps: int = STEPS,
    random_start: bool = True,
    index: Tensor | None = None,
    seed: int = SEED,
) -> Float[Tensor, "B C H W"]:
    """Return x after `steps` steps of size alpha up the loss, each projected to the eps-ball around x and to [0,1].

    Args:
        alpha: step size; alpha = eps with one step and no random start is FGSM.
        index: which images of the test set these are (default: 0 to B - 1): an image has the same start in any
            batch, on any device.
        seed: of the starts.
    Raises: as `fgsm`; also for steps below 1, alpha of 0 or less, or an index that does not fit.
    """
    check_attack(model, x, y, eps)
    if steps < 1 or alpha <= 0:
        raise UserError(f"need steps >= 1 and alpha > 0; got {steps} and {alpha}")
    index = torch.arange(len(x)) if index is None else index
    require_index(index, len(x))
    draws = PerImageRNG.of(index.to(x.device), seed, "pgd")
    start = draws.uniform(-eps, eps, *x.shape[1:]).to(x) if random_start else 0.0
    attacked = (x + start).clamp(0, 1)
    for _ in range(steps):
        gradient, logits = loss_gradient(model, attacked, y)
        attacked = torch.clamp(attacked + alpha * gradient.sign(), min=x - eps, max=x + eps).clamp_(0, 1)
    require_finite(logits)
    return attacked


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the PGD-20 result a Run stores; forty passes an image."""
    return attack_result(accuracy_by_eps(model, batches, attack=pgd, eps_list=(EPS,)), settings())


def settings(side: int | None = None) -> dict[str, Any]:
    """Return what a result records of how it was made; the same for images of any side (px)."""
    start = {"random_start": True, "starts": "by image", "restarts": 1, "seed": SEED}
    return {"attack": "PGD", "steps": STEPS, "alpha": ALPHA} | start | COMMON
