"""Images mixed per second by every method, draws included, beside timm's and torchvision's MixUp and CutMix.

float32 on the CPU, batches of 100 at 32 px and of 16 at 224 px. Rounds of all variants alternate.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from _report import arguments, report
from timm.data.mixup import Mixup as TimmMixup
from torch import Tensor
from torchvision.transforms import v2

from adautomix.methods import METHODS, make_method
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import draw_index, sample_lam
from adautomix.methods.puzzlemix.method import PuzzleDraws, PuzzleMix
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier

CLASSES = 10
SHAPES = ((100, 32), (16, 224))
LEFT_OUT = ("vanilla", "manifoldmix")
"""Nothing to mix, and mixing inside the network."""
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "cutmix": ({"alpha": 1.0}, {"alpha": 1.0, "per_sample": True}),  # the peers' alpha: time follows the box's size
    "saliencymix": ({}, {"one_map": True}),
    "puzzlemix": ({}, {"transport": False}),
    "automix": ({},),
    "adautomix": ({},),
}
"""Variants, where they are not the defaults and per_sample."""
Mix = Callable[[Tensor, Tensor], Any]


def main() -> None:
    """Print images/s and the ratio to our MixUp, one row per method and size."""
    args = arguments(__doc__, rounds=9, width=16)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    rows = []
    for batch, size in SHAPES:
        x, y = torch.rand(batch, 3, size, size), torch.randint(CLASSES, (batch,))
        variants = ours(size, args.width) | labelled(x, y) | peers()
        rates = timed(variants, x, y, args.rounds)
        for name, rate in rates.items():
            ratio = statistics.median(a / b for a, b in zip(rate, rates["mixup"], strict=True))
            row = {"mix": name, "batch": batch, "px": size, "images_per_s": round(statistics.median(rate))}
            rows.append(row | {"ratio_to_mixup": round(ratio, 3)})
    report(f"mixing, {torch.get_num_threads()} threads, float32", rows, args.json)


def ours(size: int, width: int) -> dict[str, Mix]:
    """Return every method's draw and mix, by name; learned methods with a small student's features."""
    mixes = {}
    for name in METHODS:
        if name in LEFT_OUT:
            continue
        for variant in OPTIONS.get(name, ({}, {"per_sample": True})):
            label = " ".join([name, *(f"{option}={value}" for option, value in variant.items())])
            mixes[label] = _mix(name, variant, size, width)
    return mixes


def _mix(name: str, options: dict[str, Any], size: int, width: int) -> Mix:
    net, _ = build_backbone("resnet18", image_size=size, width=width)
    student = Classifier(net, CLASSES, heads=METHODS[name].heads, image_size=size)
    method, ctx = make_method(name, student, options), Context.start(student, steps=1)
    images = torch.rand(2, 3, size, size)
    method.load_state_dict(method.step(images, torch.arange(2), ctx).state)  # RecursiveMix mixes from the second on
    return lambda x, y: method.mix(x, y, ctx, method.draw(len(x), ctx))


def labelled(x: Tensor, y: Tensor) -> dict[str, Mix]:
    """Return PuzzleMix with its saliency given, by number of blocks: labelling, transport and blending alone.

    The map is random noise, the hardest to label. What a student adds is the row `puzzlemix`.
    """
    saliency, targets = torch.rand(len(x), *x.shape[2:]), torch.nn.functional.one_hot(y, CLASSES).float()
    rng, mixes = torch.Generator().manual_seed(0), {}

    def mix_with(method: PuzzleMix, blocks: int) -> Mix:
        return lambda x, y: method.mix_salient(
            x, targets, saliency, PuzzleDraws(draw_index(len(x), 2, rng), sample_lam(len(x), 2, 1.0, rng), blocks)
        )

    for options in ({"transport": True}, {"transport": False}, {"transport": False, "solver": "exact"}):
        for blocks in (2, 4, 8, 16):
            name = " ".join(["puzzlemix given saliency", f"blocks={blocks}", *(f"{k}={v}" for k, v in options.items())])
            mixes[name] = mix_with(PuzzleMix(**options), blocks)
    return mixes


def peers() -> dict[str, Mix]:
    """Return timm's and torchvision's, with a copy of x for timm's, which write into it."""
    warnings.filterwarnings("ignore", message=".*transform.*")
    timm_mixup = TimmMixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=CLASSES)
    timm_cutmix = TimmMixup(mixup_alpha=0.0, cutmix_alpha=1.0, label_smoothing=0.0, num_classes=CLASSES)
    return {
        "timm mixup": lambda x, y: timm_mixup(x.clone(), y),
        "timm cutmix": lambda x, y: timm_cutmix(x.clone(), y),
        "torchvision mixup": v2.MixUp(num_classes=CLASSES, alpha=1.0),
        "torchvision cutmix": v2.CutMix(num_classes=CLASSES, alpha=1.0),
    }


def timed(variants: dict[str, Mix], x: Tensor, y: Tensor, rounds: int) -> dict[str, list[float]]:
    """Return images/s of every variant in every round."""
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, mix in variants.items():
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < 0.1:
                mix(x, y)
                count += len(x)
            if turn:  # the first round warms up
                rates[name].append(count / (time.perf_counter() - began))
    return rates


if __name__ == "__main__":
    main()
