"""Cost of one training step of every method, as ratios to vanilla: backbone passes, FLOPs, CPU time.

ResNet-18 (CIFAR variant). FLOPs are counted by torch, forward and backward, matrix products and convolutions only.
"""

import statistics
import time
from collections import Counter
from typing import Any

import torch
from _report import arguments, report
from torch.utils.flop_counter import FlopCounterMode
from train_step import random_images

from adautomix.config import TrainConfig
from adautomix.methods import METHODS
from adautomix.training.steps import Training

VARIANTS = [
    *((name, {}) for name in METHODS if name != "adautomix"),
    ("adautomix", {"n_mix": 2}),
    ("adautomix", {"n_mix": 3}),
    ("adautomix", {"n_mix": 3, "objective": "paper"}),
    ("adautomix", {"n_mix": 4}),
]


def main() -> None:
    """Print one row a method, and variants of AdAutoMix."""
    args = arguments(__doc__, batch=50, width=64, rounds=3)
    dataset = random_images(args.batch)
    trainings = [start(name, options, args, dataset) for name, options in VARIANTS]
    batch = next(iter(trainings[0].train_batches.epoch(0)))
    # Steps differ between even and odd ones for AdAutoMix: everything is the mean of two.
    counts = [count(training, batch) for training in trainings]
    seconds = timed(trainings, batch, args.rounds)
    rows = []
    for i, (name, options) in enumerate(VARIANTS):
        flops, passes = counts[i]
        rows.append(
            {
                "method": name,
                "objective": options.get("objective", "released" if name == "adautomix" else ""),
                "n_mix": options.get("n_mix", 1 if name == "vanilla" else 2),
                "gflop_per_image": round(flops / args.batch / 1e9, 3),
                "flops_ratio": round(flops / counts[0][0], 3),
                "cpu_time_ratio": round(
                    statistics.median(a / b for a, b in zip(seconds[i], seconds[0], strict=True)), 3
                ),
                "student_passes": passes["student"],
                "teacher_passes": passes["teacher"],
            }
        )
    where = f"{torch.get_num_threads()} threads, float32"
    report(f"one step, ResNet-18 width {args.width}, 32 px, batch {args.batch}, {where}", rows, args.json)


def start(name: str, options: dict[str, Any], args: Any, dataset: Any) -> Training:
    """Return a run ready to make steps on the CPU."""
    config = TrainConfig(
        method=name, options=options, width=args.width, batch_size=args.batch, epochs=100, device="cpu"
    )
    return Training.start(config, dataset, torch.device("cpu"))


def count(training: Training, batch: Any) -> tuple[float, Counter]:
    """Return FLOPs a step, and backbone passes a step of student and teacher."""
    passes: Counter = Counter()
    networks = {"student": training.student, "teacher": training.context.teacher}
    hooks = [
        net.register_forward_pre_hook(lambda module, inputs, name=name: passes.update([name]))
        for name, net in networks.items()
    ]
    with FlopCounterMode(display=False) as counter:
        for _ in range(2):
            training.step(batch)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() / 2, Counter({name: number / 2 for name, number in passes.items()})


def timed(trainings: list[Training], batch: Any, rounds: int) -> list[list[float]]:
    """Return CPU seconds of two steps, per round; rounds alternate between the methods."""
    seconds: list[list[float]] = [[] for _ in trainings]
    for _ in range(rounds):
        for training, times in zip(trainings, seconds, strict=True):
            began = time.process_time()
            training.step(batch)
            training.step(batch)
            times.append(time.process_time() - began)
    return seconds


if __name__ == "__main__":
    main()
