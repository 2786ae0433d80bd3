"""Which network a checkpoint is of, from the shapes of its tensors under our names."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from adautomix.utils.errors import UserError

RESNETS = {
    (2, 2, 2, 2, "basic"): "resnet18",
    (3, 4, 6, 3, "basic"): "resnet34",
    (3, 4, 6, 3, "bottleneck"): "resnet50",
    (3, 4, 6, 3, "grouped"): "resnext50_32x4d",
}
TRANSFORMERS = {
    ("stages", 3, 3, 9, 3, 96): "convnext_tiny",
    ("layers", 2, 2, 6, 2, 96): "swin_tiny_patch4_window7_224",
}
STEM = 64


@dataclass(frozen=True)
class Architecture:
    """A network by its timm name.

    Attributes:
        width: channels of a ResNet's first stage where they are not 64.
        small: whether its stem is the one for images up to 64 px.
        num_classes: outputs of its heads.
        heads: names of its heads.
    """

    backbone: str
    width: int | None
    small: bool
    num_classes: int
    heads: tuple[str, ...]


def recognised(student: Mapping[str, Tensor]) -> Architecture:
    """Return the architecture of a network's tensors.

    Raises: UserError for one we do not know, saying what was found.
    """
    weights = {name.split(".")[1]: t for name, t in student.items() if name.startswith("heads.") and t.ndim == 2}
    if "one" not in weights:
        raise UserError("the file holds no head for clean images (head_one_q, or head): nothing to evaluate")
    classes, heads = len(weights["one"]), tuple(weights)
    if "net.layer1.0.conv1.weight" in student:
        backbone, width, small = _resnet(student)
    else:
        backbone, width, small = _transformer(student)
    return Architecture(backbone, width, small, classes, heads)


def _resnet(student: Mapping[str, Tensor]) -> tuple[str, int | None, bool]:
    depths = _depths(student, "net.layer{}", range(1, 5))
    first, stem = student["net.layer1.0.conv1.weight"], student["net.conv1.weight"]
    kind, width = "basic", first.shape[0]
    if "net.layer1.0.conv3.weight" in student:
        grouped = student["net.layer1.0.conv2.weight"].shape[1] != width
        kind, width = ("grouped", width // 2) if grouped else ("bottleneck", width)
    name = RESNETS.get((*depths, kind))
    if name is None or stem.shape[0] != STEM or stem.shape[-1] not in (3, 7):
        raise UserError(
            f"no ResNet we know: {kind} blocks {depths}, a stem of {tuple(stem.shape)}; known are "
            f"{', '.join(RESNETS.values())} with {STEM} channels in a stem of 3x3 or 7x7"
        )
    return name, None if width == STEM else width, stem.shape[-1] == 3


def _transformer(student: Mapping[str, Tensor]) -> tuple[str, None, bool]:
    stages = "layers" if "net.patch_embed.proj.weight" in student else "stages"
    stem = student.get("net.patch_embed.proj.weight", student.get("net.stem.0.weight"))
    depths = _depths(student, f"net.{stages}.{{}}.blocks", range(4))
    name = None if stem is None else TRANSFORMERS.get((stages, *depths, stem.shape[0]))
    if name is None:
        raise UserError(f"no ConvNeXt or Swin we know: blocks {depths}; known are {', '.join(TRANSFORMERS.values())}")
    return name, None, stages == "stages" and stem.shape[-1] == 3


def _depths(student: Mapping[str, Tensor], prefix: str, stages: range) -> tuple[int, ...]:
    """Return the number of blocks of every stage."""
    counts = []
    for place in (prefix.format(stage) + "." for stage in stages):
        blocks = {name.removeprefix(place).partition(".")[0] for name in student if name.startswith(place)}
        counts.append(len(blocks))
    return tuple(counts)
