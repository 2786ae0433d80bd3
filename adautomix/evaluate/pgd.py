"""PGD in pixel space: many small steps up the loss, from a random start.

Madry et al. 2018. Untargeted, L-infinity, on the cross-entropy with the true labels, in float32; eps as in
`attacks.py`. What a reader gets wrong: a random start belongs to an image, not to its place in a batch, or the result
would depend on how large the batches are.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.attacks import COMMON, EPS, adversarial_curve, attack_result, check_attack, loss_gradient
from adautomix.evaluate.checks import require_finite
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.errors import UserError

ALPHA, STEPS, SEED = 2 / 255, 20, 0


def pgd(
    model: nn.Module,
    x: Float[Tensor, "B 3 H W"],
    y: Int[Tensor, " _"],
    *,
    eps: float = EPS,
    alpha: float = ALPHA,
    steps: int = STEPS,
    restarts: int = 1,
    random_start: bool = True,
    index: Int[Tensor, " _"] | None = None,
    seed: int = SEED,
    head: str = "one",
) -> Float[Tensor, "B 3 H W"]:
    """Return x after `steps` steps of size alpha up the loss, each projected to the eps-ball around x and to [0,1].

    Args:
        alpha: step size; alpha = eps with one step and no random start is FGSM.
        restarts: attacks from different starts; of each image the most harmful result is kept: a wrong one before a
            right one, then the one with the highest loss.
        index: which images of the test set these are (default: 0 to B - 1): an image has the same starts in any
            batch, on any device.
        seed: of the starts.
    Raises: as `fgsm`; also for steps or restarts below 1, restarts without a random start, or an index of another
        length.
    """
    check_attack(model, x, y, eps)
    if steps < 1 or restarts < 1 or alpha <= 0:
        raise UserError(f"need steps >= 1, restarts >= 1 and alpha > 0; got {steps}, {restarts} and {alpha}")
    if restarts > 1 and not random_start:
        raise UserError("restarts > 1 needs random_start=True: from one start every attack is the same")
    index = torch.arange(len(x), device=x.device) if index is None else index.to(x.device)
    if index.shape != (len(x),):
        raise UserError(f"index must have one number an image, {len(x)}; got {tuple(index.shape)}")
    draws = PerImageRNG.of(index, seed, "pgd")
    best, most = x, torch.full((len(x),), -torch.inf, device=x.device)
    for _ in range(restarts):
        start = draws.uniform(-eps, eps, *x.shape[1:]).to(x) if random_start else 0.0
        attacked = (x + start).clamp(0, 1)
        for _ in range(steps):
            gradient, logits = loss_gradient(model, attacked, y, head=head)
            attacked = torch.clamp(attacked + alpha * gradient.sign(), min=x - eps, max=x + eps).clamp_(0, 1)
        require_finite(logits)
        if restarts == 1:
            return attacked
        harm = _harm(model, attacked, y, head)
        best = torch.where((harm > most)[:, None, None, None], attacked, best)
        most = torch.maximum(harm, most)
    return best


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the PGD-20 result a Run stores; forty passes an image."""
    return attack_result(
        adversarial_curve(model, batches, attack=partial(pgd, steps=STEPS), eps_list=(EPS,)), settings()
    )


def settings(side: int | None = None) -> dict[str, Any]:
    """Return what a result records of how it was made; the same for images of any side (px)."""
    start = {"random_start": True, "starts": "by image", "restarts": 1, "seed": SEED}
    return {"attack": "PGD", "steps": STEPS, "alpha": ALPHA} | start | COMMON


@torch.no_grad()
def _harm(model: nn.Module, x: Tensor, y: Tensor, head: str) -> Float[Tensor, " B"]:
    """Return every image's loss, with a lead for wrong ones that no loss of a right one has."""
    logits = model(x, heads=(head,)).logits[head].float()
    return F.cross_entropy(logits, y, reduction="none") + 1e6 * (logits.argmax(dim=1) != y)
