"""Steps of the released code: its small network, weights and draws. Needs no pytest: gpu.py uses it too."""

import torch
from torch import nn

from adautomix.config import EmaConfig
from adautomix.methods.adautomix import AdAutoMix
from adautomix.methods.automix import AutoMix
from adautomix.methods.context import Context
from adautomix.methods.learned import GeneratorDraws
from adautomix.models.classifier import Classifier
from helpers.golden_arrays import load_generator, tensor


class GoldenNet(nn.Module):
    """The small network of golden/README.md; `tanh2` is the feature the generator sees."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 8, 1), (8, 16, 2), (16, 24, 2))
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(i, o, 3, stride=s, padding=1) for i, o, s in sizes)
        self.tanh2 = nn.Tanh()

    def forward(self, x):
        return self.conv3(self.tanh2(self.conv2(self.conv1(x).tanh()))).tanh()


def golden_classifier(d, which):
    model = Classifier(
        GoldenNet(),
        int(d["num_classes"]),
        tap="tanh2",
        heads=("one", "mix"),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        image_size=8,
    )
    names = {
        f"net.{c}.{k}": f"backbone_{which}.{c}.{k}" for c in ("conv1", "conv2", "conv3") for k in ("weight", "bias")
    }
    names |= {f"heads.{h}.{k}": f"head_{h}_{which}.fc.{k}" for h in ("one", "mix") for k in ("weight", "bias")}
    model.load_state_dict({k: tensor(d[f"w_{v}"]) for k, v in names.items()}, strict=False)
    return model, names


def start(d, method):
    student, student_names = golden_classifier(d, "q")
    teacher, teacher_names = golden_classifier(d, "k")
    generator_names = load_generator(method.generator, d)
    steps = 10
    ctx = Context(student, teacher.requires_grad_(False), torch.Generator(), steps, EmaConfig(), student.num_classes)
    ctx.step = 0 if bool(d.get("adversarial", True)) else 1
    batch = len(d["labels"])
    lam, lam_generator = (tensor(d[k], torch.float32).expand(batch, -1) for k in ("lam_bb", "lam_mb"))
    draws = GeneratorDraws(tensor(d["perm_bb"]), lam, tensor(d["perm_mb"]), lam_generator)
    return ctx, draws, student_names, teacher_names, generator_names


def adautomix_for(d):
    return AdAutoMix(
        16,
        n_mix=int(d["N"]),
        beta=float(d["beta_radio"]),
        alpha_loss=float(d["mixup_radio"]),
        margin=float(d["lam_margin"]),
        mode=str(d["mode"]),
        lam_channel=bool(d["lam_concat"]),
    )


def automix_for(d):
    return AutoMix(
        16,
        margin=float(d["lam_margin"]),
        mode=str(d["mode"]),
        lam_channel=bool(d["lam_concat"]),
        mask_penalty=float(d["mask_penalty"]),
    )
