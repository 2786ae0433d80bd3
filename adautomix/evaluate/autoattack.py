"""AutoAttack (Croce and Hein 2020), by the package pyautoattack: slow, an optional extra, best on a GPU."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.attacks import EPS, check_attack


def autoattack(
    model: nn.Module,
    x: Float[Tensor, "B 3 H W"],
    y: Int[Tensor, " B"],
    *,
    eps: float = EPS,
    head: str = "one",
    **options: Any,
) -> Float[Tensor, "B 3 H W"]:
    """Return the images that the standard version, L-infinity, finds.

    An image that survives pays hundreds of passes: take a thousand images at most, and a GPU.

    Args:
        options: of pyautoattack's AutoAttack, e.g. attacks=["apgd-ce"] or seed=0.
    Raises: ImportError that names the extra; UserError as `fgsm`.
    """
    check_attack(model, x, y, eps)
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise ImportError("AutoAttack needs the extra 'attacks': pip install -e '.[attacks]'") from error

    def logits(images: Tensor) -> Tensor:
        return model(images, heads=(head,)).logits[head]

    attack = AutoAttack(logits, norm="Linf", eps=eps, device=str(x.device), verbose=False, **options)
    with torch.enable_grad():
        return attack.run_standard_evaluation(x=x, y=y, batch_size=len(x))
