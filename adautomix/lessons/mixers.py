"""Checks of functions that a reader wrote: MixUp and its loss, CutMix, FMix's masks, and those of Eq. 1 and 2.

Each returns "right", or one sentence that says what is off: of a known mistake its name, else by how much.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adautomix.lessons.telling import NOTHING, tells
from adautomix.utils.paths import shipped

GOLDEN = "tests/golden/mask/N3_lamconcat0_bilinear.npz"
"""Features, weights and masks of the authors' released generator."""
CLOSE = 1e-4


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
        if off := _off(got, lam * own + (1 - lam) * other, what):
            if _alike(got, (1 - lam) * own + lam * other):
                return f"the {what} have the shares the wrong way round: lam is the image's own, 1 - lam its partner's"
            if _alike(got, own):
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
        if off := _off(given, wanted, "loss"):
            if isinstance(given, Tensor) and _alike(given, turned):
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
            return str(_off(mask, wanted, "mask"))
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


@tells
def check_mixblock(masks: Callable[[Tensor, Mapping[str, Tensor]], Tensor]) -> str:
    """Return "right" if `masks(features, weights)` gives the masks of the authors' released generator, or what is off.

    Args:
        masks: of features [N,B,C,h,w] and the weights by name (query.weight [d,C,1,1], query.bias [d], key.weight,
            key.bias, value.weight [1,C,1,1], value.bias [1]) returns masks [B,N,4h,4w].
    """
    layers = [f"{layer}.{part}" for layer in ("query", "key", "value") for part in ("weight", "bias")]
    with np.load(shipped(GOLDEN)) as file:
        features, wanted = (torch.from_numpy(file[name]).float() for name in ("features", "mask"))
        weights = {name: torch.from_numpy(file[name.replace(".", "_")]).float() for name in layers}
    got = masks(features, weights)
    off = _off(got, wanted, "masks")
    if off is None:
        return "right"
    if getattr(got, "shape", None) == wanted.shape:
        for said, change in MISTAKES.items():
            if _alike(got, _masks(features, weights, **change)):
                return said
    return off


MISTAKES = {
    "queries and keys have no ReLU: the paper's equation, not the released code": {"relu": False},
    "the products are not divided by the root of d": {"root": False},
    "image n meets its own keys, too: the sum runs over the others": {"own": True},
    "the sum over the other images is divided by their number, and should not be": {"mean": True},
    "the softmax over the images comes before the enlargement, and should come after it": {"early": True},
    "enlarged by the nearest value: it is bilinear, corners not aligned": {"mode": "nearest"},
}
"""What a check says of a known mistake, and the change to Eq. 1 and 2 that it is."""


def _masks(
    features: Tensor,
    weights: Mapping[str, Tensor],
    *,
    relu: bool = True,
    root: bool = True,
    own: bool = False,
    mean: bool = False,
    early: bool = False,
    mode: str = "bilinear",
) -> Tensor:
    """Return the masks of Eq. 1 and 2, pair by pair, with what a change makes of them."""
    count, size = len(features), features.shape[-2:]
    z = features.flatten(3).transpose(2, 3)  # [N,B,P,C]
    flat = {layer: weights[f"{layer}.weight"].flatten(1) for layer in ("query", "key", "value")}
    q, k, v = (z @ flat[layer].T + weights[f"{layer}.bias"] for layer in flat)
    q, k = (q.relu(), k.relu()) if relu else (q, k)
    scores = []
    for n in range(count):
        met = [q[n] @ k[i].transpose(1, 2) for i in range(count) if own or i != n]
        summed = sum(met) / (len(met) if mean else 1) / (math.sqrt(q.shape[-1]) if root else 1)
        scores.append((summed.softmax(dim=-1) @ v[n])[..., 0].unflatten(-1, size))
    stacked = torch.stack(scores, dim=1)
    more = {"align_corners": False} if mode == "bilinear" else {}
    large = F.interpolate(stacked.softmax(dim=1) if early else stacked, scale_factor=4, mode=mode, **more)
    return large if early else large.softmax(dim=1)


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


def _off(got: Any, wanted: Tensor, what: str) -> str | None:
    if got is None:
        return NOTHING
    if not isinstance(got, Tensor):
        return f"the {what} should be a tensor, got {type(got).__name__}"
    if got.shape != wanted.shape:
        return f"the {what} have the shape {tuple(got.shape)}, and should have {tuple(wanted.shape)}"
    gap = (got - wanted).abs().max().item()
    return None if gap < CLOSE else f"the {what} are off by up to {gap:.2g}"


def _alike(got: Tensor, wanted: Tensor) -> bool:
    return got.shape == wanted.shape and (got - wanted).abs().max().item() < CLOSE
