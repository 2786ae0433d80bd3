"""Mixing N shuffled copies of a batch: one code path for every method and any N.

Zhang et al. 2018 (mixup), for N images as in Adversarial AutoMixup (ICLR 2024), Eq. 2.
What a reader gets wrong: the label goes with `index` and `lam`, not with the order of the images. Soft targets
carry both, so nothing in this project ever passes `(y_a, y_b, lam)` around.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adautomix.utils.errors import UserError


@dataclass(frozen=True)
class Outside:
    """Images that fill a slot and are not of the batch: `x` [M,C,H,W] in [0,1], `y` [M,K] their soft targets."""

    x: Float[Tensor, "M C H W"]
    y: Float[Tensor, "M K"]


@dataclass(frozen=True)
class Mixed:
    """The result of mixing: everything a loss, a log or a figure may need.

    Attributes:
        x: mixed images [B,C,H,W] in [0,1].
        y: soft targets [B,K], rows sum to 1.
        lam: [B,N], the share of every slot in the label; rows sum to 1.
        index: [N,B] long; row n says which image of the batch fills slot n, or which of `outside[n]`.
        mask: [B,N,H,W] that sums to 1 over N, or None where the mix is not pixel by pixel.
        outside: by number, the slots that are not filled from the batch (RecursiveMix: the last mixed batch).
    """

    x: Float[Tensor, "B C H W"]
    y: Float[Tensor, "B K"]
    lam: Float[Tensor, "B N"]
    index: Int[Tensor, "N B"]
    mask: Float[Tensor, "B N H W"] | None = None
    outside: Mapping[int, Outside] = field(default_factory=dict)

    def slot(self, n: int, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the images that fill slot n; x is the batch that was mixed."""
        images = self.outside[n].x if n in self.outside else x
        return images.index_select(0, self.index[n].to(images.device))

    def slot_targets(self, n: int, targets: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """Return the soft targets of the images that fill slot n; `targets` are the batch's."""
        known = self.outside[n].y if n in self.outside else targets
        return known.index_select(0, self.index[n].to(known.device))

    def detach(self) -> "Mixed":
        """Return the same values without their graph, sharing memory."""
        mask = None if self.mask is None else self.mask.detach()
        return replace(self, x=self.x.detach(), y=self.y.detach(), lam=self.lam.detach(), mask=mask)


def sample_beta(shape: tuple[int, ...], alpha: float, rng: torch.Generator) -> Float[Tensor, "... 2"]:
    """Return float64 pairs (b, 1 - b) with b from Beta(alpha, alpha), on the CPU: Dirichlet(alpha, alpha).

    torch.distributions takes no generator; the function that it calls for this does.
    """
    return torch._sample_dirichlet(torch.full((*shape, 2), alpha, dtype=torch.float64), rng)


def sample_lam(
    batch_size: int, n_mix: int, alpha: float, rng: torch.Generator, *, per_sample: bool = False
) -> Float[Tensor, "B N"]:
    """Return mixing ratios [B,N] on the CPU, float32, rows sum to 1.

    N=2: lam_0 ~ Beta(alpha, alpha) and lam_1 = 1 - lam_0. N>2: N draws of Beta(alpha, alpha) divided by their
    sum (the released AdAutoMix code; not a Dirichlet).

    Args:
        per_sample: one draw an image; by default one draw serves the whole batch.
    """
    rows = batch_size if per_sample else 1
    if n_mix == 2:
        lam = sample_beta((rows,), alpha, rng)
    else:
        draws = sample_beta((rows, n_mix), alpha, rng)[..., 0]
        lam = draws / draws.sum(dim=1, keepdim=True)
    return lam.float().expand(batch_size, n_mix)


def draw_index(batch_size: int, n_mix: int, rng: torch.Generator, *, keep_first: bool = True) -> Int[Tensor, "N B"]:
    """Return [N,B] long on the CPU: one permutation of the batch a slot.

    Args:
        keep_first: slot 0 holds the batch as it is (every two-image method); False permutes every slot.
    """
    rows = [torch.randperm(batch_size, generator=rng) for _ in range(n_mix - keep_first)]
    return torch.stack([torch.arange(batch_size), *rows] if keep_first else rows)


def require_batch(x: Any, y: Any) -> None:
    """Raise UserError unless these are float images [B,C,H,W] and as many labels; no number is looked at."""
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        raise UserError(f"images and labels must be tensors, got {type(x).__name__} and {type(y).__name__}")
    require_float(x)
    if x.ndim != 4 or y.ndim < 1:
        raise UserError(f"images must be [B,C,H,W] and labels [B], got {tuple(x.shape)} and {tuple(y.shape)}")
    if len(x) != len(y):
        raise UserError(f"there must be a label for every image, got {len(x)} images and {len(y)} labels")


def require_float(x: Tensor) -> None:
    """Raise UserError for images of whole numbers."""
    if not x.is_floating_point():
        raise UserError(f"images must be float in [0,1] to be mixed, got {x.dtype}: divide by 255")


def blend(
    x: Float[Tensor, "B ..."],
    index: Int[Tensor, "N B"],
    weight: Float[Tensor, "B N"] | Float[Tensor, "B N H W"],
) -> Float[Tensor, "B ..."]:
    """Return the weighted sum of N shuffled copies of a batch (Eq. 2), as a new tensor.

    Args:
        x: images in [0,1], features or targets.
        index: row n says which image fills slot n.
        weight: one number a slot (`lam`), or a mask; non-negative, sums to 1 over N. A gradient reaches it.
    Raises: UserError for whole numbers, which would cut the weights off to 0 and 1.
    """
    require_float(x)
    weight, slots = weight.to(x, non_blocking=True), _slots(x, index)
    if weight.ndim == 2:
        weight = weight.reshape(*weight.shape, *(1,) * (x.ndim - 2))
        if len(slots) == 2 and not weight.requires_grad:  # mixup: one new tensor, two passes over the images
            return slots[1].lerp_(slots[0], weight[:, 0:1])
    mixed = slots[0] * weight[:, :1]
    for n in range(1, len(slots)):
        mixed = mixed.addcmul_(slots[n], weight[:, n : n + 1])
    return mixed


def mixed_from_lam(
    x: Float[Tensor, "B C H W"],
    targets: Float[Tensor, "B K"],
    index: Int[Tensor, "N B"],
    lam: Float[Tensor, "B N"],
) -> Mixed:
    """Return the Mixed of a plain convex combination (mixup)."""
    lam = lam.to(x.device, non_blocking=True)
    whole = index.to(x.device, non_blocking=True)
    return Mixed(blend(x, index, lam), blend(targets, index, lam), lam, whole)


def mixed_from_mask(
    x: Float[Tensor, "B C H W"],
    targets: Float[Tensor, "B K"],
    index: Int[Tensor, "N B"],
    mask: Float[Tensor, "B N H W"],
    lam: Float[Tensor, "B N"] | None = None,
) -> Mixed:
    """Return the Mixed of a pixel-by-pixel combination.

    Args:
        mask: [B,N,H,W], sums to 1 over N; a batch of masks may be an expanded view of one.
        lam: the label's shares; by default the area of each mask, which is what a cut-and-paste method means.
    """
    lam = mask.mean(dim=(2, 3)) if lam is None else lam.to(x.device, non_blocking=True)
    whole = index.to(x.device, non_blocking=True)
    return Mixed(blend(x, index, mask), blend(targets, index, lam), lam, whole, mask)


def mask_entropy(mask: Float[Tensor, "B N H W"]) -> Float[Tensor, ""]:
    """Return the mean over pixels of -sum_n m_n log m_n, in nats.

    0: every pixel comes from one image, as in CutMix. log N: every pixel is an even blend of all N.
    """
    return torch.special.entr(mask.float()).sum(dim=1).mean()


def mask_area_gap(mask: Float[Tensor, "B N H W"], lam: Float[Tensor, "B N"]) -> Float[Tensor, ""]:
    """Return the mean over images and slots of |area_n - lam_n|: how far the label's shares are from the pixels'."""
    return (mask.float().mean(dim=(2, 3)) - lam.to(mask.device)).abs().mean()


def mask_statistics(mixed: Mixed) -> dict[str, float | int]:
    """Return numbers that tell what kind of masks a mix has; masks that it does not have are the constants lam.

    images (N); label and pixels: image 1's share of them, mean over mixes; soft: mask entropy over log N, 0 for cut and
    paste, 1 for even blends; across: how much masks of different mixes differ, mean over pixels of their standard
    deviation, 0 where masks do not look at images; within: the same of one mask's pixels, 0 for one colour.
    """
    size = (1, 1) if mixed.mask is None else mixed.mask.shape[2:]
    mask = mixed.lam[:, :, None, None].expand(-1, -1, *size).float() if mixed.mask is None else mixed.mask.float()
    first, count = mask[:, 0], mask.shape[1]
    return {
        "images": count,
        "label": float(mixed.lam[:, 0].mean()),
        "pixels": float(first.mean()),
        "soft": float(mask_entropy(mask)) / math.log(count) if count > 1 else 0.0,
        "across": float(first.std(dim=0, correction=0).mean()),
        "within": float(first.flatten(1).std(dim=1, correction=0).mean()),
    }


def _slots(values: Float[Tensor, "B ..."], index: Int[Tensor, "N B"]) -> list[Float[Tensor, "B ..."]]:
    """Return the batch as each slot sees it, from one gather."""
    # Slot 0 of every two-image method is the batch itself. The index is still on the CPU when a method draws it, so
    # seeing that costs microseconds and saves a copy of the batch. non_blocking: a GPU's queue is never waited for.
    whole = index.device.type == "cpu" and np.array_equal(index[0].numpy(), np.arange(index.shape[1]))
    rows = index[1:] if whole else index
    gathered = values.index_select(0, rows.flatten().to(values.device, non_blocking=True)).unflatten(0, rows.shape)
    slots = [gathered[n] for n in range(len(rows))]
    return [values, *slots] if whole else slots
