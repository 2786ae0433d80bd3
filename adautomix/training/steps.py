"""A run in progress: its steps, its epochs, its evaluations, and all that a checkpoint keeps of it.

A step: the method gives one loss for each optimiser to step now; each goes backward (they reach disjoint parameters);
those optimisers step; the teacher follows. It knows nothing about any method. After the epochs that `eval_every` names
student and teacher are evaluated.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adautomix.config import TrainConfig
from adautomix.data.base import Dataset, describe
from adautomix.data.batches import Batch
from adautomix.data.loader import eval_loader, train_loader
from adautomix.evaluate.accuracy import Predictions, accuracy_result, predict_each
from adautomix.methods import make_method
from adautomix.methods.base import Draws, MixMethod, StepOutput
from adautomix.methods.context import Context
from adautomix.models.layout import layout_for
from adautomix.models.modes import eval_mode, passes_counted_at_once
from adautomix.runs.networks import build_classifier
from adautomix.runs.run import Run
from adautomix.training.graphs import StepGraphs
from adautomix.training.guard import Guard, require_sound
from adautomix.training.optim import backward, load, lr_at, make_optimizer, parameters_of
from adautomix.training.ranks import ALONE, Ranks
from adautomix.training.telling import Means
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import seed_for

Numbers = Mapping[str, float | Tensor]


@dataclass
class Training:
    """A run in progress: networks, optimisers, batches and history.

    `on_step` gets, after each step, the epochs done, with a fraction, and the epoch's images/s so far.
    """

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
    ranks: Ranks = ALONE
    layout: torch.memory_format = torch.contiguous_format
    on_step: Callable[[float, float], None] = lambda epochs, rate: None

    @classmethod
    def start(
        cls,
        config: TrainConfig,
        dataset: Dataset,
        device: torch.device,
        ranks: Ranks = ALONE,
        *,
        resumes: bool = False,
    ) -> "Training":
        """Return a new run's state; weights depend on the seed alone.

        Args:
            ranks: of which this process is one; it gets its share of the images.
            resumes: a checkpoint will be loaded: nothing pretrained is fetched.
        """
        torch.manual_seed(seed_for(config.seed, "weights"))
        whole_batch = config.sync_bn and ranks.count > 1
        student = build_classifier(config, describe(dataset), fetch=not resumes, sync_bn=whole_batch)
        layout = layout_for(student, device, channels_last=config.channels_last)
        student = student.to(device, memory_format=layout).train()
        student.seen_pixels = True  # a data set's are in [0,1], and a look would be waited for
        method = make_method(config.method, student, config.options)
        trained = {"student": student} | {k: m.to(device) for k, m in method.trainable_modules().items()}
        require_fit(config, trained)
        recorded = config.cuda_graphs and device.type == "cuda"
        optimizers = {k: make_optimizer(m, config.optim_for(k), graphs=recorded) for k, m in trained.items()}

        where = {"device": device, "workers": config.workers, "share": ranks.share}
        seed = seed_for(config.seed, "data")
        changed = {"rand_augment": config.rand_augment, "decode": config.decode}
        batches = train_loader(dataset, config.batch_size, seed=seed, **changed, **where)
        tests = {"": eval_loader(dataset, **where)}
        if dataset.validation is not None:
            tests["val_"] = eval_loader(dataset, split="validation", **where)

        steps, seed = config.epochs * len(batches), seed_for(config.seed, "mixing")
        context = Context.start(student, steps, seed, ema=config.ema, label_smoothing=config.label_smoothing)
        method.check_context(context)
        if ranks.count > 1:
            context.image_rng = torch.Generator()
        graphs = StepGraphs(device) if recorded else None
        return cls(
            config, device, student, method, context, optimizers, batches, tests, graphs, ranks=ranks, layout=layout
        )

    def run_epoch(self, run: Run) -> dict[str, float]:
        """Train one epoch, evaluate student and teacher, and return the history row."""
        self.seed_epoch()
        guard = Guard(self.device, self.config.method, run, self.ranks)
        began, images, means = time.perf_counter(), 0, Means()
        for index, batch in enumerate(self.train_batches.epoch(self.epoch), 1):
            out = self.step(batch)
            means.add({f"loss_{name}": term for name, term in out.terms.items()} | out.metrics)
            images += len(batch.y) * self.ranks.count
            guard.add(self.context.step, out)
            self.on_step(self.epoch + index / len(self.train_batches), images / (time.perf_counter() - began))
        guard.finish()
        terms = means.values(self.ranks)  # waits for a GPU
        rate = images / (time.perf_counter() - began)
        self.epoch += 1
        self.agree()
        row = {"epoch": self.epoch, "lr": self.rates["student"], **terms, **self.evaluate()}
        require_sound(self.student, row, self.config, run)  # the last update came after the last look
        row |= {"images_per_s": rate, "seconds": time.perf_counter() - began}
        self.history.append(row)
        return row

    def seed_epoch(self) -> None:
        """Seed what is random in networks, dropout and stochastic depth, and of several ranks each one's own draws."""
        seed, own = self.config.seed, () if self.ranks.first else (self.ranks.rank,)
        torch.manual_seed(seed_for(seed, "epoch", self.epoch, *own))
        if self.ranks.count > 1:
            self.context.image_rng.manual_seed(seed_for(seed, "partners", self.epoch, *self.ranks.share))

    def agree(self) -> None:
        """Average BatchNorm's statistics over the ranks, and check that all have the same networks.

        Raises: RankError where they differ.
        """
        modules = {"student": self.student, "teacher": self.context.teacher} | self.method.trainable_modules()
        self.ranks.average_statistics(list(modules.values()))
        tensors = {f"{k}.{name}": t for k, module in modules.items() for name, t in module.state_dict().items()}
        self.ranks.require_same(tensors, f"after epoch {self.epoch}")

    def step(self, batch: Batch) -> StepOutput:
        """Update every network the method asks for, from one batch."""
        config = self.config
        for name in self.optimizers:
            lr = lr_at(config.optim_for(name), self.context.step, len(self.train_batches), config.epochs)
            self.rates[name] = lr if self.device.type == "cpu" else float(np.float32(lr))  # as a graph reads it
        x = batch.x.contiguous(memory_format=self.layout)
        if self.graphs is not None:
            return self.graphs.step(self, x, batch.y, self.rates)
        out = self.update(self.method, x, batch.y, None, self.rates, 1 - self.context.momentum())
        self.method.load_state_dict(out.state)
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
        with self.precision(), passes_counted_at_once(self.student):
            out = method.step(x, y, self.context, draws)
        backward(out, self.optimizers)
        self.ranks.mean_gradients([p for name in out.losses for p in parameters_of(self.optimizers[name])])
        for name in out.losses:
            optimizer = self.optimizers[name]
            for group in optimizer.param_groups:
                group["lr"] = rates[name]
            if self.config.clip_grad is not None:
                nn.utils.clip_grad_norm_(parameters_of(optimizer), self.config.clip_grad)
            optimizer.step()
        self.context.move_teacher(weight)
        return out

    def precision(self) -> torch.autocast:
        """Return the context in which a step mixes and makes its passes."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def evaluate(self) -> dict[str, float]:
        """Return top-1 (percent) and loss of student and teacher on test and validation images; modes are kept.

        nan after an epoch that is not evaluated. Of several ranks each looks at its share of the images.
        """
        models = {"student": self.student, "teacher": self.context.teacher}
        row = {f"{k}_{p}{name}": math.nan for p in self.test_batches for k in models for name in ("top1", "loss")}
        if not self.config.evaluates(self.epoch):
            return row
        with eval_mode(self.student), eval_mode(self.context.teacher):
            for prefix, batches in self.test_batches.items():
                seen = predict_each(list(models.values()), batches, self.config.eval_precision)
                for role, shares in zip(models, map(self.ranks.gathered, seen), strict=True):
                    if shares is None:  # the first rank has them
                        continue
                    result = accuracy_result(Predictions.joined(shares), self.config.eval_precision)
                    row |= {f"{role}_{prefix}{name}": result["value"][name] for name in ("top1", "loss")}
                    if not prefix:
                        self.accuracies[role] = result
        return self.ranks.told(row)

    def write_accuracy(self, run: Run) -> None:
        """Store the accuracy after the last epoch as the evaluator would, which need not measure it again."""
        for role, result in self.accuracies.items():
            run.write_metrics("accuracy", role, result | {"images": "all", "device": str(self.device)})

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on bit for bit; tensors, numbers and strings only. All ranks must call it."""
        own = {name: value.cpu() for name, value in self.method.state_dict().items()}
        return {
            "epoch": self.epoch,
            "history": self.history,
            "student": self.student.state_dict(),
            "context": self.context.state_dict(),
            "method": own,
            "method_by_rank": self.ranks.gathered(own) if self.ranks.count > 1 else None,
            "trainables": {k: m.state_dict() for k, m in self.method.trainable_modules().items()},
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.epoch, self.history = state["epoch"], state["history"]
        self.student.load_state_dict(state["student"])
        self.context.load_state_dict(state["context"])
        by_rank = state.get("method_by_rank") or []
        alike = len(by_rank) == self.ranks.count > 1
        # Checkpoints of an older version have none; with other devices than before the first rank's must do.
        self.method.load_state_dict(by_rank[self.ranks.rank] if alike else state.get("method", {}))
        for name, module in self.method.trainable_modules().items():
            module.load_state_dict(state["trainables"][name])
        for name, optimizer in self.optimizers.items():
            load(optimizer, state["optimizers"][name])


def require_fit(config: TrainConfig, trained: dict[str, nn.Module]) -> None:
    """Raise UserError for an optimiser that the method has no use for."""
    if stray := set(config.optim) - set(trained):
        raise UserError(f"optim names {sorted(stray)}, but {config.method} trains {sorted(trained)}")
