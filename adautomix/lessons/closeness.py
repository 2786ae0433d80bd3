"""How far what a reader's function gave is from what it should give, as a sentence."""

from typing import Any

from torch import Tensor

from adautomix.lessons.telling import NOTHING

CLOSE = 1e-4
"""The largest difference between elements that are called equal."""
SINGULAR = ("mask", "loss")


def off_by(got: Any, wanted: Tensor, what: str) -> str | None:
    """Return None where a tensor has the wanted shape and values, else what is off of them."""
    if got is None:
        return NOTHING
    have, are, hold = ("has", "is", "holds") if what in SINGULAR else ("have", "are", "hold")
    if not isinstance(got, Tensor):
        return f"the {what} should be a tensor, got {type(got).__name__}"
    if got.shape != wanted.shape:
        return f"the {what} {have} the shape {tuple(got.shape)}, and should have {tuple(wanted.shape)}"
    if not got.isfinite().all():
        return f"the {what} {hold} numbers that are not finite"
    gap = (got - wanted).abs().max().item()
    return None if gap < CLOSE else f"the {what} {are} off by up to {gap:.2g}"


def alike(got: Tensor, wanted: Tensor) -> bool:
    """Return whether two tensors have the same shape and equal elements, but for CLOSE."""
    return got.shape == wanted.shape and (got - wanted).abs().max().item() < CLOSE
