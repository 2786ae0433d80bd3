"""Stage 1 of gpu.py: does a GPU compute what the released code and our CPU compute?

Each check is a row with `ok` and the largest difference seen. TF32 is off here.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from helpers.golden_arrays import MARGIN_BUG, files, golden, load_generator, tensor
from helpers.golden_steps import adautomix_for, automix_for, start
from torch import Tensor
from train_step import random_images

from adautomix.config import OptimConfig, TrainConfig
from adautomix.data.base import Dataset, describe
from adautomix.methods import METHODS, make_method, resolve_options
from adautomix.methods.base import MixMethod
from adautomix.methods.context import Context
from adautomix.models.generator import MixBlock
from adautomix.runs.networks import build_classifier
from adautomix.training.graphs import WARM_UP, StepGraphs
from adautomix.training.steps import Training

GOLDEN, CPU_AND_GPU, REPLAYED = 1e-4, 1e-3, 10
"""Largest differences allowed: to the released code, to our CPU (a step's losses), and of replayed steps to steps, in
times what one rounding of the first weights makes of them: training is chaotic, 1e-7 becomes 5e-3 in 30 steps."""
GRAPHED = ("vanilla", "mixup", "cutmix", "manifoldmix", "automix", "adautomix", "recursivemix")


def checks(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield one row per check."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for path in files("mask"):
        yield row(f"golden masks {path.stem}", lambda path=path: masks(path, args.device), GOLDEN)
    for kind, method_for in (("step", adautomix_for), ("automix", automix_for)):
        for path in (path for path in files(kind) if path.stem != MARGIN_BUG):
            told = f"golden {kind} {path.stem}"
            yield row(told, lambda path=path, make=method_for: golden_step(path, make, args.device), GOLDEN)
    for name in METHODS:
        told = f"{name}: a step on {args.device} and on the CPU"
        yield row(told, lambda n=name: step_beside_cpu(n, args), CPU_AND_GPU)
    for name in ("mixup", "adautomix"):
        yield row(f"{name}: resumed and in one go", lambda n=name: resumed(n, args), CPU_AND_GPU)
    if args.device.type == "cuda":
        for name in GRAPHED:
            yield row(f"{name}: replayed and eager", lambda n=name: replayed(n, args), REPLAYED)
        for name in GRAPHED:
            for graphs in (False, True):
                how = "replayed" if graphs else "eager"
                yield row(f"{name}: no wait in a step, {how}", lambda n=name, g=graphs: waits(n, g, args), 0)


def row(name: str, check: Callable[[], float], allowed: float) -> dict[str, Any]:
    """Return one check's row; what raises is a failure with its message."""
    began = time.monotonic()
    try:
        difference, error = check(), ""
    except Exception as problem:
        difference, error = float("inf"), f"{type(problem).__name__}: {problem}".splitlines()[0][:300]
    told = {"check": name, "ok": difference <= allowed, "difference": difference, "allowed": allowed}
    return told | ({"error": error} if error else {}) | {"seconds": round(time.monotonic() - began, 1)}


def masks(path: Path, device: torch.device) -> float:
    """Return how far the generator's masks and their gradient are from the released code's."""
    d = golden(path)
    features = tensor(d["features"], torch.float32).to(device).requires_grad_()
    block = MixBlock(features.shape[2], int(d["reduction"]), bool(d["lam_concat"]))
    load_generator(block, d, prefix="")
    lam, probe = (tensor(d[name], torch.float32).to(device) for name in ("lam", "probe"))
    made = block.to(device)(features, lam, int(d["scale_factor"]), str(d["mode"]))
    (gradient,) = torch.autograd.grad((made * probe).sum(), features)
    wanted = (tensor(d[name], torch.float32) for name in ("mask", "grad_features"))
    return max(largest(ours, theirs) for ours, theirs in zip((made, gradient), wanted, strict=True))


def golden_step(path: Path, method_for: Callable[..., MixMethod], device: torch.device) -> float:
    """Return how far a step's loss, the generator's mix and its gradient are from the released code's."""
    d = golden(path)
    method = method_for(d)
    ctx, draws, _, _, names = start(d, method)
    for module in (ctx.student, ctx.teacher, method.generator):
        module.to(device)
    out = method.step(tensor(d["images"]).to(device), tensor(d["labels"]).long().to(device), ctx, draws)
    total = sum(out.losses.values())
    total.backward()
    pairs = [(total, d["loss_total"]), (out.mixed[0].x, d["mixed_mb"])]
    pairs += [(method.generator.get_parameter(n).grad, d["grad_total_mix_" + n.replace(".", "_")]) for n in names]
    return max(largest(ours, tensor(theirs, torch.float32)) for ours, theirs in pairs)


def config_for(name: str, args: argparse.Namespace, **changes: Any) -> TrainConfig:
    """Return a small config whose rates float32 holds exactly."""
    optim = {"student": OptimConfig(lr=0.0625, schedule="constant")}
    base = TrainConfig(method=name, options=resolve_options(name, {}), width=4 if args.smoke else 16, batch_size=20)
    return replace(base, epochs=2, optim=optim, device=args.device.type, **changes)


def images(args: argparse.Namespace) -> Dataset:
    """Return a data set of two or five batches."""
    return random_images(40 if args.smoke else 100)


def step_beside_cpu(name: str, args: argparse.Namespace) -> float:
    """Return the largest relative difference of a step's losses, here and on the CPU, from the same draws."""
    config, losses = config_for(name, args), []
    batch = next(iter(Training.start(config, images(args), torch.device("cpu")).train_batches.epoch(0)))
    for device in (torch.device("cpu"), args.device):
        torch.manual_seed(0)
        student = build_classifier(config, describe(images(args)))
        method = make_method(name, student.train(), config.options)
        student.to(device)
        for module in method.trainable_modules().values():
            module.to(device)
        out = method.step(batch.x.to(device), batch.y.to(device), Context.start(student, steps=9, seed=1))
        mixed = out.mixed[-1]
        assert mixed.x.min() >= -1e-6
        assert mixed.x.max() <= 1 + 1e-6
        assert torch.allclose(mixed.y.sum(dim=1), torch.ones(len(batch.y), device=device), atol=1e-5)
        losses.append(torch.stack([loss.detach().cpu() for loss in out.losses.values()]))
    return float(((losses[0] - losses[1]).abs() / losses[0].abs().clamp(min=0.1)).max())


def resumed(name: str, args: argparse.Namespace) -> float:
    """Return how far two epochs' weights are from one epoch's, stored, loaded and trained for another."""
    config = config_for(name, args)
    whole, first, second = (Training.start(config, images(args), args.device) for _ in range(3))
    epoch(whole, 0)
    epoch(whole, 1)
    epoch(first, 0)
    second.load_state_dict(first.state_dict())
    epoch(second, 1)
    return weights_apart(whole, second)


def epoch(training: Training, number: int) -> None:
    """Train an epoch without evaluation."""
    torch.manual_seed(number)
    for batch in training.train_batches.epoch(number):
        training.step(batch)


def replayed(name: str, args: argparse.Namespace) -> float:
    """Return how far replayed steps lead away from steps, in times what one rounding in the beginning does."""
    runs = [Training.start(config_for(name, args), images(args), args.device) for _ in range(3)]
    runs[1].graphs = StepGraphs(args.device)
    with torch.no_grad():
        for weight in runs[2].student.parameters():
            weight.mul_(1 + 2**-23)
    for training in runs:
        for number in range(2 * WARM_UP):
            epoch(training, number)
    assert any(variant.replay for variant in runs[1].graphs.variants.values()), "nothing was recorded"
    return weights_apart(runs[0], runs[1]) / max(weights_apart(runs[0], runs[2]), 2**-23)


def waits(name: str, graphs: bool, args: argparse.Namespace) -> float:
    """Return 0 if steps run without the CPU waiting for the GPU; torch raises where it would."""
    training = Training.start(config_for(name, args, cuda_graphs=graphs), images(args), args.device)
    for number in range(2 * WARM_UP):
        epoch(training, number)
    batches = list(training.train_batches.epoch(0))
    variants = dict(training.graphs.variants) if graphs else {}
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches:
            training.step(batch)
    except RuntimeError:
        if graphs and len(training.graphs.variants) > len(variants):
            return 0.0  # a variant that was new
        raise
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0.0


def weights_apart(a: Training, b: Training) -> float:
    """Return the largest difference of two trainings' weights, relative to the largest weight of that name."""
    nets = ((a.student, b.student), (a.context.teacher, b.context.teacher))
    states = [(left.state_dict(), right.state_dict()) for left, right in nets]
    pairs = [(value, right[name]) for left, right in states for name, value in left.items()]
    return max(largest(x, y) / float(x.abs().max().clamp(min=1)) for x, y in pairs)


def largest(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest absolute difference."""
    return float((ours.detach().cpu() - theirs.detach().cpu()).abs().max())
