"""Checkpoints in the authors' layout, written from networks of ours by the recorded list of names."""

import copy
from ast import literal_eval
from pathlib import Path

import pandas as pd
import torch

from adautomix.config import TrainConfig
from adautomix.data.base import IMAGENET_MEAN, IMAGENET_STD
from adautomix.methods import make_method
from adautomix.runs.networks import build_classifier
from helpers import ROOT

KEYS = pd.read_csv(ROOT / "tests" / "golden" / "checkpoint" / "keys.csv.xz", keep_default_na=False)
MODELS = tuple(KEYS["model"].unique())


def names_of(model: str) -> pd.DataFrame:
    """Return the recorded names of one model, a row each: checkpoint_key, shape, part, adautomix_key."""
    rows = KEYS[KEYS["model"] == model]
    return rows.assign(shape=[literal_eval(shape) for shape in rows["shape"]])


def blank_state(model: str) -> dict[str, torch.Tensor]:
    """Return a model's state without memory."""
    rows = names_of(model)
    return {
        name: torch.empty(shape, device="meta")
        for name, shape in zip(rows["checkpoint_key"], rows["shape"], strict=True)
    }


def small_networks(classes: int = 7, size: int = 32, width: int | None = 8, **options):
    """Return a student and another teacher, ResNet-18 (of width 8), and AdAutoMix's generator."""
    torch.manual_seed(0)
    config = TrainConfig(method="adautomix", width=width)
    mean, std = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]) if size == 32 else (IMAGENET_MEAN, IMAGENET_STD)
    images = {"classes": ["a"] * classes, "size": size, "mean": mean, "std": std}
    student = build_classifier(config, images).eval()
    for name, buffer in student.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    teacher = copy.deepcopy(student)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.1)
    generator = make_method("adautomix", student, options).generator
    return student, teacher, generator


def large_networks(classes: int):
    """Return the same three with ImageNet's stem and generator."""
    return small_networks(classes, 224, width=None, lam_channel=True)


def in_their_layout(student, teacher, generator) -> dict[str, torch.Tensor]:
    """Return the state of the three under the names that the authors' program gives them, aliases included."""
    of = {"student": student.state_dict(), "teacher": teacher.state_dict(), "generator": generator.state_dict()}
    rows = names_of("resnet18_cifar")
    state = {r.checkpoint_key: of[r.part][r.adautomix_key] for r in rows.itertuples() if r.part in of}
    # At width 8 the first block changes the channels, too, which no recorded network does.
    for part, prefix in (("student", "backbone_q."), ("teacher", "backbone_k.")):
        more = [name for name in of[part] if name.startswith("net.layer1.0.downsample.")]
        state |= {prefix + name.removeprefix("net."): of[part][name] for name in more}
        if part == "teacher":
            state |= {"backbone." + name.removeprefix("net."): of[part][name] for name in more}
    alias = {"backbone.": "backbone_k.", "head.": "head_one_k."}
    for name in rows.loc[rows["part"] == "ignored", "checkpoint_key"]:
        for short, whole in alias.items():
            if name.startswith(short):
                state[name] = state[whole + name.removeprefix(short)]
    return state


def write_checkpoint(path: Path, state: dict[str, torch.Tensor], **meta) -> Path:
    """Write a checkpoint file and return its path."""
    torch.save({"meta": {"epoch": 12, "iter": 6000} | meta, "state_dict": state}, path)
    return path
