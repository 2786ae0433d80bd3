"""Backbones: a timm network without its classifier, fit for the size of the images it is to see.

A standard ResNet halves an image four times before its second stage is done; of 32 px little
is left. Small images get another stem, and are called the CIFAR variant in papers.
"""

from typing import Any

import timm
from torch import nn

from adautomix.utils.errors import UserError

SMALL = 64
"""Images up to this side get a stem of one 3x3 convolution with stride 1 and no max-pool (CIFAR variant)."""
VITS, PATCH = ("vit_", "deit_", "test_vit"), 4
"""timm's plain ViTs, and their patches' side (px) on small images; enlarged to 224 px they see 3 to 12 times more."""


def build_backbone(
    name: str,
    *,
    image_size: int,
    width: int | None = None,
    pretrained: bool = False,
    drop_path: float | None = None,
) -> tuple[nn.Module, int | None]:
    """Return a timm network without its classifier, and the side in px its images must be resized to, or None.

    Up to 64 px ResNets and ConvNeXts get the small-image stem, so that the last stage but one has a quarter of the
    image's side (8 x 8 at 32 px), and ViTs patches of 4 px. Networks made for one size (Swin, pretrained ViTs) see
    every image enlarged to that size; pretrained ConvNeXts, whose stem cannot be replaced, see small images at 224 px.

    Args:
        width: channels of a ResNet's first stage, the later ones double it. The stem keeps timm's 64: at width 16
            that is a fifth of the arithmetic and a quarter of the time at 32 px. It stays so: a narrow one would be
            another network than that of all Runs of a width so far.
        pretrained: timm's ImageNet weights, downloaded on first use.
        drop_path: rate of stochastic depth; None: timm's for that network.
    Raises: UserError for a name timm does not know, a width where none applies, or weights out of reach.
    """
    if not timm.is_model(name):
        close = timm.list_models(f"*{name[:8]}*")[:5]
        raise UserError(f"timm has no model {name!r}" + (f"; similar: {', '.join(close)}" if close else ""))
    if width is not None and not name.startswith(("resnet", "resnext")):
        raise UserError(f"width applies to ResNets, not to {name!r}")
    if width is not None and pretrained:
        raise UserError("there are no pretrained weights for another width; leave width out")
    options: dict[str, Any] = {} if width is None else {"channels": tuple(width * 2**i for i in range(4))}
    small_vit = name.startswith(VITS) and image_size <= SMALL and not pretrained
    if small_vit:
        if image_size % PATCH:
            raise UserError(
                f"{name} sees images up to {SMALL} px in patches of {PATCH} px; {image_size} px cannot be divided so"
            )
        options = {"img_size": image_size, "patch_size": PATCH}
    if drop_path is not None:
        options["drop_path_rate"] = drop_path
    try:
        net = timm.create_model(name, num_classes=0, pretrained=pretrained, **options)
    except TypeError as error:
        if drop_path is None:
            raise
        raise UserError(f"drop_path does not apply to {name}: it has no stochastic depth; leave it out") from error
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"the pretrained weights of {name} cannot be had ({reason}); "
            "they are downloaded from the Hugging Face hub on first use and then kept in its cache. Without a network, "
            "fill that cache (HF_HOME) on a machine that has one, or train without pretrained weights"
        ) from error
    if small_vit:
        return net, None
    fixed = net.default_cfg["input_size"][-1] if net.default_cfg.get("fixed_input_size") else None
    if fixed is not None:  # Swin, pretrained ViT
        return net, None if image_size == fixed else fixed
    if image_size > SMALL:
        return net, None
    if hasattr(net, "conv1") and hasattr(net, "maxpool"):
        _small_resnet_stem(net)
        return net, None
    if name.startswith("convnext") and not pretrained:
        _small_convnext_stem(net)
        return net, None
    return net, 224


def _small_convnext_stem(net: nn.Module) -> None:
    """Replace the 4x4 patches with a 3x3 convolution of stride 1, as in the released CIFAR-100 runs."""
    net.stem[0] = nn.Conv2d(3, net.stem[0].out_channels, 3, stride=1, padding=1)
    nn.init.trunc_normal_(net.stem[0].weight, std=0.02)
    nn.init.zeros_(net.stem[0].bias)


def _small_resnet_stem(net: nn.Module) -> None:
    out = net.layer1[0].conv1.in_channels
    net.conv1 = nn.Conv2d(3, out, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.maxpool = nn.Identity()
