"""AutoAttack (Croce and Hein 2020), by the package pyautoattack: slow, an optional extra, best on a GPU."""

from typing import Any

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
        options: of pyautoattack's AutoAttack, e.g. attacks=["apgd-ce"] or seed=1 (default 0).
    Raises: ImportError that names the extra; UserError as `fgsm`.
    """
    check_attack(model, x, y, eps)
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise ImportError("AutoAttack needs the extra 'attacks': pip install -e '.[attacks]'") from error

    attack = AutoAttack(_Logits(model, head), norm="Linf", eps=eps, device=x.device, **{"seed": 0} | options)
    for targeted in (attack.apgd_targeted, attack.fab):  # nine by default, whatever the number of classes
        targeted.n_target_classes = min(targeted.n_target_classes, model.num_classes - 1)
    return attack.run_standard_evaluation(x, y, batch_size=len(x))[0].detach()


class _Logits(nn.Module):
    """What pyautoattack calls: images in, one head's logits out."""

    def __init__(self, model: nn.Module, head: str) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x, heads=(self.head,)).logits[self.head]
