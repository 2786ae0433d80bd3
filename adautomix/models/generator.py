"""The generators: N feature maps and lam in, N soft masks out.

MixBlock: Adversarial AutoMixup (ICLR 2024), Eq. 1-2. AutoMixBlock: AutoMix (ECCV 2022). Both as released, where
queries and keys of MixBlock pass a ReLU that the paper lacks (a library default); without it masks differ by 0.2-0.6.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from adautomix.utils.errors import UserError

Mode = Literal["nearest", "bilinear"]
Scale = float | int | tuple[int, int]
"""Enlargement of the feature grid, or the size (H, W) of the masks."""


class MixBlock(nn.Module):
    """Cross-attention between N feature maps, reduced to one soft mask each.

    P_n = softmax(sum_{i != n} q_n^T k_i / sqrt(d)) v_n, upsampled, then a softmax over the N samples (Eq. 1-2). The sum
    over the other samples' keys is taken before the product, so the cost is linear in N. It is not divided by N-1.

    Args:
        channels: C of the feature maps.
        reduction: queries and keys have C // reduction channels, the d of Eq. 1.
        lam_channel: append lam_n as a constant channel to map n; off in the released CIFAR and Tiny-ImageNet runs.
        norm: "batch" normalises queries and keys (ImageNet ResNet-50), each of the N slots by its own statistics.
        activation: of queries and keys; "relu" as released, None as in the paper's equation.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        lam_channel: bool = False,
        norm: str | None = None,
        activation: str | None = "relu",
    ) -> None:
        super().__init__()
        if norm not in (None, "batch") or activation not in (None, "relu"):
            raise UserError(f"norm must be 'batch' or None and activation 'relu' or None, got {norm!r}, {activation!r}")
        inner, inputs = reduced(channels, reduction), channels + lam_channel
        self.lam_channel = lam_channel
        self.query = nn.Conv2d(inputs, inner, 1, bias=norm is None)
        self.key = nn.Conv2d(inputs, inner, 1, bias=norm is None)
        self.value = nn.Conv2d(inputs, 1, 1)
        self.query_norm, self.key_norm = (nn.BatchNorm2d(inner) if norm else nn.Identity() for _ in range(2))
        self.activation = nn.ReLU() if activation else nn.Identity()
        for conv in (self.query, self.key, self.value):
            init_projection(conv)

    def forward(
        self,
        features: Float[Tensor, "N B C h w"],
        lam: Float[Tensor, "B N"] | Float[Tensor, " N"],
        scale: Scale,
        mode: Mode = "bilinear",
    ) -> Float[Tensor, "B N H W"]:
        """Return masks that sum to 1 over the N samples at every pixel, in float32.

        Args:
            features: of the N slots, already permuted.
            lam: mixing ratios, for the batch or for every image; used only with `lam_channel`.
            scale: enlargement of the feature grid, or the size (H, W) of the masks.
            mode: "bilinear" (CNNs; corners not aligned) or "nearest" (transformers).
        """
        return upsample(self.logits(features, lam), scale, mode).softmax(dim=1)

    def logits(
        self, features: Float[Tensor, "N B C h w"], lam: Float[Tensor, "B N"] | Float[Tensor, " N"]
    ) -> Float[Tensor, "B N h w"]:
        """Return P_n of Eq. 1 for every slot, before upsampling, in float32."""
        z = append_lam(features, lam) if self.lam_channel else features
        query = self._project(z, self.query, self.query_norm)
        key = self._project(z, self.key, self.key_norm)
        value = self.value(z.flatten(0, 1)).view(*z.shape[:2], -1)  # [N,B,P]
        with torch.autocast(z.device.type, enabled=False):
            key = key.float()
            others = key.sum(dim=0) - key  # [N,B,P,d]: the keys of all other samples
            attention = attend(query.float(), others)
            mixed = (attention @ value.float()[..., None])[..., 0]
        return mixed.transpose(0, 1).unflatten(-1, z.shape[-2:])

    def _project(self, z: Tensor, conv: nn.Conv2d, norm: nn.Module) -> Float[Tensor, "N B P d"]:
        projected = conv(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        projected = torch.stack([norm(slot) for slot in projected]) if isinstance(norm, nn.BatchNorm2d) else projected
        return self.activation(projected).flatten(3).transpose(2, 3)


class AutoMixBlock(nn.Module):
    """AutoMix's generator: one projection serves query and key, and only the second image has values.

    mask_1 = sigmoid(upsample(softmax(q_0 k_1^T / sqrt(d)) v_1)), mask_0 = 1 - mask_1. Arguments as for MixBlock.
    """

    def __init__(self, channels: int, reduction: int = 2, lam_channel: bool = False) -> None:
        super().__init__()
        self.lam_channel = lam_channel
        self.query = nn.Conv2d(channels + lam_channel, reduced(channels, reduction), 1)
        self.value = nn.Conv2d(channels + lam_channel, 1, 1)
        for conv in (self.query, self.value):
            init_projection(conv)

    def forward(
        self,
        features: Float[Tensor, "2 B C h w"],
        lam: Float[Tensor, "B 2"] | Float[Tensor, " 2"],
        scale: Scale,
        mode: Mode = "nearest",
    ) -> Float[Tensor, "B 2 H W"]:
        """Return the masks of both slots, which sum to 1 at every pixel, in float32."""
        z = append_lam(features, lam) if self.lam_channel else features
        query, key = self.query(z.flatten(0, 1)).flatten(2).transpose(1, 2).chunk(2)  # [B,P,d] each
        value = self.value(z[1]).flatten(1)  # [B,P]
        with torch.autocast(z.device.type, enabled=False):
            logits = (attend(query.float(), key.float()) @ value.float()[..., None])[..., 0]
        second = upsample(logits[:, None].unflatten(-1, z.shape[-2:]), scale, mode).sigmoid()
        return torch.cat([1 - second, second], dim=1)


def reduced(channels: int, reduction: int) -> int:
    """Return the channels of queries and keys; raises UserError unless there is at least one."""
    if not 1 <= reduction <= channels:
        raise UserError(f"reduction must be between 1 and the {channels} channels, got {reduction}")
    return channels // reduction


def attend(query: Float[Tensor, "*S P d"], key: Float[Tensor, "*S P d"]) -> Float[Tensor, "*S P P"]:
    """Return softmax(q k^T / sqrt(d)): how much every position looks at every position of the others."""
    return (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(dim=-1)


def append_lam(
    features: Float[Tensor, "N B C h w"], lam: Float[Tensor, "B N"] | Float[Tensor, " N"]
) -> Float[Tensor, "N B D h w"]:
    """Return the maps with lam_n as a constant last channel (the lam embedding, D = C + 1)."""
    lam = lam.to(features)
    lam = lam.T if lam.ndim == 2 else lam[:, None]  # [N,B] or [N,1]
    plane = lam[:, :, None, None, None].expand(*features.shape[:2], 1, *features.shape[-2:])
    return torch.cat([features, plane], dim=2)


def upsample(logits: Float[Tensor, "B N h w"], scale: Scale, mode: Mode) -> Float[Tensor, "B N H W"]:
    """Return the logits enlarged by a factor or to a size."""
    target = {"size": scale} if isinstance(scale, tuple) else {"scale_factor": scale}
    if mode == "bilinear":
        return F.interpolate(logits, **target, mode="bilinear", align_corners=False)
    return F.interpolate(logits, **target, mode="nearest")


def scale_to(x: Tensor, tap: Tensor) -> Scale:
    """Return how much larger the images are than the tap: a factor, or their size where it is not whole."""
    (height, width), (h, w) = x.shape[-2:], tap.shape[-2:]
    return float(height // h) if height % h == width % w == 0 and height * w == width * h else (height, width)


def init_projection(conv: nn.Conv2d) -> None:
    """Initialise a 1x1 convolution as released: N(0, 0.01), bias 0, so that masks start near 1/N."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
