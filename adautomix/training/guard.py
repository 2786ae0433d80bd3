"""What stops a run: losses or weights that are not finite."""

import math

import torch
from torch import Tensor, nn

from adautomix.config import TrainConfig
from adautomix.methods.base import StepOutput
from adautomix.runs.run import Run
from adautomix.training.ranks import ALONE, Ranks

LOOK_EVERY = 50
"""Steps between two looks at the losses on a GPU: looking at each would make the CPU wait for every step."""


class Guard:
    """Stops a run whose losses are not finite; on a GPU some steps late, so that the CPU never waits for it.

    Of several ranks all stop at once, with the message of the one where it began: a step later all have caught it.
    """

    def __init__(self, device: torch.device, method: str, run: Run, ranks: Ranks = ALONE) -> None:
        self.method, self.run, self.ranks = method, run, ranks
        self.event = torch.cuda.Event() if device.type == "cuda" else None
        self.recent: list[tuple[int, dict[str, Tensor], Tensor | None]] = []
        self.asked, self.finite = [], torch.tensor(True)

    def add(self, step: int, out: StepOutput) -> None:
        """Take a step's losses; on a GPU look at them every so many steps."""
        self.recent.append((step, {name: loss.detach() for name, loss in out.losses.items()}, out.draws.lam))
        if self.event is None:
            self.finish()
        elif len(self.recent) == LOOK_EVERY:
            self.answer()
            self.ask()

    def ask(self) -> None:
        """Ask the device whether the losses since the last question are finite."""
        losses = torch.stack([loss for _, losses, _ in self.recent for loss in losses.values()])
        self.finite = losses.isfinite().all().to("cpu", non_blocking=True)
        self.asked, self.recent = self.recent, []
        if self.event is not None:
            self.event.record()

    def answer(self) -> None:
        """Raise FloatingPointError if a loss asked about is not finite, with the step's number."""
        if self.event is not None:
            self.event.synchronize()  # until the question is reached, not until the queue is empty
        found = (
            None if self.finite else next(s for s in self.asked if not all(loss.isfinite() for loss in s[1].values()))
        )
        if (earliest := self.ranks.earliest(found and found[0])) is None:
            return
        _, rank = earliest
        message = self.message(found) if rank == self.ranks.rank else ""
        stop(self.ranks.told(message, by=rank), self.method, self.run)

    def message(self, found: tuple[int, dict[str, Tensor], Tensor | None]) -> str:
        """Return what is wrong with a step's losses."""
        step, losses, lam = found
        values = ", ".join(f"{name} {loss.item()}" for name, loss in losses.items())
        if lam is not None:
            values += f"; lam in [{lam.min().item():.4f}, {lam.max().item():.4f}]"
        where = f" on rank {self.ranks.rank}" if self.ranks.count > 1 else ""
        return f"loss not finite at step {step}{where} ({values})"

    def finish(self) -> None:
        """Ask about all steps that are left, and look at the answers."""
        self.answer()
        if self.recent:
            self.ask()
            self.answer()


def require_sound(student: nn.Module, row: dict[str, float], config: TrainConfig, run: Run) -> None:
    """Raise FloatingPointError for a loss on the test images or, if not evaluated, for weights that are not finite."""
    if not config.evaluates(row["epoch"]):
        if not nn.utils.get_total_norm(student.parameters()).isfinite():
            stop(f"the student's weights are not finite after epoch {row['epoch']}", config.method, run)
        return
    for name in ("student_loss", "teacher_loss"):
        if not math.isfinite(row[name]):
            stop(f"{name} on the test images is {row[name]} after epoch {row['epoch']}", config.method, run)


def stop(what: str, method: str, run: Run) -> None:
    """Raise FloatingPointError, with the checkpoint to go back to."""
    good = f"last good checkpoint: {run.checkpoint}" if run.checkpoint.exists() else "no checkpoint yet"
    raise FloatingPointError(f"{method}: {what}; {good}. Try a smaller learning rate, a warm-up or clip_grad")
