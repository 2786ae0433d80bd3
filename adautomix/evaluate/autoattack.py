"""AutoAttack (Croce and Hein 2020), by the package pyautoattack: slow, an optional extra, best on a GPU."""

from collections.abc import Iterable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.attacks import COMMON, EPS, accuracy_by_eps, attack_result, check_attack
from adautomix.evaluate.batching import BATCH, fixed_batches, full_float32, logits_of
from adautomix.models.modes import unwrapped
from adautomix.utils.errors import UserError
from adautomix.utils.extras import installing
from adautomix.utils.seeding import same_random_state

MISSING = f"AutoAttack needs the extra 'attacks': {installing('attacks')}"
LEAST_CLASSES = 4
"""The targeted loss of the standard version compares the four largest logits."""


@full_float32()
def autoattack(
    model: nn.Module,
    x: Float[Tensor, "B C H W"],
    y: Int[Tensor, " B"],
    *,
    eps: float = EPS,
    **options: Any,
) -> Float[Tensor, "B C H W"]:
    """Return the images that the standard version, L-infinity, finds.

    An image that survives pays hundreds of passes: take a thousand images at most, and a GPU.

    Args:
        options: of pyautoattack's AutoAttack, e.g. seed=1 (default 0), or version="custom" and attacks=["apgd-ce"].
    Raises: ImportError that names the extra; UserError as `fgsm`, and for the standard version and fewer than four
        classes.
    """
    check_attack(model, x, y, eps)
    classes = unwrapped(model).num_classes
    if options.get("version", "standard") == "standard" and classes < LEAST_CLASSES:
        raise UserError(f"AutoAttack needs {LEAST_CLASSES} classes or more, got {classes}; take pgd instead")
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise ImportError(MISSING) from error

    attack = AutoAttack(partial(logits_of, model), norm="Linf", eps=eps, device=x.device, **{"seed": 0} | options)
    for targeted in (attack.apgd_targeted, attack.fab):  # nine by default, whatever the number of classes
        targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)
    with same_random_state(x.device), torch.enable_grad():  # it seeds torch's own generators
        return attack.run_standard_evaluation(x, y.long(), batch_size=len(x))[0].detach()


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the AutoAttack result a Run stores: accuracy and error (%) at 8/255.

    Images are taken BATCH at a time, whatever `batches` has: the package draws its random numbers for a batch.

    Raises: UserError as `autoattack`, also if the package is not installed.
    """
    record = settings()  # first: it says if the package is missing
    return attack_result(accuracy_by_eps(model, fixed_batches(batches), attack=_without_index, eps_list=(EPS,)), record)


def settings(side: int | None = None) -> dict[str, Any]:
    """Return what a result records of how it was made; the same for images of any side (px).

    Raises: UserError if the package is not installed.
    """
    try:
        package = f"pyautoattack {version('pyautoattack')}"
    except PackageNotFoundError as error:
        raise UserError(MISSING) from error
    return {"attack": "AutoAttack", "version": "standard", "package": package, "batch_size": BATCH, "seed": 0} | COMMON


def _without_index(*given: Any, index: Tensor, eps: float) -> Tensor:
    return autoattack(*given, eps=eps)  # it knows images by their place in the batch
