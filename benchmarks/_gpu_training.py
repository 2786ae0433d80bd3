"""Stage 3 of gpu.py: CIFAR-100, ResNet-18, the released recipes cut to the epochs that fit; goes on where it stopped.

AdAutoMix as published and with the plain methods' schedule and teacher, then vanilla, MixUp and CutMix, whose published
runs have those. Students and teachers of all are in the table.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from _sheets import cifar100
from train_step import random_images

from adautomix.config import TrainConfig
from adautomix.data.base import Dataset, describe
from adautomix.methods import resolve_options
from adautomix.recipes import RECIPES
from adautomix.results import RULES, score
from adautomix.runs.run import Run, find_runs, run_for
from adautomix.training import loop

CELLS = (("adautomix", False), ("vanilla", False), ("mixup", False), ("cutmix", False), ("adautomix", True))
"""Method, and whether with the plain methods' schedule and teacher."""
SECONDS = {"adautomix": 3.5, "vanilla": 1.3, "mixup": 1.3, "cutmix": 1.4}
"""A guess at an epoch's, used where stage 2 has not measured it."""
EPOCHS = (10, 200)
"""Fewest that are worth a run, and most that are tried; the recipe has 800."""


class TimeUp(Exception):
    """The stage's time is up; the run has its checkpoint."""


def training(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train one run after the other until the time is up, and yield one row per run."""
    if args.sheets is None and not args.smoke:
        yield {"left_out": "training: no --sheets"}
        return
    dataset = random_images(80) if args.smoke else cifar100(args.sheets)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    loop.dataset_for = lambda config: dataset
    runs = args.out / "runs"
    epochs = planned(args)
    for method, fair in CELLS:
        run, why = trained(config_for(method, fair, epochs, args), dataset, runs, args.until)
        publish(runs, args.out)
        yield outcome(run, method, fair, epochs) | why


def planned(args: argparse.Namespace) -> int:
    """Return the epochs of every run: what fits into this call and a second one of a third of it; kept for that one."""
    kept = args.out / "epochs.json"
    if not kept.exists():
        measured = args.out / "speeds.json"
        rows = json.loads(measured.read_text()) if measured.exists() else []
        best = {r["method"]: r["seconds_an_epoch"] for r in reversed(rows) if "method" in r and r["launch"] == "graph"}
        seconds = sum((SECONDS | best)[method] + 0.5 for method, _ in CELLS)  # 0.5: evaluation, checkpoint
        fit = int((args.until - time.monotonic() + args.seconds / 3) / seconds)
        kept.write_text(json.dumps(2 if args.smoke else min(EPOCHS[1], max(EPOCHS[0], fit))))
    return json.loads(kept.read_text())


def config_for(method: str, fair: bool, epochs: int, args: argparse.Namespace) -> TrainConfig:
    """Return the recipe's config, as quick as this device can."""
    quick = {"precision": "bfloat16", "channels_last": True, "eval_every": 5, "device": args.device.type}
    config = RECIPES[f"cifar100_resnet18/{method}"].with_epochs(epochs, fair=fair, cuda_graphs=True, **quick)
    return replace(config, width=4, batch_size=8) if args.smoke else config


def trained(config: TrainConfig, dataset: Dataset, runs: Path, until: float) -> tuple[Run, dict[str, Any]]:
    """Train on until the time is up; return the run, and what stopped it."""

    def log(line: str) -> None:
        print(" ", line, flush=True)
        if time.monotonic() > until and line.startswith("epoch"):  # its checkpoint is written
            raise TimeUp

    try:
        return loop.train(config, runs, log=log), {}
    except TimeUp:
        whole = replace(config, options=resolve_options(config.method, config.options))
        return run_for(runs, whole, describe(dataset)), {"stopped": "time was up"}


def outcome(run: Run, method: str, fair: bool, epochs: int) -> dict[str, Any]:
    """Return the row of a run: epochs done, seconds an epoch, and top-1 of both roles by every rule."""
    history = run.history
    row = {"method": method, "schedule_and_teacher": "plain" if fair or method != "adautomix" else "published"}
    row |= {"epochs": len(history), "of": epochs, "seed": 0}
    row["seconds_an_epoch"] = round(float(history["seconds"].median()), 2)
    row["images_per_s"] = round(float(history["images_per_s"].median()))
    for role in ("student", "teacher"):
        measured = history[f"{role}_top1"].dropna()
        row[f"{role}_latest"] = round(float(measured.iloc[-1]), 2) if len(measured) else None
        if run.done:
            row |= {f"{role}_{rule}": round(score(history, role, rule), 2) for rule in RULES if rule != "validation"}
    return row


def publish(runs: Path, out: Path) -> None:
    """Write every epoch of every run into one CSV."""
    parts = [run.history.assign(run=run.id) for run in find_runs(runs, unfinished=True)]
    if parts:
        pd.concat(parts, ignore_index=True).to_csv(out / "histories.csv", index=False)
