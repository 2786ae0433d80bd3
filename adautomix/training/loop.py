"""One training loop for every method; it knows nothing about any of them.

A step: the method gives one loss for each optimiser to step now; one backward of their sum (they reach disjoint
parameters); those optimisers step; the teacher follows. After every epoch student and teacher are evaluated and a
checkpoint is written. Everything random is a function of (seed, epoch) or stored in the checkpoint, so a run that was
killed and started again ends, on a CPU and with the same number of threads, with the same weights bit for bit.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from adautomix.config import TrainConfig
from adautomix.data import dataset_for
from adautomix.data.base import describe
from adautomix.methods import resolve_options
from adautomix.runs import checkpoint
from adautomix.runs.run import Run, create, run_for
from adautomix.training.training import Training
from adautomix.utils import task
from adautomix.utils.seeding import choose_device, current


def train(config: TrainConfig, runs: str | Path = "outputs/runs", *, log: Callable[[str], None] = print) -> Run:
    """Train to the end and return the Run; one that is done is returned at once, one that was cut off goes on.

    Args:
        runs: folder that holds the runs.
        log: gets one line an epoch.
    Raises: UserError for a config, data set or device that cannot be used; FloatingPointError for a loss that is not
        finite.
    """
    config = replace(config, options=resolve_options(config.method, config.options))
    device, dataset = choose_device(config.device), dataset_for(config)
    run = run_for(runs, config, describe(dataset))
    with run.lock():
        task.note(run.path)
        if run.done:
            log(f"{run.id}: already trained, in {run.path}")
            return run
        for left_by_a_kill in run.path.glob(".*.tmp"):
            left_by_a_kill.unlink()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), current(device):
            training = Training.start(config, dataset, device, resumes=run.checkpoint.exists())
            create(run, config, describe(dataset))  # not before: what cannot be trained leaves no Run behind
            if run.checkpoint.exists():
                training.load_state_dict(checkpoint.load(run.checkpoint))
                log(f"{run.id}: goes on after epoch {training.epoch}")
                note_other_threads(run, log)
            run.add_session(
                {
                    "from_epoch": training.epoch,
                    "device": device_name(device),
                    "threads": torch.get_num_threads(),
                }
            )
            while training.epoch < config.epochs:
                row = training.run_epoch(run)
                checkpoint.save(run.checkpoint, training.state_dict())
                run.write_history(training.history)
                log(epoch_line(row, config.epochs))
        run.write_history(training.history)
        run.finish()
    return run


def note_other_threads(run: Run, log: Callable[[str], None]) -> None:
    """Say so if a run goes on with another number of threads than it began with: sums are then added up otherwise."""
    before, now = run.info["sessions"][0]["threads"], torch.get_num_threads()
    if before != now:
        log(f"{run.id}: began with {before} threads, goes on with {now}: not the same bit for bit")


def device_name(device: torch.device) -> str:
    """Return the device with its model name if it is a GPU."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """Return one epoch's log line."""
    losses = "  ".join(f"{k.removeprefix('loss_')} {v:.3f}" for k, v in row.items() if k.startswith("loss_"))
    return (
        f"epoch {row['epoch']:>3}/{epochs}  {losses}  student {row['student_top1']:.2f} %  "
        f"teacher {row['teacher_top1']:.2f} %  lr {row['lr']:.4g}  {row['images_per_s']:.0f} images/s"
    )
