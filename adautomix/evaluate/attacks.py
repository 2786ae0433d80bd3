"""Adversarial attacks in pixel space: FGSM, PGD, and accuracy against their size.

Goodfellow et al. 2015 (FGSM, Eq. in section 4); Madry et al. 2018 (PGD). Untargeted, L-infinity, on the cross-entropy
with the true labels, in float32; every image is attacked, also those that are already wrong. What a reader gets wrong:
eps is a distance between *pixels* in [0,1]. Added to normalised images it is another, smaller attack (`released.py`
shows what became of that in the released code).
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from adautomix.errors import UserError
from adautomix.evaluate.checks import require_eps, require_eval, require_labels, require_pixels

EPS = 8 / 255
EPS_LIST = tuple(e / 255 for e in (0.25, 0.5, 1, 2, 4, 8))


def fgsm(
    model: nn.Module, x: Float[Tensor, "B 3 H W"], y: Int[Tensor, " _"], *, eps: float = EPS, head: str = "one"
) -> Float[Tensor, "B 3 H W"]:
    """Return clip(x + eps sign(dL/dx), 0, 1), a new tensor.

    Args:
        model: a Classifier in eval mode; left as it is, no `.grad` is written.
        x: images in [0,1].
        eps: largest change of a pixel, in (0,1].
    Raises: UserError for a model in train mode, pixels, labels or eps out of range, or outputs that are not finite.
    """
    check_attack(model, x, y, eps)
    gradient, _ = loss_gradient(model, x, y, head=head)
    return stepped(x, gradient, eps)


def stepped(x: Float[Tensor, "B 3 H W"], gradient: Float[Tensor, "B 3 H W"], eps: float) -> Float[Tensor, "B 3 H W"]:
    """Return clip(x + eps sign(gradient), 0, 1)."""
    return gradient.sign().mul_(eps).add_(x).clamp_(0, 1)


def pgd(
    model: nn.Module,
    x: Float[Tensor, "B 3 H W"],
    y: Int[Tensor, " _"],
    *,
    eps: float = EPS,
    alpha: float = 2 / 255,
    steps: int = 20,
    restarts: int = 1,
    random_start: bool = True,
    generator: torch.Generator | None = None,
    head: str = "one",
) -> Float[Tensor, "B 3 H W"]:
    """Return x after `steps` steps of size alpha up the loss, each projected to the eps-ball around x and to [0,1].

    Args:
        alpha: step size; alpha = eps with one step and no random start is FGSM.
        restarts: attacks from different starts; of each image the most harmful result is kept: a wrong one before a
            right one, then the one with the highest loss.
        generator: CPU generator of the starts (default: seed 0). The same batch gets the same starts on any device.
    Raises: as `fgsm`; also for steps or restarts below 1, or restarts without a random start.
    """
    check_attack(model, x, y, eps)
    if steps < 1 or restarts < 1 or alpha <= 0:
        raise UserError(f"need steps >= 1, restarts >= 1 and alpha > 0; got {steps}, {restarts} and {alpha}")
    if restarts > 1 and not random_start:
        raise UserError("restarts > 1 needs random_start=True: from one start every attack is the same")
    rng = generator or torch.Generator().manual_seed(0)
    best, most = x, torch.full((len(x),), -torch.inf, device=x.device)
    for _ in range(restarts):
        start = (2 * torch.rand(x.shape, generator=rng) - 1).mul_(eps).to(x) if random_start else 0.0
        attacked = (x + start).clamp(0, 1)
        for _ in range(steps):
            gradient, _ = loss_gradient(model, attacked, y, head=head)
            attacked = torch.clamp(attacked + alpha * gradient.sign(), min=x - eps, max=x + eps).clamp_(0, 1)
        if restarts == 1:
            return attacked
        harm = _harm(model, attacked, y, head)
        best = torch.where((harm > most)[:, None, None, None], attacked, best)
        most = torch.maximum(harm, most)
    return best


def loss_gradient(
    model: nn.Module, x: Float[Tensor, "B 3 H W"], y: Int[Tensor, " B"], *, head: str = "one"
) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B K"]]:
    """Return the gradient of each image's own cross-entropy with respect to its pixels, and the logits."""
    with torch.enable_grad():
        # On CPUs the way back is a fifth to a third quicker with channels last.
        layout = torch.channels_last if x.device.type == "cpu" else torch.contiguous_format
        pixels = x.detach().clone(memory_format=layout).requires_grad_()
        logits = model(pixels, heads=(head,)).logits[head].float()
        loss = F.cross_entropy(logits, y, reduction="sum")  # a mean would only scale it
        (gradient,) = torch.autograd.grad(loss, pixels)  # writes into no .grad, unlike backward
    return gradient, logits.detach()


