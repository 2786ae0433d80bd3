"""What a training tells: who trains it from which epoch on, an epoch's means, its line in the log."""

import math
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adautomix.runs.identity import UNHASHED, flat
from adautomix.runs.run import ROLES, Run
from adautomix.training.ranks import ALONE, Ranks
from adautomix.utils.errors import UserError
from adautomix.utils.progress import rate_text

if TYPE_CHECKING:
    from adautomix.training.steps import Training


def begin(run: Run, training: "Training", log: Callable[[str], None]) -> None:
    """Note in the run who trains it from here on, and say where it goes on."""
    now = {"threads": torch.get_num_threads(), "devices": training.ranks.count}
    if training.epoch:
        run.write_history(training.history)  # the kill may have come before it was
        log(f"{run.id}: goes on after epoch {training.epoch}")
        note_other_sums(run, now, log)
    else:
        log(first_line(run, training))
        if run.config.channels_last and training.layout is not torch.channels_last:
            log(f"{run.id}: channels_last is left out: torch's convolutions of so few channels are not safe on a CPU")
        if run.config.cuda_graphs and training.graphs is None:
            log(f"{run.id}: cuda_graphs does nothing on {training.device}")
        note_alike(run, log)
    run.add_session({"from_epoch": training.epoch, "device": device_name(training.device)} | now)


def first_line(run: Run, training: "Training") -> str:
    """Return what is trained, on what, for how long and where; the Run's name is that of its folder."""
    images, steps = run.info["dataset"], len(training.train_batches)
    what = f"{images['n_train']:,} training images of {images['size']} px, {len(images['classes'])} classes"
    long = f"{_count(run.config.epochs, 'epoch')} of {_count(steps, 'step')}"
    return f"{run.id}: {what}; {long} on {device_name(training.device)}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def note_alike(run: Run, log: Callable[[str], None]) -> None:
    """Say so if there are runs that a user may expect to go on, and do not: this one begins anew.

    One that was cut off and differs in settings alone, of several that which differs least; and one that is done, of
    another length and else the same. Data, method, network and seed are the same: they are in the name.
    """
    cut, done, own = {}, {}, hashed(run)
    for path in run.path.parent.glob(f"{run.id.rpartition('-')[0]}-*/config.json"):
        other = Run(path.parent)
        if other.id == run.id:
            continue
        # One that is being trained, or damaged, is passed over.
        with suppress(UserError, OSError), nullcontext() if other.done else other.lock(seconds=0):
            theirs = hashed(other)
            differing = [name for name in own if theirs.get(name, own[name]) != own[name]]
            if not other.done:
                cut[other.id] = [f"{name} {theirs[name]}, here {own[name]}" for name in differing]
            elif differing == ["epochs"]:
                done[other.id] = theirs["epochs"]
    if cut:
        name = min(cut, key=lambda other: len(cut[other]))
        told = "; ".join(cut[name]) or "of other images"
        log(f"{name} is unfinished and another run ({told}): left as it is, this one is new")
    if done:
        name = max(done, key=done.get)
        told = f"{_count(done[name], 'epoch')}, here {own['epochs']}"
        log(f"{name} is the same but for its length ({told}): another schedule, so this one begins anew")


def hashed(run: Run) -> dict[str, Any]:
    """Return the settings that tell a run from others, under dotted names."""
    return {name: value for name, value in flat(run.info["config"]).items() if name not in UNHASHED}


def note_other_sums(run: Run, now: dict[str, int], log: Callable[[str], None]) -> None:
    """Say so if a run goes on with other threads or devices than it began with: sums are then added up otherwise."""
    for what, count in now.items():
        before = run.info["sessions"][0].get(what, 1)
        if before != count:
            log(f"{run.id}: began with {before} {what}, goes on with {count}: not the same bit for bit")


def device_name(device: torch.device) -> str:
    """Return the device with its model name if it is a GPU."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """Return one epoch's log line."""
    losses = "  ".join(f"{k.removeprefix('loss_')} {v:.3f}" for k, v in row.items() if k.startswith("loss_"))
    top1 = "".join(f"{k} {_top1(row, k)}  " for k in ROLES if not math.isnan(row[f"{k}_top1"]))
    return f"epoch {row['epoch']:>3}/{epochs}  {losses}  {top1}lr {row['lr']:.4g}  {rate_text(row['images_per_s'])}"


def _top1(row: dict[str, float], role: str) -> str:
    """Return a network's accuracy on test images, and on held-out ones if there are any: it is these to choose by."""
    held_out = row.get(f"{role}_val_top1", math.nan)
    return f"{row[f'{role}_top1']:.2f} %" + ("" if math.isnan(held_out) else f" (validation {held_out:.2f} %)")


class Means:
    """Means of values that not every step has, summed on their device."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Take one step's values."""
        for name, value in values.items():
            total, times = self.sums.get(name, (0, 0))
            self.sums[name] = (total + value, times + 1)

    def values(self, ranks: Ranks = ALONE) -> dict[str, float]:
        """Return each mean, over the steps that had it and all ranks."""
        totals = ranks.mean(torch.stack([total for total, _ in self.sums.values()])).tolist()  # one wait for a GPU
        return {name: total / self.sums[name][1] for name, total in zip(self.sums, totals, strict=True)}
