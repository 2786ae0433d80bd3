"""What a method sees of a run: student, teacher, draws, and how far the run is."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from adautomix.config import EmaConfig
from adautomix.models.ema import make_teacher, momentum, update
from adautomix.models.modes import require_classifier, unwrapped
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import seed_for


@dataclass
class Context:
    """What a method may look at; it owns none of it.

    Attributes:
        student: the network that is trained; it may be wrapped (DistributedDataParallel, torch.compile).
        teacher: its moving average, frozen; kept for every method, so that every run can report both.
        rng: CPU generator, the only randomness of mixing; of what a whole batch shares. The same on all devices.
        image_rng: of what is drawn for each image, partners above all; `rng` itself, unless a run has several devices,
            each with its own (see `training/ranks.py`).
        steps: optimiser steps of the whole run.
        step: optimiser steps done.
        label_smoothing: share of every target spread over all classes.
    """

    student: nn.Module
    teacher: nn.Module
    rng: torch.Generator
    steps: int
    ema: EmaConfig
    num_classes: int
    label_smoothing: float = 0.0
    step: int = 0
    image_rng: torch.Generator = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Raise UserError for a smoothing that gives no shares."""
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"label_smoothing must be 0 or more and below 1, got {self.label_smoothing}")
        self.image_rng = self.image_rng or self.rng

    @classmethod
    def start(
        cls,
        student: nn.Module,
        steps: int,
        seed: int = 0,
        *,
        ema: EmaConfig | None = None,
        label_smoothing: float = 0.0,
        image_seed: int | None = None,
    ) -> "Context":
        """Return the context of a new run: a teacher copied from the student, and a seeded generator.

        Args:
            student: a Classifier on its device, wrapped or not.
            steps: optimiser steps the run will have; the teacher's momentum follows a schedule over them. With
                gradient accumulation that is fewer than batches.
            seed: of the draws; the same in all processes of one run, which must agree on what a step does.
            image_seed: of what is drawn for each image, where a run has several processes: the rank, say.
        Raises: UserError unless there is a step to make, and the student is a Classifier.
        """
        if steps < 1 or steps != int(steps):
            raise UserError(f"steps must be 1 or more (epochs times batches), and whole, got {steps}")
        config = ema or EmaConfig()
        network = require_classifier(unwrapped(student))
        teacher = make_teacher(network, config)
        rng = torch.Generator().manual_seed(seed)
        context = cls(student, teacher, rng, steps, config, network.num_classes, label_smoothing)
        if image_seed is not None:  # apart from `rng`, whatever the two seeds are
            context.image_rng = torch.Generator().manual_seed(seed_for(seed, "images", image_seed))
        return context

    def rng_for(self, per_sample: bool) -> torch.Generator:
        """Return the generator of what is drawn for every image, or once for the whole batch."""
        return self.image_rng if per_sample else self.rng

    def targets(self, y: Shaped[Tensor, "..."]) -> Float[Tensor, "_ K"]:
        """Return class ids as one-hot targets, smoothed: the one place where ids become targets.

        Raises: UserError for labels that are no class ids [B]; on a GPU, which is not waited for, those out of range
            end in torch's own error.
        """
        if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
            raise UserError(
                f"labels must be class ids [B], whole numbers, one an image; got {y.dtype} {tuple(y.shape)}"
            )
        rest = self.label_smoothing / self.num_classes
        targets = torch.full((len(y), self.num_classes), rest, device=y.device)
        try:
            return targets.scatter_(1, y.long()[:, None], 1 - self.label_smoothing + rest)
        except (RuntimeError, IndexError) as error:
            low, high = int(y.min()), int(y.max())
            if low >= 0 and high < self.num_classes:
                raise
            raise UserError(f"labels must be 0 to {self.num_classes - 1}, got {low} to {high}") from error

    def after_step(self) -> None:
        """Move the teacher after the optimiser's step, and count the step; once a step of the optimiser."""
        self.move_teacher(1 - self.momentum())
        self.step += 1

    def momentum(self) -> float:
        """Return the weight that the teacher keeps at this step."""
        return momentum(self.ema, self.step, self.steps)

    def move_teacher(self, weight: float | Tensor) -> None:
        """Move the teacher that far towards the student: 1 - momentum, as a number or on the device."""
        if hasattr(self.teacher, "reshard"):  # FSDP: a pass that no backward followed has left its weights gathered
            self.teacher.reshard()
        update(self.teacher, unwrapped(self.student), weight, buffers=self.ema.teacher_bn == "ema")

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs besides the student."""
        state = {"teacher": unwrapped(self.teacher).state_dict(), "rng": self.rng.get_state(), "step": self.step}
        own = {} if self.image_rng is self.rng else {"image_rng": self.image_rng.get_state()}
        return state | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        unwrapped(self.teacher).load_state_dict(state["teacher"])
        self.rng.set_state(state["rng"].cpu())
        if "image_rng" in state and self.image_rng is not self.rng:
            self.image_rng.set_state(state["image_rng"].cpu())
        self.step = state["step"]
