"""The networks of a Run: made new from its config, or as training left them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from timm.layers import convert_sync_batchnorm

from adautomix.config import TrainConfig
from adautomix.methods import METHODS, make_method
from adautomix.methods.base import MixMethod
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.runs import checkpoint
from adautomix.runs.publishing import published_state
from adautomix.runs.run import ROLES, Run, as_run
from adautomix.utils.errors import UserError


def build_classifier(
    config: TrainConfig,
    dataset: dict[str, Any],
    *,
    heads: Sequence[str] = (),
    fetch: bool = False,
    sync_bn: bool = False,
) -> Classifier:
    """Return a new Classifier for a config, with the heads its method needs, on the CPU.

    Args:
        dataset: `classes`, `size`, `mean` and `std`, as a Run records them.
        heads: those of a checkpoint, whose method need not be there any more; by default those of the method.
        fetch: load timm's weights if the config is of a pretrained network; not wanted where a checkpoint follows.
        sync_bn: its BatchNorm layers look at the batches of all ranks; names and shapes of weights stay.
    """
    size = dataset["size"]
    options = {"width": config.width, "pretrained": config.pretrained, "drop_path": config.drop_path}
    net, resize = build_backbone(config.backbone, image_size=size, fetch=fetch, **options)
    if sync_bn:  # before the Classifier hooks its tap, which may be one of them; timm's keeps activations inside a norm
        net = convert_sync_batchnorm(net)
    return Classifier(
        net,
        len(dataset["classes"]),
        tap=config.tap,
        heads=tuple(heads) or METHODS[config.method].heads,
        mean=dataset["mean"],
        std=dataset["std"],
        image_size=size,
        resize=resize,
    )


def load_classifier(
    run: Run | str | Path, role: str = "student", device: torch.device | str = "cpu", *, unfinished: bool = False
) -> Classifier:
    """Return a run's student or teacher in eval mode, without gradients.

    Args:
        run: or its folder.
        unfinished: accept a run whose training has not finished.
    Raises: UserError for an unknown role, or a run without a finished checkpoint.
    """
    run = as_run(run)
    if role not in ROLES:
        raise UserError(f"role must be student or teacher, got {role!r}")
    if role not in run.roles:
        raise UserError(f"{run.path} is published without its {role}: it has the {' and '.join(run.roles)}")
    state = _state(run, unfinished)
    with checkpoint.whole(run.checkpoint):
        heads = dict.fromkeys(name.split(".")[1] for name in state[role] if name.startswith("heads."))
    model = build_classifier(run.config, _images(run), heads=tuple(heads)).to(device)
    with checkpoint.whole(run.checkpoint):
        model.load_state_dict(state[role])
    return model.eval().requires_grad_(False)


def load_method(run: Run | str | Path, device: torch.device | str = "cpu", *, unfinished: bool = False) -> MixMethod:
    """Return a run's method with what it trained beside the student: AutoMix's and AdAutoMix's generator.

    And with its state, RecursiveMix's last mixed batch; a published run has none.

    Args and errors as for `load_classifier`.
    """
    run = as_run(run)
    state = _state(run, unfinished)
    method = make_method(run.config.method, build_classifier(run.config, _images(run)), run.config.options)
    for name, module in method.trainable_modules().items():
        with checkpoint.whole(run.checkpoint):
            module.load_state_dict(state[name])
        module.to(device).eval().requires_grad_(False)
    with checkpoint.whole(run.checkpoint):
        method.load_state_dict({name: value.to(device) for name, value in state.get("method", {}).items()})
    return method


def _state(run: Run, unfinished: bool) -> dict[str, Any]:
    """Return the states of student, teacher, method, and by name of what the method trained."""
    if not (run.path / "config.json").exists():
        raise UserError(
            f"{run.path} is not a run's folder, it has no config.json; runs lie in outputs/runs/<data set>/<run>"
        )
    if run.weights.exists():
        return published_state(run)
    if run.done and not run.checkpoint.exists():
        raise UserError(
            f"{run.path} is trained, but its {run.checkpoint.name} is gone; delete the folder to train again"
        )
    if not run.checkpoint.exists() or not (run.done or unfinished):
        raise UserError(f"{run.path} is not trained to its end; train it with the same config again, it will go on")
    state = checkpoint.load(run.checkpoint)
    with checkpoint.whole(run.checkpoint):
        roles = {"student": state["student"], "teacher": state["context"]["teacher"]}
        return roles | {"method": state.get("method", {}), **state["trainables"]}


def _images(run: Run) -> dict[str, Any]:
    """Return what a run says of its images; raises UserError if that is not enough for its networks."""
    images = run.info["dataset"]
    if missing := {"classes", "size", "mean", "std"} - set(images):
        raise UserError(f"{run.path}/config.json does not say the {', '.join(sorted(missing))} of its images")
    return images
