"""Backbones: a timm network without its classifier, fit for the size of the images it is to see.

A standard ResNet halves an image four times before its second stage is done; of 32 px little
is left. Small images get another stem, and are called the CIFAR variant in papers.
"""

import re
from typing import Any

import timm
from torch import nn

from adautomix.utils.errors import UserError

SMALL = 64
"""Images up to this side get a stem of one 3x3 convolution with stride 1 and no max-pool (CIFAR variant)."""
VITS, PATCH = re.compile(r"(vit|deit|test_vit)(?!.*(_r\d*_s\d|_r\d+_|resnet|hybrid|_mci_))"), 4
"""timm's plain ViTs, and their patches' side (px) on small images; enlarged to 224 px they see 3 to 12 times more. Not
those behind a ResNet or other convolutions, which have a stem of their own."""


def build_backbone(
    name: str,
    *,
    image_size: int | tuple[int, int],
    width: int | None = None,
    pretrained: bool = False,
    fetch: bool = True,
    drop_path: float | None = None,
) -> tuple[nn.Module, int | tuple[int, int] | None]:
    """Return a timm network without its classifier, and the size in px its images must be resized to, or None.

    Up to 64 px ResNets and ConvNeXts get the small-image stem, so that the last stage but one has a quarter of the
    image's side (8 x 8 at 32 px), and ViTs patches of 4 px. Networks made for one size (Swin, pretrained ViTs) see
    every image enlarged to that size. All others see small images at 224 px: pretrained ones, whose stem is kept with
    its weights, and those whose stem cannot be replaced (EfficientNet, ViTs behind a ResNet, overlapping patches).
    Images that are not square keep their proportions: their shorter side is brought to the network's size, and one made
    for a fixed size is made for theirs.

    Args:
        image_size: side, or height and width, in px.
        width: channels of a ResNet's first stage, the later ones double it. The stem keeps timm's 64: at width 16
            that is a fifth of the arithmetic and a quarter of the time at 32 px. It stays so: a narrow one would be
            another network than that of all Runs of a width so far.
        pretrained: made for timm's ImageNet weights, as they were trained.
        fetch: load those weights, downloaded on first use; not wanted where a checkpoint follows.
        drop_path: rate of stochastic depth; None: timm's for that network.
    Raises: UserError for a name timm does not know, a width where none applies, a size the network cannot be made for,
        or weights out of reach.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if not timm.is_model(name):
        close = timm.list_models(f"*{name[:8]}*")[:5]
        raise UserError(f"timm has no model {name!r}" + (f"; similar: {', '.join(close)}" if close else ""))
    if width is not None and not name.startswith(("resnet", "resnext")):
        raise UserError(f"width applies to ResNets, not to {name!r}")
    if width is not None and pretrained:
        raise UserError("there are no pretrained weights for another width; leave width out")
    options: dict[str, Any] = {} if width is None else {"channels": tuple(width * 2**i for i in range(4))}
    small = max(size) <= SMALL
    small_vit = VITS.match(name) is not None and small and not pretrained
    fixed = _fixed_side(name)
    if small_vit:
        if size[0] % PATCH or size[1] % PATCH:
            told = "x".join(map(str, sorted(set(size), key=size.index)))
            raise UserError(
                f"{name} sees images up to {SMALL} px in patches of {PATCH} px; {told} px cannot be divided so"
            )
        options = {"img_size": size, "patch_size": PATCH}
    elif fixed is not None and size[0] != size[1]:
        options["img_size"] = _enlarged(size, fixed)
    if drop_path is not None:
        options["drop_path_rate"] = drop_path
    try:
        net = timm.create_model(name, num_classes=0, pretrained=pretrained and fetch, **options)
    except (TypeError, AssertionError) as error:
        if "img_size" in options and not small_vit and (isinstance(error, AssertionError) or "img_size" in str(error)):
            raise UserError(
                f"{name} is made for {fixed}x{fixed} px and cannot be made for {options['img_size']}: {error}"
            ) from error
        if "channels" in options and "'channels'" in str(error):
            raise UserError(f"width does not apply to {name}: timm builds it in another way; leave it out") from error
        if drop_path is None:
            raise
        raise UserError(f"drop_path does not apply to {name}: it has no stochastic depth; leave it out") from error
    except (OSError, RuntimeError) as error:
        if not (pretrained and fetch):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"the pretrained weights of {name} cannot be had ({reason}); "
            "they are downloaded from the Hugging Face hub on first use and then kept in its cache. Without a network, "
            "fill that cache (HF_HOME) on a machine that has one, or train without pretrained weights"
        ) from error
    if small_vit:
        return net, None
    if fixed is not None:  # Swin, pretrained ViT
        seen = options.get("img_size", (fixed, fixed))
        return net, None if size == seen else (seen if size[0] != size[1] else fixed)
    if not small:
        return net, None
    if not pretrained and hasattr(net, "conv1") and hasattr(net, "maxpool"):
        _small_resnet_stem(net)
        return net, None
    if name.startswith("convnext") and not pretrained and net.stem[0].stride == (4, 4):
        _small_convnext_stem(net)
        return net, None
    return net, 224 if size[0] == size[1] else _enlarged(size, 224)


def _fixed_side(name: str) -> int | None:
    """Return the side in px that a network is made for; None if it takes any."""
    config = timm.get_pretrained_cfg(name)
    return config.input_size[-1] if config is not None and config.fixed_input_size else None


def _enlarged(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return a size whose shorter side is `side`, of the same proportions if both fall on patches of 16 px."""
    longer = side * max(size) / min(size)
    longer = int(longer) if longer % 16 == 0 else 32 * round(longer / 32)
    return (side, longer) if size[0] < size[1] else (longer, side)


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
