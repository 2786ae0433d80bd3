"""A training step on one and on two processes of a CPU, a thread each: gradients first, then time and bytes reduced.

Beside our one flattened all-reduce after the backward stands torch's DistributedDataParallel (static graph, no
broadcast of buffers), with our own backward and with a plain one of the summed losses. The gradients of both ranks' own
shares, averaged, are what all are compared with. Rounds alternate; while one process trains alone the other waits.
"""

import json
import os
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from _report import arguments, report
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from train_step import random_images

from adautomix.config import OptimConfig, TrainConfig
from adautomix.methods import resolve_options
from adautomix.training.agent import environment
from adautomix.training.optim import backward, parameters_of
from adautomix.training.ranks import ALONE, Ranks, connected
from adautomix.training.steps import Training
from adautomix.utils.files import write_json

METHODS = ("vanilla", "adautomix")
RANKS = 2
Step = Callable[[], dict[str, Tensor]]
"""Makes a step up to its gradients, and returns them by name."""


def main() -> None:
    """Print a row for every method and way to train it."""
    args = arguments(__doc__, batch=32, width=16, rounds=7)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(rank_main, (args, Path(folder)), nprocs=RANKS, start_method="fork")
        rows = json.loads((Path(folder) / "rows.json").read_text())
    report(f"one step, ResNet-18 width {args.width}, 32 px, batch {args.batch}, {RANKS} ranks", rows, args.json)


def rank_main(rank: int, args: Namespace, folder: Path) -> None:
    """Measure as one of the ranks; the first writes the rows."""
    numbers = {"RANK": rank, "WORLD_SIZE": RANKS, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": RANKS}
    os.environ |= environment(folder) | {name: str(number) for name, number in numbers.items()}
    torch.set_num_threads(1)
    with connected("cpu") as ranks:
        rows = [row for method in METHODS for row in measured(method, ranks, args)]
        if ranks.first:
            write_json(folder / "rows.json", rows)


def measured(method: str, ranks: Ranks, args: Namespace) -> list[dict[str, Any]]:
    """Return the rows of one method."""
    local = begun(method, Ranks(ranks.rank, ranks.count), args)
    ours, ddp, plain = (begun(method, ranks, args) for _ in range(3))
    alone = begun(method, ALONE, args)
    for wrapped in (ddp, plain):
        wrap(wrapped)
    steps: dict[str, Step] = {
        "1 process": lambda: gradients(alone, reduce=False) if ranks.first else {},
        "2, one all-reduce": lambda: gradients(ours, reduce=True),
        "2, DDP, our backward": lambda: gradients(ddp, reduce=False),
        "2, DDP, plain backward": lambda: gradients(plain, reduce=False, whole=True),
    }
    wanted = gradients(local, reduce=False)
    for gradient in wanted.values():
        ranks.mean(gradient)
    errors = {name: error(step(), wanted) for name, step in steps.items() if name != "1 process"}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(args.rounds + 1):
        for name, step in steps.items():
            ranks.told(0)
            began = time.perf_counter()
            step()
            ranks.told(0)
            if turn:
                seconds[name].append(time.perf_counter() - began)
    size = sum(gradient.numel() for gradient in wanted.values()) * 4 / 1e6
    return [
        {
            "method": method,
            "variant": name,
            "largest_error": f"{errors[name]:.0e}" if name in errors else "",
            "ms_a_step": round(1000 * median(times), 1),
            "speed_ratio": round(median([b / t for b, t in zip(seconds["1 process"], times, strict=True)]), 2),
            "mb_reduced": round(size, 2) if errors.get(name, 1.0) < 1e-3 else 0,
        }
        for name, times in seconds.items()
    ]


def begun(method: str, ranks: Ranks, args: Namespace) -> Training:
    """Return a training that is ready to make steps, with its draws and batch."""
    optim = {"student": OptimConfig(lr=0.01)}
    config = TrainConfig(
        method=method,
        options=resolve_options(method, {}),
        width=args.width,
        batch_size=args.batch,
        epochs=100,
        optim=optim,
        device="cpu",
    )
    training = Training.start(config, random_images(2 * args.batch), torch.device("cpu"), ranks)
    training.seed_epoch()
    training.batch = next(iter(training.train_batches.epoch(0)))
    training.draws = training.method.draw(len(training.batch.y), training.context)
    return training


def wrap(training: Training) -> None:
    """Let torch reduce the gradients of student and generator."""
    warnings.simplefilter("ignore", FutureWarning)  # newer versions of torch rename what older ones call so
    options = {"static_graph": True, "broadcast_buffers": False}
    training.context.student = DistributedDataParallel(training.student, **options)
    for name, module in training.method.trainable_modules().items():
        setattr(training.method, name, Wrapped(module, options))


class Wrapped(nn.Module):
    """A wrapped generator: torch's wrapper counts on a backward after each forward; a step also mixes without one."""

    def __init__(self, module: nn.Module, options: dict[str, Any]) -> None:
        super().__init__()
        self.ddp = DistributedDataParallel(module, **options)

    def forward(self, *args: Any) -> Any:
        return self.ddp(*args) if torch.is_grad_enabled() else self.ddp.module(*args)


def gradients(training: Training, *, reduce: bool, whole: bool = False) -> dict[str, Tensor]:
    """Make a step up to its gradients, whose values are returned."""
    batch, optimizers = training.batch, training.optimizers
    out = training.method.step(batch.x, batch.y, training.context, training.draws)
    if whole:
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(sum(out.losses.values()))
    else:
        backward(out, optimizers)
    parameters = [p for name in out.losses for p in parameters_of(optimizers[name])]
    if reduce:
        training.ranks.mean_gradients(parameters)
    return {str(i): p.grad for i, p in enumerate(parameters) if p.grad is not None}


def error(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """Return the largest difference of gradients, as a share of the largest gradient."""
    largest = max(float(w.abs().max()) for w in wanted.values())
    return max(float((found[k] - w).abs().max()) if k in found else largest for k, w in wanted.items()) / largest


def median(values: list[float]) -> float:
    """Return the middle value."""
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
