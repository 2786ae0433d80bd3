"""Stage 2 of gpu.py: milliseconds a step and seconds an epoch, the share of the card's peak, the costliest kernels."""

import argparse
import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from train_step import random_images

from adautomix.config import TrainConfig
from adautomix.data.base import Dataset
from adautomix.methods import resolve_options
from adautomix.training.graphs import WARM_UP
from adautomix.training.steps import Training

METHODS = {
    "adautomix": {},
    "vanilla": {},
    "mixup": {},
    "cutmix": {},
    "automix": {},
    "puzzlemix": {},
    "adautomix, paper": {"objective": "paper"},
}
PRECISIONS = ("bfloat16", "TF32", "float32")
IMAGES = 50_000
"""Images of an epoch of CIFAR-100; the paper's batch is 100."""
PEAK = {"bfloat16": 989e12, "TF32": 494e12, "float32": 67e12}
"""Dense FLOP/s of an H100 or H200 (SXM), by NVIDIA's data sheet."""


def speeds(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield one row per variant, what matters most first: the best settings of all methods, then the others."""
    graphs = (True, False) if args.device.type == "cuda" else (False,)
    best = [(name, "bfloat16", True, graph) for name in METHODS for graph in graphs]
    others = [
        (name, precision, layout, graph)
        for precision in PRECISIONS
        for layout in (True, False)
        for name in ("adautomix", "vanilla")
        for graph in graphs
    ]
    for variant in dict.fromkeys([*best, *others][: 4 if args.smoke else None]):
        yield measured(args, *variant)


def measured(args: argparse.Namespace, name: str, precision: str, channels_last: bool, graph: bool) -> dict[str, Any]:
    """Return what a variant's steps cost: median of single steps, waited for, and of a run of steps without waiting."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "TF32"
    method = name.partition(",")[0]
    batch, steps = (8, 4) if args.smoke else (100, 60)
    config = TrainConfig(
        method=method,
        options=resolve_options(method, METHODS[name]),
        width=4 if args.smoke else None,
        batch_size=batch,
        precision="bfloat16" if precision == "bfloat16" else "float32",
        channels_last=channels_last,
        cuda_graphs=graph,
        device=args.device.type,
    )
    if args.device.type == "cuda":
        gc.collect()  # graphs of the row before hold one another, and their memory
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    training = Training.start(config, dataset(batch * steps), args.device)
    flops = counted(training)
    for number in range(2 if args.smoke else 1 + WARM_UP // 2):
        run(training, number, steps)
    rounds = [run(training, number, steps) / steps for number in range(3)]
    seconds = statistics.median(rounds)
    told = {
        "method": name,
        "precision": precision,
        "layout": "NHWC" if channels_last else "NCHW",
        "launch": "graph" if graph else "eager",
        "ms_a_step": round(1000 * seconds, 3),
        "seconds_an_epoch": round(seconds * IMAGES / batch, 2),
        "images_per_s": round(batch / seconds),
        "TFLOP_a_step": round(flops / 1e12, 4),
        "share_of_peak": round(flops / seconds / PEAK[precision], 4) if args.device.type == "cuda" else None,
        "GiB": round(torch.cuda.max_memory_allocated() / 2**30, 2) if args.device.type == "cuda" else None,
    }
    if (name, precision, channels_last) == ("adautomix", "bfloat16", True):
        told["kernels"] = kernels(training, args.device)
    return told


def dataset(count: int) -> Dataset:
    """Return random images in CIFAR-100's shape."""
    return replace(random_images(count), classes=tuple(map(str, range(100))))


def run(training: Training, number: int, steps: int) -> float:
    """Train an epoch without looking, and return its seconds, the wait for the device at its end included."""
    began = time.perf_counter()
    for batch in islice(training.train_batches.epoch(number), steps):
        training.step(batch)
    if training.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def counted(training: Training) -> float:
    """Return the FLOPs of a step, the mean of two (AdAutoMix's differ), by torch's counter."""
    graphs, training.graphs = training.graphs, None
    with FlopCounterMode(display=False) as counter:
        run(training, 0, 2)
    training.graphs = graphs
    return counter.get_total_flops() / 2


def kernels(training: Training, device: torch.device, steps: int = 4, most: int = 10) -> list[dict[str, Any]]:
    """Return the costliest kernels of some steps: microseconds and calls a step."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as recorded:
        run(training, 0, steps)
    time_of = (lambda e: e.self_device_time_total) if on_gpu else (lambda e: e.self_cpu_time_total)
    found = sorted(recorded.key_averages(), key=time_of, reverse=True)[:most]
    return [{"kernel": e.key[:90], "us": round(time_of(e) / steps, 1), "calls": e.count / steps} for e in found]
