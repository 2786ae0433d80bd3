"""Stops a run whose loss is not finite, and says where.

On a GPU the losses are looked at every `LAG` steps: looking at each would make the CPU wait for every step.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from adautomix.methods.base import StepOutput

LAG = 50


class FiniteGuard:
    """Watches the losses of one epoch.

    Args:
        method: its name, for the message.
        last_good: the checkpoint to go back to.
        lagging: look at every `LAG`-th step only, at all losses since.
    """

    def __init__(self, method: str, last_good: Path, *, lagging: bool) -> None:
        self.method, self.last_good, self.lag = method, last_good, LAG if lagging else 1
        self.seen: list[tuple[int, dict[str, Tensor], Sequence[Tensor]]] = []

    def watch(self, step: int, out: StepOutput) -> None:
        """Take note of one step's losses; `step` counts from 1."""
        losses = {name: loss.detach() for name, loss in out.losses.items()}
        self.seen.append((step, losses, [mixed.lam for mixed in out.mixed]))
        if len(self.seen) >= self.lag:
            self.check()

    def check(self) -> None:
        """Raise FloatingPointError if a loss since the last check is not finite."""
        losses = [loss for _, by_name, _ in self.seen for loss in by_name.values()]
        if losses and not torch.isfinite(torch.stack(losses)).all():
            self._report()
        self.seen.clear()

    def check_weights(self, row: dict[str, float]) -> None:
        """Raise FloatingPointError if a test loss is not finite: the last update came after the last check."""
        for name in ("student_loss", "teacher_loss"):
            if not math.isfinite(row[name]):
                self._stop(f"{name} on the test images is {row[name]} after epoch {row['epoch']:.0f}")

    def _report(self) -> None:
        step, losses, lams = next(s for s in self.seen if not all(torch.isfinite(v) for v in s[1].values()))
        values = ", ".join(f"{name} {float(loss)}" for name, loss in losses.items())
        if lams:
            flat = torch.cat([lam.flatten() for lam in lams])
            values += f"; lam in [{float(flat.min()):.4f}, {float(flat.max()):.4f}]"
        self._stop(f"loss not finite at step {step} ({values})")

    def _stop(self, what: str) -> None:
        good = f"last good checkpoint: {self.last_good}" if self.last_good.exists() else "no checkpoint yet"
        raise FloatingPointError(f"{self.method}: {what}; {good}. Try a smaller learning rate, a warm-up or clip_grad")