def adversarial_curve(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    attack: Callable[..., Tensor] | None = None,
    eps_list: Sequence[float] = EPS_LIST,
    max_images: int | None = None,
    head: str = "one",
) -> list[dict[str, float]]:
    """Return accuracy (%) against eps: rows of `eps`, `top1` and `n`; the first is eps = 0, the clean images.

    Args:
        batches: of `x` in [0,1] and `y`.
        attack: called as attack(model, x, y, eps=...); default FGSM, whose gradient serves every eps.
        max_images: only the first so many.
    Raises: UserError as the attack does, or if there are no images.
    Warns: if gradients are exactly zero for some images, which no attack can move: saturated, or masked.
    """
    require_eval(model)
    for eps in eps_list:
        require_eps(eps)
    right, count, flat = torch.zeros(len(eps_list) + 1), 0, 0
    for x, y, *_ in _first(batches, max_images):
        check_attack(model, x, y, EPS)
        gradient, logits = loss_gradient(model, x, y, head=head)
        flat += int((gradient.flatten(1) == 0).all(dim=1).sum())
        hits = [_hits(logits, y)]
        for eps in eps_list:
            attacked = stepped(x, gradient, eps) if attack is None else attack(model, x, y, eps=eps)
            with torch.no_grad():
                hits.append(_hits(model(attacked, heads=(head,)).logits[head], y))
        right += torch.stack(hits).sum(dim=1).cpu()
        count += len(y)
    if not count:
        raise UserError("there are no test images")
    if flat:
        warnings.warn(f"{flat} of {count} images have a gradient of zero: no attack can move them", stacklevel=2)
    top1 = (100 * right.double() / count).tolist()
    return [{"eps": e, "top1": t, "n": count} for e, t in zip((0.0, *eps_list), top1, strict=True)]


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the FGSM result a Run stores: accuracy and error (%) at 8/255, and the curve over eps."""
    return _result(adversarial_curve(model, batches), {"attack": "FGSM"})


def evaluate_pgd(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return the PGD-20 result a Run stores; forty passes an image."""
    curve = adversarial_curve(model, batches, attack=partial(pgd, steps=20), eps_list=(EPS,))
    settings = {"attack": "PGD", "steps": 20, "alpha": 2 / 255, "random_start": True, "restarts": 1, "seed": 0}
    return _result(curve, settings)


def _result(curve: list[dict[str, float]], settings: dict[str, Any]) -> dict[str, Any]:
    top1 = curve[-1]["top1"]
    return {
        "value": {"top1": top1, "error": 100 - top1, "clean": curve[0]["top1"], "curve": curve},
        "settings": settings | {"eps": EPS, "norm": "Linf", "head": "one", "precision": "float32"},
        "n_images": curve[0]["n"],
        "protocol": "pixel space, clipped to [0,1]; untargeted, true labels, every image attacked; eval mode",
    }


def check_attack(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> None:
    """Raise UserError for what no attack can work with: see `fgsm`."""
    require_eval(model)
    require_pixels(x)
    require_labels(y, len(x), model.num_classes)
    require_eps(eps)


def _hits(logits: Float[Tensor, "B K"], y: Int[Tensor, " B"]) -> Bool[Tensor, " B"]:
    if not torch.isfinite(logits).all():
        raise UserError("the network's outputs are not finite: its weights are broken, train it again")
    return logits.argmax(dim=1) == y


@torch.no_grad()
def _harm(model: nn.Module, x: Tensor, y: Tensor, head: str) -> Float[Tensor, " B"]:
    """Return every image's loss, with a lead for wrong ones that no loss of a right one has."""
    logits = model(x, heads=(head,)).logits[head].float()
    return F.cross_entropy(logits, y, reduction="none") + 1e6 * (logits.argmax(dim=1) != y)


def _first(batches: Iterable[Any], most: int | None) -> Iterable[Any]:
    """Yield batches up to `most` images in all, the last one cut."""
    left = most
    for batch in batches:
        x, y = batch[0], batch[1]
        yield (x, y) if left is None else (x[:left], y[:left])
        if left is not None and (left := left - len(y)) <= 0:
            return
