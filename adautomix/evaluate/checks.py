"""What every evaluator refuses, with the fix in the message."""

import torch
from torch import Tensor, nn

from adautomix.models.modes import unwrapped
from adautomix.utils.errors import UserError

TOLERANCE = 1e-6
"""Pixels may leave [0,1] by this much: float rounding of a mix or a resize."""


def require_eval(model: nn.Module) -> None:
    """Raise UserError if any submodule is in training mode."""
    for name, module in model.named_modules():
        if module.training:
            raise UserError(
                f"the model is in training mode (e.g. {name or 'the model itself'}): call model.eval() first, or its "
                "BatchNorm statistics would change and the result would depend on the batches"
            )


def require_gradients() -> None:
    """Raise UserError under torch.inference_mode, which forbids gradients; torch.no_grad does not."""
    if torch.is_inference_mode_enabled():
        raise UserError(
            "attacks and Grad-CAM need gradients, and torch.inference_mode() is on, in which there are none: use "
            "torch.no_grad() in its place, or nothing"
        )


def channels_of(model: nn.Module) -> int:
    """Return how many channels the images of a Classifier have, wrapped or not; 3 of any other network."""
    mean = getattr(unwrapped(model), "mean", None)
    return mean.shape[1] if isinstance(mean, Tensor) and mean.ndim == 4 else 3


def require_pixels(x: Tensor, channels: int | None = 3) -> None:
    """Raise UserError unless x is a float batch [B,channels,H,W] of one image or more, in [0,1]; None: any number."""
    if x.ndim != 4 or channels not in (None, x.shape[1]) or not x.is_floating_point() or not x.numel():
        raise UserError(f"images must be float [B,{channels or 'C'},H,W], got {x.dtype} {tuple(x.shape)}")
    low, high = float(x.min()), float(x.max())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise UserError(
            f"pixels must be in [0,1], got [{low:.2f}, {high:.2f}]: if they are normalised, pass raw pixels; the "
            "Classifier normalises them itself"
        )


def require_labels(y: Tensor, count: int, classes: int | None) -> None:
    """Raise UserError unless y holds `count` class ids below `classes`; None: of a number that is not known."""
    if y.shape != (count,) or y.is_floating_point() or y.dtype == torch.bool:
        raise UserError(f"labels must be {count} whole numbers, one an image; got {y.dtype} {tuple(y.shape)}")
    if count and classes is not None and not (int(y.min()) >= 0 and int(y.max()) < classes):
        raise UserError(f"labels must be 0 to {classes - 1}, got {int(y.min())} to {int(y.max())}")


def require_scores(values: Tensor, labels: Tensor, kind: str, classes: int = 1) -> None:
    """Raise UserError unless values are finite, [M,K] of one image and `classes` classes or more, and labels theirs."""
    if values.ndim != 2 or not len(values) or values.shape[1] < classes:
        raise UserError(f"need {kind} [M,K] of one image and {classes} classes or more, got {tuple(values.shape)}")
    require_labels(labels, *values.shape)
    if not torch.isfinite(values).all():
        raise UserError(f"the {kind} are not finite; the network cannot be used: its training diverged")


def require_images(count: int) -> None:
    """Raise UserError if an evaluator has seen no images."""
    if not count:
        raise UserError("there are no test images: give a split, or batches, that hold at least one")


def require_finite(logits: Tensor) -> None:
    """Raise UserError if any logit is nan or infinite: the largest of such is an answer that looks like one."""
    if not torch.isfinite(logits).all():
        raise UserError("the network's outputs are not finite: its training diverged; train it again, with a lower lr")


def require_index(index: Tensor, count: int) -> None:
    """Raise UserError unless index holds `count` whole numbers: which images of the test set a batch has."""
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool or index.shape != (count,):
        raise UserError(
            f"index must be {count} whole numbers, one an image (their places in the test set), got {index.dtype} "
            f"{tuple(index.shape)}"
        )


def require_eps(eps: float) -> None:
    """Raise UserError unless eps is a distance between pixels, in (0,1]."""
    if not 0 < eps <= 1:
        hint = f"; did you mean {eps:g}/255?" if 1 < eps <= 255 else ""
        raise UserError(f"eps is a distance between pixels, in (0,1]; got {eps:g}{hint}")
