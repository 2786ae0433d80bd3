"""Training to the end, for every method: a Run is found or made, goes on where it stopped, epoch after epoch.

What happens in an epoch and in a step stands in `steps.py`. A checkpoint is written after every epoch. Everything
random is a function of (seed, epoch) or stored in the checkpoint, so a run that was killed and started again ends, on a
CPU and with the same number of threads, with the same weights bit for bit.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from adautomix.config import TrainConfig
from adautomix.data import dataset_for
from adautomix.data.base import describe
from adautomix.data.loader import require_equal_parts
from adautomix.methods import resolve_options
from adautomix.runs import checkpoint
from adautomix.runs.run import Run, create, run_for
from adautomix.training.devices import device_for, kind_of, require_devices
from adautomix.training.launch import launch
from adautomix.training.ranks import Ranks, connected, started
from adautomix.training.steps import Training
from adautomix.training.telling import begin, epoch_line
from adautomix.training.watch import OnEpoch, Watch
from adautomix.utils import task
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import current


def train(
    config: TrainConfig,
    runs: str | Path = "outputs/runs",
    *,
    devices: int = 1,
    max_restarts: int = 0,
    log: Callable[[str], None] = print,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train to the end and return the Run; one that is done is returned at once, one that was cut off goes on.

    Args:
        runs: folder that holds the runs.
        devices: GPUs of this machine, or processes on its CPU, that make every step together, each on an equal share of
            the batch (`ranks.py` says what that changes). Not part of the run's identity. A process that torchrun
            started is one of the ranks that torchrun says, and trains with the others.
        max_restarts: how often a run on several devices goes on by itself from its last checkpoint after one of its
            processes was killed, crashed or failed (not after a mistake in what was asked, nor a loss that is not
            finite); with torchrun, its own flag does that.
        log: gets one line an epoch. On a terminal and in a notebook a bar stands below, with the time left.
        on_epoch: called with the Run and the epoch's row of its history when both are on the disk, for TensorBoard and
            the like; in this process with several devices too, of torchrun's in the first. What it raises ends the
            training; one that goes on does not tell again what is on the disk, see `Run.history`.
    Raises: UserError for a config, data set or device that cannot be used; FloatingPointError for a loss that is not
        finite; RankError for a rank that was killed or failed: with several devices all of them end together.
    """
    if not isinstance(config, TrainConfig):
        raise UserError(f"train takes a TrainConfig, such as TrainConfig(method='mixup'), got {type(config).__name__}")
    config = replace(config, options=resolve_options(config.method, config.options))
    if devices < 1 or max_restarts < 0:
        raise UserError(f"devices must be 1 or more, max_restarts 0 or more; got {devices} and {max_restarts}")
    if started() or devices == 1:
        with connected(kind_of(config.device)) as ranks:
            if devices not in (1, ranks.count):
                raise UserError(f"torchrun started {ranks.count} processes, but {devices} devices were asked for")
            if not ranks.first:
                log, on_epoch = lambda line: None, None
            with Watch(config.epochs, log, on_epoch, bar=ranks.first) as watch:
                return train_as(ranks, config, runs, watch)
    require_devices(config, devices, devices)
    dataset = dataset_for(config)
    require_equal_parts(config.batch_size, len(dataset.train), devices)
    run = run_for(runs, config, describe(dataset))
    if run.done:
        return train(config, runs, log=log)
    with Watch(config.epochs, log, on_epoch) as watch:
        watch.begin(run.id, len(run.history))

        def follow(line: str) -> None:
            watch.log(line)
            watch.catch_up(run)

        launch(config, runs, devices=devices, max_restarts=max_restarts, log=follow)
    return run


def train_as(ranks: Ranks, config: TrainConfig, runs: str | Path, watch: Watch) -> Run:
    """Train as one of the ranks, or alone; the first one writes."""
    log = watch.log
    with ranks.one_first():
        device, dataset = device_for(config, ranks), dataset_for(config)
    run = run_for(runs, config, describe(dataset))
    if (first := ranks.told((run.id, device.type))) != (run.id, device.type):
        own = f"{run.id} on {device.type}"
        raise UserError(f"rank 0 trains {first[0]} on {first[1]}, this one {own}: settings, images or machines differ")
    if ranks.first:
        task.note(run.path)
    if ranks.told(run.done):  # what is there already may be on a disk that is only read
        return _found(run, log)
    with run.lock(log=log) if ranks.first else nullcontext():
        if ranks.told(run.done):
            return _found(run, log)
        for left_by_a_kill in run.path.glob(".*.tmp") if ranks.first else ():
            left_by_a_kill.unlink()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), current(device):
            resumes = ranks.told(run.checkpoint.exists())
            with ranks.one_first():
                training = Training.start(config, dataset, device, ranks, resumes=resumes)
            if (side := training.student.resize) is not None:
                log(f"{run.id}: {config.backbone} sees images of {dataset.size} px enlarged to {side} px, at that cost")
            for remark in dataset.remarks:
                log(f"{run.id}: {remark}")
            if resumes:
                state = ranks.told(checkpoint.load(run.checkpoint) if ranks.first else {})
                with checkpoint.whole(run.checkpoint):
                    training.load_state_dict(state)
            if ranks.first:
                create(run, config, describe(dataset))  # not before: what cannot be trained leaves no Run behind
                begin(run, training, log)
            if training.epoch == config.epochs:  # killed before it had written its accuracy
                training.evaluate()
            watch.begin(run.id, training.epoch)
            training.on_step = watch.step
            while training.epoch < config.epochs:
                row = training.run_epoch(run)
                state = training.state_dict()
                if ranks.first:
                    checkpoint.save(run.checkpoint, state)
                    run.write_history(training.history)
                log(epoch_line(row, config.epochs))
                watch.epoch(run, row)
            if ranks.first:
                training.write_accuracy(run)
                run.finish()
    return run


def _found(run: Run, log: Callable[[str], None]) -> Run:
    log(f"{run.id}: already trained, in {run.path}")
    return run
