"""Adversarial attacks in pixel space: FGSM, and accuracy against an attack's size. PGD is in `pgd.py`.

Goodfellow et al. 2015 (FGSM, Eq. in section 4). Untargeted, L-infinity, on the cross-entropy with the true labels, in
float32; every image is attacked, also those that are already wrong. What a reader gets wrong: eps is a distance between
*pixels* in [0,1] and the same for every network, as the Classifier normalises inside. Added to normalised images it is
another, smaller attack (`released.py` shows what became of that in the released code).
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.batching import count_right, full_float32, logits_of, small_batches
from adautomix.evaluate.checks import (
    channels_of,
    require_eps,
    require_eval,
    require_finite,
    require_gradients,
    require_labels,
    require_pixels,
)
from adautomix.models.modes import require_classifier, unwrapped

EPS = 8 / 255
EPS_LIST = tuple(e / 255 for e in (0.25, 0.5, 1, 2, 4, 8))
COMMON = {"eps": EPS, "norm": "Linf", "head": "one", "precision": "float32"}
"""Settings that all stored attacks share."""


@full_float32()
def fgsm(
    model: nn.Module, x: Float[Tensor, "B C H W"], y: Int[Tensor, " _"], *, eps: float = EPS
) -> Float[Tensor, "B C H W"]:
    """Return clip(x + eps sign(dL/dx), 0, 1), a new tensor.

    Args:
        model: a Classifier in eval mode, wrapped or not; left as it is, no `.grad` is written.
        x: images in [0,1].
        eps: largest change of a pixel, in (0,1].
    Raises: UserError for a model in train mode, pixels, labels or eps out of range, outputs that are not finite, or
        under torch.inference_mode.
    """
    check_attack(model, x, y, eps)
    gradient, logits = loss_gradient(model, x, y)
    require_finite(logits)
    return sign_step(x, gradient, eps)


def sign_step(x: Float[Tensor, "B C H W"], gradient: Float[Tensor, "B C H W"], eps: float) -> Float[Tensor, "B C H W"]:
    """Return clip(x + eps sign(gradient), 0, 1)."""
    return gradient.sign().mul_(eps).add_(x).clamp_(0, 1)


def loss_gradient(
    model: nn.Module, x: Float[Tensor, "B C H W"], y: Int[Tensor, " B"]
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B K"]]:
    """Return the gradient of each image's own cross-entropy with respect to its pixels, and the logits."""
    with torch.enable_grad():
        # On CPUs the way back is a fifth to a third quicker with channels last.
        layout = torch.channels_last if x.device.type == "cpu" else torch.contiguous_format
        pixels = x.detach().clone(memory_format=layout).requires_grad_()
        logits = logits_of(model, pixels).float()
        loss = F.cross_entropy(logits, y.long(), reduction="sum")  # a mean would only scale it
        (gradient,) = torch.autograd.grad(loss, pixels)  # writes into no .grad, unlike backward
    return gradient, logits.detach()


def accuracy_by_eps(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    attack: Callable[..., Tensor] | None = None,
    eps_list: Iterable[float] = EPS_LIST,
) -> list[dict[str, float]]:
    """Return accuracy (%) against eps: rows of `eps`, `top1` and `n`; the first is eps = 0, the clean images.

    Args:
        batches: of `x` in [0,1], `y` and, if they have it, `index`; without it images are numbered as they come.
        attack: called as attack(model, x, y, eps=..., index=...); default FGSM, whose gradient serves every eps.
    Raises: UserError as the attack does, if there are no images, or for outputs that are not finite.
    Warns: if gradients are exactly zero for some images, which no attack can move: saturated, or masked.
    """
    require_gradients()
    eps_list = tuple(dict.fromkeys(eps_list))  # looked through more than once, and counted by eps
    for eps in eps_list:
        require_eps(eps)
    flat = 0

    def versions(x: Tensor, y: Tensor, index: Tensor) -> Iterator[tuple[float, Tensor]]:
        nonlocal flat
        gradient, logits = loss_gradient(model, x, y)
        flat += int((gradient.flatten(1) == 0).all(dim=1).sum())
        yield 0.0, logits
        for eps in eps_list:
            attacked = sign_step(x, gradient, eps) if attack is None else attack(model, x, y, eps=eps, index=index)
            yield eps, logits_of(model, attacked)

    counts = count_right(model, small_batches(batches), versions)
    if flat:
        warnings.warn(f"{flat} of {counts.n} images have a gradient of zero: no attack can move them", stacklevel=2)
    return [{"eps": eps, "top1": counts.top1(eps), "n": counts.n} for eps in (0.0, *eps_list)]


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the FGSM result a Run stores: accuracy and error (%) at 8/255, and the curve over eps."""
    return attack_result(accuracy_by_eps(model, batches), settings())


def settings(side: int | None = None) -> dict[str, Any]:
    """Return what a result records of how it was made; the same for images of any side (px)."""
    return {"attack": "FGSM"} | COMMON


def attack_result(curve: list[dict[str, float]], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an attack of size EPS that a Run stores, from its curve (largest eps last)."""
    top1 = curve[-1]["top1"]
    return {
        "value": {"top1": top1, "error": 100 - top1, "clean": curve[0]["top1"], "curve": curve},
        "settings": settings,
        "n_images": curve[0]["n"],
        "protocol": "pixel space, clipped to [0,1]; untargeted, true labels, every image attacked; eval mode",
    }


def check_attack(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> None:
    """Raise UserError for what no attack can work with: see `fgsm`."""
    require_gradients()
    require_eval(model)
    require_pixels(x, channels_of(model))
    require_labels(y, len(x), require_classifier(unwrapped(model)).num_classes)
    require_eps(eps)
