"""Checks of functions that a reader wrote: MixUp and its loss, FMix's masks, CutMix.

Each returns "right", or one sentence that says what is off: of a known mistake its name, else by how much.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adautomix.lessons.closeness import CLOSE, alike, off_by
from adautomix.lessons.telling import NOTHING, tells


@tells
def check_mixup(mixup: Callable[[Tensor, Tensor, Tensor, float], Any]) -> str:
    """Return "right" if `mixup(x, targets, partner, lam)` gives MixUp's images and soft labels, or what is off.

    Args:
        mixup: of images [B,3,H,W], soft targets [B,K], the partner's number for every image [B], and the share of the
            image itself, returns (mixed images, mixed targets).
    """
    rng = torch.Generator().manual_seed(0)
    x, lam = torch.rand(4, 3, 5, 6, generator=rng), 0.3
    targets, partner = F.one_hot(torch.tensor([0, 1, 2, 0]), 3).float(), torch.tensor([2, 0, 3, 1])
    made = _two(mixup(x, targets, partner, lam))
    if isinstance(made, str):
        return made
    pairs = {"images": (made[0], x), "labels": (made[1], targets)}
    for what, (got, given) in pairs.items():
        own, other = given, torch.stack([given[int(p)] for p in partner])
        if off := off_by(got, lam * own + (1 - lam) * other, what):
            if alike(got, (1 - lam) * own + lam * other):
                return f"the {what} have the shares the wrong way round: lam is the image's own, 1 - lam its partner's"
            if alike(got, own):
                return f"the {what} are not mixed: they came back as they were given"
            return off
    return "right"


@tells
def check_mixup_loss(loss: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]) -> str:
    """Return "right" if a loss made of ordinary cross-entropies is the one with mixed soft labels, or what is off.

    Args:
        loss: of logits [B,K], the class ids of both images [B], the first one's share, and the labels' smoothing.
    """
    rng, lam = torch.Generator().manual_seed(0), 0.3
    logits, (a, b) = torch.randn(8, 6, generator=rng), torch.randint(6, (2, 8), generator=rng)
    for smoothing in (0.0, 0.1):
        given = loss(logits, a, b, lam, smoothing)
        hot = [F.one_hot(y, 6).float() * (1 - smoothing) + smoothing / 6 for y in (a, b)]
        mixed = (lam * hot[0] + (1 - lam) * hot[1], (1 - lam) * hot[0] + lam * hot[1])
        wanted, turned = (-(y * logits.log_softmax(dim=1)).sum(dim=1).mean() for y in mixed)
        if off := off_by(given, wanted, "loss"):
            if isinstance(given, Tensor) and alike(given, turned):
                return "the shares are the wrong way round: lam is the first image's"
            return off if given is None else f"with a smoothing of {smoothing:g} {off}"
    return "right"


@tells
def check_blob(blob: Callable[[Tensor, float, float], Tensor]) -> str:
    """Return "right" if a mask is 1 where noise of falling amplitude is highest, on the share lam, or what is off.

    Args:
        blob: of white noise [H,W//2+1] (complex), the exponent of the fall and lam returns a mask [H,W] of 0 and 1.
    """
    white = torch.view_as_complex(torch.randn(24, 13, 2, generator=torch.Generator().manual_seed(0)))
    for exponent, lam in ((3.0, 0.5), (1.5, 0.3)):
        mask = blob(white, exponent, lam)
        wanted = _blob(white, exponent, lam)
        if mask is None or not isinstance(mask, Tensor) or mask.shape != wanted.shape:
            return str(off_by(mask, wanted, "mask"))
        mask = mask.float()
        if not ((mask == 0) | (mask == 1)).all():
            return "a mask of FMix is 0 or 1 at every pixel"
        if (area := mask.mean().item()) > lam + 0.01 or area < lam - 0.01:
            return f"the mask's area is {area:.2f}, asked for is {lam:g}: cut the noise at the height that leaves it"
        if (mask != wanted).float().mean() > 0.02:
            lowest = (mask == _blob(-white, exponent, lam)).float().mean() > 0.98
            power = f"is the amplitude divided by f to the power {exponent:g}?"
            why = "these are the lowest pixels" if lowest else power
            return f"the area is right, the shape is not: {why}"
    return "right"


@tells
def check_cutmix(cutmix: Callable[[Tensor, Tensor, tuple[float, float], float], Any]) -> str:
    """Return "right" if `cutmix(a, b, centre, lam)` pastes a box of b into a, and counts what is left of a.

    How a side is rounded is free: a pixel more or less is right.

    Args:
        cutmix: of two images [3,H,W], the box's centre (row, column, as shares of the side) and the share asked for a,
            returns (mixed image, share of a in the label).
    """
    rng = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 3, 40, 40, generator=rng)
    for centre, lam in (((0.5, 0.5), 0.75), ((0.5, 0.5), 0.3), ((0.0, 0.1), 0.6), ((0.95, 0.5), 0.5)):
        made = _two(cutmix(a, b, centre, lam))
        if isinstance(made, str):
            return made
        mixed, share = made[0], float(made[1])
        if mixed.shape != a.shape:
            return f"the mixed image has the shape {tuple(mixed.shape)}, and should have {tuple(a.shape)}"
        pasted = (mixed == b).all(dim=0)
        if not (pasted | (mixed == a).all(dim=0)).all():
            return "some pixels are neither a's nor b's: CutMix cuts, it does not blend"
        rows, columns = pasted.any(dim=1), pasted.any(dim=0)
        if not torch.equal(pasted, rows[:, None] & columns):
            return "what was pasted is no rectangle"
        left = 1 - pasted.float().mean().item()
        for name, got, place in (("rows", rows, centre[0]), ("columns", columns, centre[1])):
            want = _reach(40, place, lam)
            if abs(int(got.sum()) - want) > 2:
                why = "each side is sqrt(1 - lam) of the image's, clipped at the border"
                return f"at lam {lam:g} and centre {centre} the box has {int(got.sum())} {name}, about {want}: {why}"
            first, half = int(got.nonzero()[0]), 20 * (1 - lam) ** 0.5
            if abs(first - max(0, 40 * place - half)) > 2:
                return f"at lam {lam:g} and centre {centre} the box is in the wrong place: {name} from {first} on"
        if abs(share - left) > CLOSE:
            asked = " That is the lam asked for, and the clipped box left another area." if share == lam else ""
            return f"the label's share of a is {share:.3f}, its share of the pixels {left:.3f}.{asked}"
    return "right"


def _blob(white: Tensor, exponent: float, lam: float) -> Tensor:
    height, width = white.shape[0], 2 * (white.shape[1] - 1)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fall = np.maximum(np.hypot(rows, columns), 1 / max(height, width)) ** exponent
    noise = np.fft.irfft2(white.numpy() / fall, s=(height, width))
    return torch.from_numpy(noise >= np.quantile(noise, 1 - lam)).float()


def _reach(size: int, centre: float, lam: float) -> int:
    half, middle = size * math.sqrt(1 - lam) / 2, centre * size
    return round(min(size, middle + half) - max(0, middle - half))


def _two(made: Any) -> tuple[Any, Any] | str:
    if made is None:
        return NOTHING
    if not isinstance(made, (tuple, list)) or len(made) != 2:
        return f"two things should come back, the mix and its label; got {type(made).__name__}"
    return made[0], made[1]
