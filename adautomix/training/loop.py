"""One training loop for every method; it knows nothing about any of them. Read it from top to bottom.

A step: the method gives one loss for each optimiser to step now; each goes backward (they reach disjoint parameters);
those optimisers step; the teacher follows. After every epoch a checkpoint is written; student and teacher are evaluated
after those that `eval_every` names. Everything random is a function of (seed, epoch) or stored in the checkpoint, so a
run that was killed and started again ends, on a CPU and with the same number of threads, with the same weights bit for
bit.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adautomix.config import TrainConfig
from adautomix.data import dataset_for
from adautomix.data.base import Dataset, describe
from adautomix.data.batches import Batch
from adautomix.data.loader import eval_loader, train_loader
from adautomix.evaluate.accuracy import accuracy_result, predict_each
from adautomix.methods import make_method, resolve_options
from adautomix.methods.base import Context, Draws, MixMethod, StepOutput
from adautomix.models.modes import eval_mode, passes_counted_at_once
from adautomix.runs import checkpoint
from adautomix.runs.networks import build_classifier
from adautomix.runs.run import ROLES, Run, create, run_for
from adautomix.training.graphs import StepGraphs
from adautomix.training.guard import Guard, named_if_too_small, require_sound
from adautomix.training.optim import backward, load, lr_at, make_optimizer, parameters_of
from adautomix.utils import task
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import choose_device, current, seed_for

Numbers = Mapping[str, float | Tensor]


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
            if (side := training.student.resize) is not None:
                log(f"{run.id}: {config.backbone} sees images of {dataset.size} px enlarged to {side} px, at that cost")
            for remark in dataset.remarks:
                log(f"{run.id}: {remark}")
            create(run, config, describe(dataset))  # not before: what cannot be trained leaves no Run behind
            if run.checkpoint.exists():
                with checkpoint.whole(run.checkpoint):
                    training.load_state_dict(checkpoint.load(run.checkpoint))
                run.write_history(training.history)  # the kill may have come before it was
                log(f"{run.id}: goes on after epoch {training.epoch}")
                note_other_threads(run, log)
            threads = torch.get_num_threads()
            run.add_session({"from_epoch": training.epoch, "device": device_name(device), "threads": threads})
            while training.epoch < config.epochs:
                row = training.run_epoch(run)
                checkpoint.save(run.checkpoint, training.state_dict())
                run.write_history(training.history)
                log(epoch_line(row, config.epochs))
            training.write_accuracy(run)
        run.finish()
    return run


@dataclass
class Training:
    """A run in progress: networks, optimisers, batches and history."""

    config: TrainConfig
    device: torch.device
    student: nn.Module
    method: MixMethod
    context: Context
    optimizers: dict[str, torch.optim.Optimizer]
    train_batches: Any
    test_batches: dict[str, Any]
    graphs: StepGraphs | None = None
    rates: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    accuracies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def start(cls, config: TrainConfig, dataset: Dataset, device: torch.device, *, resumes: bool = False) -> "Training":
        """Return a new run's state; weights depend on the seed alone.

        Args:
            resumes: a checkpoint will be loaded: nothing pretrained is fetched.
        """
        torch.manual_seed(seed_for(config.seed, "weights"))
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        student = build_classifier(config, describe(dataset), pretrained=config.pretrained and not resumes)
        student = student.to(device, memory_format=layout).train()
        method = make_method(config.method, student, config.options)
        trained = {"student": student} | {k: m.to(device) for k, m in method.trainable_modules().items()}
        require_fit(config, method, trained)
        optimizers = {k: make_optimizer(m, config.optim_for(k)) for k, m in trained.items()}

        where = {"device": device, "workers": config.workers}
        seed = seed_for(config.seed, "data")
        changed = {"rand_augment": config.rand_augment, "decode": config.decode}
        batches = train_loader(dataset, config.batch_size, seed=seed, **changed, **where)
        tests = {"": eval_loader(dataset, **where)}
        if dataset.validation is not None:
            tests["val_"] = eval_loader(dataset, split="validation", **where)

        steps, seed = config.epochs * len(batches), seed_for(config.seed, "mixing")
        context = Context.start(student, steps, seed, ema=config.ema, label_smoothing=config.label_smoothing)
        graphs = StepGraphs(device) if config.cuda_graphs and device.type == "cuda" else None
        return cls(config, device, student, method, context, optimizers, batches, tests, graphs)

    def run_epoch(self, run: Run) -> dict[str, float]:
        """Train one epoch, evaluate student and teacher, and return the history row."""
        torch.manual_seed(seed_for(self.config.seed, "epoch", self.epoch))  # dropout and stochastic depth
        began, images, means, guard = time.perf_counter(), 0, Means(), Guard(self.device, self.config.method, run)
        for batch in self.train_batches.epoch(self.epoch):
            out = self.step(batch)
            means.add({f"loss_{name}": term for name, term in out.terms.items()} | out.metrics)
            images += len(batch.y)
            guard.add(self.context.step, out)
        guard.finish()
        terms = means.values()  # waits for a GPU
        rate = images / (time.perf_counter() - began)
        self.epoch += 1
        row = {"epoch": self.epoch, "lr": self.rates["student"], **terms, **self.evaluate()}
        require_sound(self.student, row, self.config, run)  # the last update came after the last look
        row |= {"images_per_s": rate, "seconds": time.perf_counter() - began}
        self.history.append(row)
        return row

    def step(self, batch: Batch) -> StepOutput:
        """Update every network the method asks for, from one batch."""
        config = self.config
        for name in self.optimizers:
            lr = lr_at(config.optim_for(name), self.context.step, len(self.train_batches), config.epochs)
            self.rates[name] = lr if self.device.type == "cpu" else float(np.float32(lr))  # as a graph reads it
        x = batch.x.contiguous(memory_format=torch.channels_last) if config.channels_last else batch.x
        if self.graphs is not None:
            return self.graphs.step(self, x, batch.y, self.rates)
        out = self.update(self.method, x, batch.y, None, self.rates, 1 - self.context.momentum())
        self.context.step += 1
        return out

    def update(
        self, method: MixMethod, x: Tensor, y: Tensor, draws: Draws | None, rates: Numbers, weight: float | Tensor
    ) -> StepOutput:
        """Make one update from a batch; all that differs from step to step is in the arguments.

        Args:
            draws: None: drawn by the method.
            rates: each optimiser's learning rate.
            weight: how far the teacher moves, 1 - momentum.
        """
        precision = torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")
        with precision, named_if_too_small(x.shape), passes_counted_at_once(self.student):
            out = method.step(x, y, self.context, draws)
        backward(out, self.optimizers)
        for name in out.losses:
            optimizer = self.optimizers[name]
            for group in optimizer.param_groups:
                group["lr"] = rates[name]
            if self.config.clip_grad is not None:
                nn.utils.clip_grad_norm_(parameters_of(optimizer), self.config.clip_grad)
            optimizer.step()
        self.context.move_teacher(weight)
        return out

    def evaluate(self) -> dict[str, float]:
        """Return top-1 (percent) and loss of student and teacher on test and validation images; modes are kept.

        nan after an epoch that is not evaluated.
        """
        models = {"student": self.student, "teacher": self.context.teacher}
        row = {f"{k}_{p}{name}": math.nan for p in self.test_batches for k in models for name in ("top1", "loss")}
        if not self.config.evaluates(self.epoch):
            return row
        with eval_mode(self.student), eval_mode(self.context.teacher):
            for prefix, batches in self.test_batches.items():
                seen = predict_each(list(models.values()), batches, self.config.eval_precision)
                for role, predictions in zip(models, seen, strict=True):
                    result = accuracy_result(predictions, self.config.eval_precision)
                    row |= {f"{role}_{prefix}{name}": result["value"][name] for name in ("top1", "loss")}
                    if not prefix:
                        self.accuracies[role] = result
        return row

    def write_accuracy(self, run: Run) -> None:
        """Store the accuracy after the last epoch as the evaluator would, which need not measure it again."""
        for role, result in self.accuracies.items():
            run.write_metrics("accuracy", role, result | {"images": "all", "device": str(self.device)})

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on bit for bit; tensors, numbers and strings only."""
        return {
            "epoch": self.epoch,
            "history": self.history,
            "student": self.student.state_dict(),
            "context": self.context.state_dict(),
            "trainables": {k: m.state_dict() for k, m in self.method.trainable_modules().items()},
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.epoch, self.history = state["epoch"], state["history"]
        self.student.load_state_dict(state["student"])
        self.context.load_state_dict(state["context"])
        for name, module in self.method.trainable_modules().items():
            module.load_state_dict(state["trainables"][name])
        for name, optimizer in self.optimizers.items():
            load(optimizer, state["optimizers"][name])


class Means:
    """Means of values that not every step has, summed on their device."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Take one step's values."""
        for name, value in values.items():
            total, times = self.sums.get(name, (0, 0))
            self.sums[name] = (total + value, times + 1)

    def values(self) -> dict[str, float]:
        """Return each mean, over the steps that had it."""
        totals = torch.stack([total for total, _ in self.sums.values()]).tolist()  # one wait for a GPU
        return {name: total / self.sums[name][1] for name, total in zip(self.sums, totals, strict=True)}


def require_fit(config: TrainConfig, method: MixMethod, trained: dict[str, nn.Module]) -> None:
    """Raise UserError for a teacher or an optimiser that the method has no use for."""
    if config.ema.teacher_bn == "batch" and not method.runs_teacher:
        raise UserError(
            f"ema.teacher_bn='batch' needs a method that runs the teacher; {config.method} does not, use 'ema'"
        )
    if stray := set(config.optim) - set(trained):
        raise UserError(f"optim names {sorted(stray)}, but {config.method} trains {sorted(trained)}")


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
    top1 = "".join(f"{k} {row[f'{k}_top1']:.2f} %  " for k in ROLES if not math.isnan(row[f"{k}_top1"]))
    return f"epoch {row['epoch']:>3}/{epochs}  {losses}  {top1}lr {row['lr']:.4g}  {row['images_per_s']:.0f} images/s"
