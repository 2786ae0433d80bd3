"""A run in progress: networks, optimisers, batches and history, and what one step and one epoch do with them."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from adautomix.config import TrainConfig
from adautomix.data.base import Dataset, describe
from adautomix.data.batches import Batch
from adautomix.data.loader import eval_loader, train_loader
from adautomix.evaluate.accuracy import accuracy_metrics, predict_each
from adautomix.methods import make_method
from adautomix.methods.base import Context, MixMethod, StepOutput
from adautomix.models.modes import eval_mode
from adautomix.runs import checkpoint
from adautomix.runs.run import Run
from adautomix.training.guard import FiniteGuard
from adautomix.training.optim import lr_at, make_optimizer
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import seed_for


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
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def start(cls, config: TrainConfig, dataset: Dataset, device: torch.device, *, resumes: bool = False) -> "Training":
        """Return a new run's state; weights depend on the seed alone.

        Args:
            resumes: a checkpoint will be loaded: nothing pretrained is fetched.
        """
        torch.manual_seed(seed_for(config.seed, "weights"))
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        pretrained = config.pretrained and not resumes
        student = checkpoint.build_classifier(config, describe(dataset), pretrained=pretrained)
        student = student.to(device, memory_format=layout).train()
        method = make_method(config.method, student, config.options)
        if config.ema.teacher_bn == "batch" and not method.runs_teacher:
            raise UserError(
                f"ema.teacher_bn='batch' needs a method that runs the teacher; {config.method} does not, use 'ema'"
            )
        trainables = {"student": student} | {k: m.to(device) for k, m in method.trainable_modules().items()}
        if stray := set(config.optim) - set(trainables):
            raise UserError(f"optim names {sorted(stray)}, but {config.method} trains {sorted(trainables)}")
        batches = train_loader(
            dataset,
            config.batch_size,
            device=device,
            seed=seed_for(config.seed, "data"),
            workers=config.workers,
            rand_augment=config.rand_augment,
        )
        context = Context.start(
            student,
            config.epochs * len(batches),
            seed_for(config.seed, "mixing"),
            ema=config.ema,
            label_smoothing=config.label_smoothing,
        )
        optimizers = {k: make_optimizer(m, config.optim_for(k)) for k, m in trainables.items()}
        held_out = {"": "test"} if dataset.validation is None else {"": "test", "val_": "validation"}
        tests = {
            prefix: eval_loader(dataset, device=device, workers=config.workers, split=split)
            for prefix, split in held_out.items()
        }
        return cls(config, device, student, method, context, optimizers, batches, tests)

    def run_epoch(self, run: Run) -> dict[str, float]:
        """Train one epoch, evaluate student and teacher, and return the history row."""
        torch.manual_seed(seed_for(self.config.seed, "epoch", self.epoch))  # dropout and stochastic depth
        guard = FiniteGuard(self.config.method, run.checkpoint, lagging=self.device.type == "cuda")
        began, sums, count = time.perf_counter(), {}, 0
        for batch in self.train_batches.epoch(self.epoch):
            out = self.try_step(batch)
            guard.watch(self.context.step, out)
            for name, value in ({f"loss_{k}": v for k, v in out.terms.items()} | out.metrics).items():
                total, times = sums.get(name, (0, 0))
                sums[name] = (total + value, times + 1)
            count += len(batch.y)
        guard.check()
        terms = {name: float(total) / times for name, (total, times) in sums.items()}
        seconds = time.perf_counter() - began
        self.epoch += 1
        lr = self.optimizers["student"].param_groups[0]["lr"]
        row = {"epoch": self.epoch, "lr": lr, **terms, **self.evaluate()}
        guard.check_weights(row)
        row |= {"images_per_s": count / seconds, "seconds": time.perf_counter() - began}
        self.history.append(row)
        return row

    def try_step(self, batch: Batch) -> StepOutput:
        """Return `step(batch)`; raises UserError for images too small for the network's BatchNorm."""
        try:
            return self.step(batch)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            shape = "x".join(map(str, batch.x.shape))
            raise UserError(
                f"BatchNorm needs more than one value a channel, and a batch of {shape} leaves it one: "
                "give a larger batch_size or size"
            ) from error

    def step(self, batch: Batch) -> StepOutput:
        """Update every network the method asks for, from one batch."""
        self.set_lr()
        x = batch.x.contiguous(memory_format=torch.channels_last) if self.config.channels_last else batch.x
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            out = self.method.step(x, batch.y, self.context)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        torch.stack(list(out.losses.values())).sum().backward()
        for name in out.losses:
            if self.config.clip_grad is not None:
                nn.utils.clip_grad_norm_(_parameters(self.optimizers[name]), self.config.clip_grad)
            self.optimizers[name].step()
        self.context.after_step()
        return out

    def set_lr(self) -> None:
        """Set every optimiser's learning rate for the coming step."""
        per_epoch = len(self.train_batches)
        for name, optimizer in self.optimizers.items():
            lr = lr_at(self.config.optim_for(name), self.context.step, per_epoch, self.config.epochs)
            for group in optimizer.param_groups:
                group["lr"] = lr

    def evaluate(self) -> dict[str, float]:
        """Return top-1 (percent) and loss of student and teacher on test and validation images; modes are kept."""
        models, row = {"student": self.student, "teacher": self.context.teacher}, {}
        with eval_mode(self.student), eval_mode(self.context.teacher):
            for prefix, batches in self.test_batches.items():
                for role, predictions in zip(models, predict_each(list(models.values()), batches), strict=True):
                    result = accuracy_metrics(predictions)
                    row |= {f"{role}_{prefix}top1": result["top1"], f"{role}_{prefix}loss": result["loss"]}
        return row

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
            optimizer.load_state_dict(state["optimizers"][name])


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
