"""The names of a checkpoint in OpenMixup's layout, and ours: one file's `state_dict` to student, teacher and generator.

`backbone_q`, `head_one_q` and `head_mix_q` are the student, `..._k` the teacher, `mix_block` the generator; `backbone`
and `head` repeat the teacher. A method without a teacher has `backbone` and `head` alone. Swin and ConvNeXt are timm's
with other names, and Swin's patch merging orders its 4C inputs otherwise.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from adautomix.utils.errors import UserError

NETWORKS = {"q": "student", "k": "teacher"}
GENERATOR = {
    "conv_q.conv": "query",
    "conv_k.conv": "key",
    "conv_v": "value",
    "conv_q.bn": "query_norm",
    "conv_k.bn": "key_norm",
}
RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "resnet": (),
    "convnext": (
        (r"^downsample_layers\.0\.", "stem."),
        (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
        (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
        (r"\.depthwise_conv\.", ".conv_dw."),
        (r"\.pointwise_conv([12])\.", r".mlp.fc\1."),
        (r"^norm3\.", "head.norm."),
    ),
    "swin": (
        (r"^patch_embed\.projection\.", "patch_embed.proj."),
        (r"^stages\.", "layers."),
        (r"\.attn\.w_msa\.", ".attn."),
        (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
        (r"^norm3\.", "norm."),
    ),
}
"""By family, patterns of a backbone's names and what stands in their place, applied one after the other."""
WITHOUT_COUNTERPART = re.compile(r"\.attn\.w_msa\.relative_position_index$|^norm2\.")
"""Swin: an index that timm computes, and a norm of the tap alone, which was never trained."""


@dataclass
class Parts:
    """A checkpoint by part, under our names; `left_out` are names of the file without a counterpart."""

    student: dict[str, Tensor] = field(default_factory=dict)
    teacher: dict[str, Tensor] = field(default_factory=dict)
    generator: dict[str, Tensor] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def family_of(state: Mapping[str, Tensor]) -> str:
    """Return resnet, convnext or swin, from the names of any backbone of a checkpoint."""
    names = [name.split(".", 1)[1] for name in state if name.startswith("backbone") and "." in name]
    for family, mark in {"resnet": "layer1.0.", "convnext": "downsample_layers.", "swin": "patch_embed."}.items():
        if any(name.startswith(mark) for name in names):
            return family
    raise UserError(
        "the file holds no ResNet, ResNeXt, ConvNeXt or Swin in OpenMixup's layout (backbone_q.*, backbone_k.* or "
        f"backbone.*); its first names are {', '.join(list(state)[:5]) or 'none'}"
    )


def by_part(state: Mapping[str, Tensor]) -> Parts:
    """Return a checkpoint's tensors under our names; those of a file with one network are the student's.

    Raises: UserError for a network we do not know, or names that belong to no part.
    """
    family, parts, unknown = family_of(state), Parts(), []
    pair = any(name.startswith("backbone_") for name in state)
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        network = NETWORKS.get(first.rpartition("_")[2])
        if pair and first in ("backbone", "head"):
            continue  # the teacher once more
        if first == "mix_block":
            _place(parts.generator, _generator_name(rest), tensor, unknown, name)
        elif first == "backbone" or (network and first.startswith("backbone_")):
            of = getattr(parts, network or "student")
            if WITHOUT_COUNTERPART.search(rest) and family == "swin":
                parts.left_out.append(name)
            else:
                ours, change = _backbone_name(rest, family)
                _place(of, ours, change(tensor), unknown, name)
        elif first == "head" or (network and first.startswith(("head_one_", "head_mix_"))):
            head = first.split("_")[1] if network else "one"
            _place(getattr(parts, network or "student"), _head_name(head, rest), tensor, unknown, name)
        else:
            unknown.append(name)
    if unknown:
        raise UserError(f"{len(unknown)} names of the file belong to no part we know: {', '.join(unknown[:5])}")
    return parts


def _place(part: dict[str, Tensor], ours: str | None, tensor: Tensor, unknown: list[str], name: str) -> None:
    if ours is None:
        unknown.append(name)
    else:
        part[ours] = tensor


def _generator_name(rest: str) -> str | None:
    module, _, leaf = rest.rpartition(".")
    return f"{GENERATOR[module]}.{leaf}" if module in GENERATOR else None


def _head_name(head: str, rest: str) -> str | None:
    module, _, leaf = rest.rpartition(".")
    return f"heads.{head}.{leaf}" if module in ("fc", "layers.head") else None


def _backbone_name(rest: str, family: str) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Return our name of a backbone's tensor, and what is to be done to its values."""
    if family == "swin" and (merging := re.match(r"^stages\.(\d+)\.downsample\.(.*)$", rest)):
        return f"net.layers.{int(merging[1]) + 1}.downsample.{merging[2]}", reordered
    for pattern, ours in RENAMED[family]:
        rest = re.sub(pattern, ours, rest)
    return f"net.{rest}", lambda tensor: tensor


def reordered(tensor: Tensor) -> Tensor:
    """Return a tensor whose last axis of 4C counts (channel, row, column), counting (column, row, channel) as timm."""
    blocks = tensor.unflatten(-1, (-1, 2, 2))  # [...,C,row,column]
    return blocks.transpose(-3, -1).flatten(-3)
