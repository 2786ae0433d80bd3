"""Trains a released recipe and holds its first iterations against the authors' log of the same cell, window by window.

    python benchmarks/log_replay.py --root data/cifar100 --iterations 100 --precision bfloat16

A window's values are means over the iterations since the last: the sum of all loss terms, and training accuracies as
the released program counts them. It asks for the class of slot 0 only, so a mixed image is right once; and with more
than two images its `acc_one_q` is the mean of the clean images' accuracy and that of their plain lam-weighted sum.
After a whole epoch come the test accuracies. Bars: 1 % of the loss; half a point or a quarter of an accuracy, whichever
is more.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from _sheets import cifar100
from torch import Tensor

from adautomix.config import TrainConfig
from adautomix.data import dataset_for
from adautomix.data.base import Dataset
from adautomix.methods.base import StepOutput
from adautomix.methods.learned import GeneratorDraws
from adautomix.models.classifier import Output
from adautomix.paper import epochs_of, first_iterations, logs
from adautomix.recipes import RECIPES
from adautomix.training.steps import Training
from adautomix.utils.seeding import choose_device

LOSS_BAR, POINTS_BAR, SHARE_BAR = 0.01, 0.5, 0.25
ACCURACIES = ("acc_one_q", "acc_mix_q", "acc_mix_k")


class Watched:
    """The accuracies of a training's steps, from the logits of its networks' own passes."""

    def __init__(self, training: Training) -> None:
        self.passes: dict[str, list[Output]] = {"student": [], "teacher": []}
        networks = {"student": training.student, "teacher": training.context.teacher}
        for role, network in networks.items():
            network.register_forward_hook(lambda module, args, out, role=role: self.passes[role].append(out))

    def accuracies(self, y: Tensor, out: StepOutput) -> dict[str, float]:
        """Return the released program's training accuracies of the step just made, in percent."""
        seen = {role: [p.logits for p in passes] for role, passes in self.passes.items()}
        self.clear()
        if not isinstance(out.draws, GeneratorDraws):
            return {}  # the plain methods' logs have none
        theirs, ours = y[out.draws.index_generator[0].to(y.device)], y[out.draws.index[0].to(y.device)]
        mixed = [p["mix"] for p in seen["student"] if "mix" in p]  # the plain sum, if there is one, then the masks' mix
        one = [top1(p["one"], y) for p in seen["student"] if "one" in p] + [top1(p, ours) for p in mixed[:-1]]
        found = {"acc_one_q": sum(one) / len(one), "acc_mix_q": top1(mixed[-1], ours)}
        teacher = [p["mix"] for p in seen["teacher"] if "mix" in p]  # the clean batch, if asked for, then the mix
        return found | {"acc_mix_k": top1(teacher[-1], theirs)}

    def clear(self) -> None:
        """Forget the passes seen so far: a step's, once counted, and evaluation's, which are of no step."""
        for passes in self.passes.values():
            passes.clear()


def top1(logits: Tensor, y: Tensor) -> float:
    """Return top-1 in percent."""
    return 100 * float((logits.argmax(dim=1) == y).float().mean())


def main() -> None:
    """Train, and print one row per window and, after whole epochs, one row per epoch and role."""
    args = arguments()
    entry = logs().set_index("log").loc[args.log]
    config = config_of(entry, args)
    dataset = images(config, args.root)
    device = choose_device("auto")
    training = Training.start(replace(config, device=str(device)), dataset, device)
    rows = []
    for row in replayed(training, args.log, args.iterations):
        rows.append(row | {"log": args.log, "images": dataset.label, "seed": args.seed, "precision": args.precision})
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
        if args.json is not None:
            args.json.write_text(json.dumps(rows, indent=2) + "\n")
    failed = [row for row in rows if not row["within_bar"]]
    print(f"{len(rows) - len(failed)} of {len(rows)} values within their bar, on {device}")


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="the images, or JPEG sheets of them")
    names = sorted(logs().query("method in @METHODS")["log"])
    parser.add_argument("--log", choices=names, default="cifar100_resnet18_adautomix_800e")
    parser.add_argument("--iterations", type=int, default=500, help="how many to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    return parser.parse_args()


def config_of(entry: pd.Series, args: argparse.Namespace) -> TrainConfig:
    """Return the recipe of the log's cell, with the log's epochs: the schedules are those of the whole run."""
    recipe = RECIPES[f"{entry['column']}/{entry['method']}"]
    free = {"seed": args.seed, "precision": args.precision, "channels_last": True}
    return replace(recipe.config(**free), epochs=int(entry["epochs"]))


def images(config: TrainConfig, root: Path) -> Dataset:
    """Return the data set below root; of CIFAR-100, a folder with JPEG sheets of it will do."""
    if config.data == "cifar100" and any((root / "train").glob("*.jpg")):
        return cifar100(root)
    return dataset_for(replace(config, root=str(root)))


def replayed(training: Training, name: str, iterations: int) -> Iterator[dict[str, Any]]:
    """Train, and yield one row per value that the log has, ours beside theirs."""
    windows = first_iterations(name).set_index(["epoch", "iter"])
    watched, sums, done, began = Watched(training), [], 0, time.perf_counter()
    for epoch in range(1, 1 + windows.index.get_level_values("epoch").max()):
        for number, batch in enumerate(training.train_batches.epoch(epoch - 1), start=1):
            out = training.step(batch)
            loss = sum(float(loss.detach()) for loss in out.losses.values())
            sums.append({"loss": loss} | watched.accuracies(batch.y, out))
            done += 1
            whole = (epoch, number) in windows.index
            if whole or done == iterations:
                ours, theirs = pd.DataFrame(sums).mean(), following(windows, epoch, number)
                passed = {"iteration": done, "seconds": round(time.perf_counter() - began), "of": len(sums)}
                for value in ours.index:
                    yield compared(f"{epoch}:{number}", value, theirs[value], ours[value]) | passed
                sums.clear()
            if done == iterations:
                return
        yield from tested(training, name, epoch)
        watched.clear()
        sums.clear()  # iterations behind an epoch's last window are in none


def following(windows: pd.DataFrame, epoch: int, number: int) -> pd.Series:
    """Return the window that an iteration lies in."""
    part = windows.loc[epoch]
    return part[part.index >= number].iloc[0] if number <= part.index.max() else part.iloc[-1]


def tested(training: Training, name: str, epoch: int) -> Iterator[dict[str, Any]]:
    """Yield the test accuracies after a whole epoch."""
    training.epoch = epoch
    ours, theirs = training.evaluate(), epochs_of(name).set_index("epoch").loc[epoch]
    for value in ("student_top1", "teacher_top1"):
        yield compared(f"after epoch {epoch}", value, theirs[value], ours[value])


def compared(where: str, value: str, theirs: float, ours: float) -> dict[str, Any]:
    """Return one row: theirs, ours, the difference, and whether it is within its bar."""
    bar = LOSS_BAR * theirs if value == "loss" else max(POINTS_BAR, SHARE_BAR * theirs)
    row = {"where": where, "value": value, "theirs": round(theirs, 3), "ours": round(ours, 3)}
    return row | {
        "difference": round(ours - theirs, 3),
        "bar": round(bar, 3),
        "within_bar": bool(abs(ours - theirs) <= bar),
    }


if __name__ == "__main__":
    main()
