"""The check of a mask generator that a reader wrote, Eq. 1 and 2, against the authors' released one.

It returns "right", or one sentence that says what is off: of a known mistake its name, else by how much.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adautomix.lessons.closeness import alike, off_by
from adautomix.lessons.telling import tells
from adautomix.utils.paths import shipped

GOLDEN = "tests/golden/mask/N3_lamconcat0_bilinear.npz"
"""Features, weights and masks of the authors' released generator."""


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
    off = off_by(got, wanted, "masks")
    if off is None:
        return "right"
    if getattr(got, "shape", None) == wanted.shape:
        for said, change in MISTAKES.items():
            if alike(got, _masks(features, weights, **change)):
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
