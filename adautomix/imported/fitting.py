"""A checkpoint's tensors become the state of our networks: every tensor has its place, and every place its tensor."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adautomix.config import TrainConfig
from adautomix.imported.keys import Parts
from adautomix.methods import make_method
from adautomix.runs.networks import build_classifier
from adautomix.utils.errors import UserError, first_five


def fitted(parts: Parts, config: TrainConfig, images: dict[str, Any]) -> dict[str, Any]:
    """Return the content of the Run's checkpoint, after a check that every tensor has its place and every place one."""
    network = build_classifier(config, images)
    wanted = network.state_dict()
    teacher = parts.teacher or parts.student
    states = {"student": complete(parts.student, wanted, parts), "teacher": complete(teacher, wanted, parts)}
    generator = make_method(config.method, network, config.options).trainable_modules()
    trainables = {name: complete(parts.generator, module.state_dict(), parts) for name, module in generator.items()}
    context = {"teacher": states["teacher"], "rng": torch.Generator().get_state(), "step": 0}
    state = {"epoch": config.epochs, "history": [], "student": states["student"], "context": context}
    return state | {"trainables": trainables, "optimizers": {}}


def complete(part: Mapping[str, Tensor], wanted: Mapping[str, Tensor], parts: Parts) -> dict[str, Tensor]:
    """Return a part's tensors for a module's state; of heads that it does not have, the names are noted as left out.

    Raises: UserError naming tensors that are missing, left over, or of another shape.
    """
    spare = [name for name in part if name not in wanted and name.startswith("heads.")]
    parts.left_out += [name for name in spare if name not in parts.left_out]
    part = {name: tensor for name, tensor in part.items() if name not in spare}
    own = {name: tensor for name, tensor in wanted.items() if name in ("mean", "std")}  # of the images, not trained
    missing = [name for name in wanted if name not in part and name not in own]
    over = [name for name in part if name not in wanted]
    shapes = [
        f"{name} {tuple(tensor.shape)} for {tuple(wanted[name].shape)}"
        for name, tensor in part.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    problems = {"missing": missing, "left over": over, "of another shape": shapes}
    if any(problems.values()):
        told = "; ".join(f"{len(names)} {what}: {first_five(names)}" for what, names in problems.items() if names)
        raise UserError(f"the file's tensors do not fit, by our names {told}")
    return own | part
