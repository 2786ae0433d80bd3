"""The teacher: an exponential moving average of the student.

Adversarial AutoMixup (ICLR 2024), section 3.4; the schedule follows the released code (its CosineScheduleHook).
What a reader gets wrong: with momentum 0.999 a run of a hundred steps keeps 90 % of the random start, so short
runs need the warm-up min(m, (1+t)/(10+t)).
"""

import copy
import math

import torch
from torch import Tensor, nn

from adautomix.config import EmaConfig
from adautomix.utils.errors import UserError


def momentum(config: EmaConfig, step: int, steps: int) -> float:
    """Return the weight the teacher keeps at update `step` (from 0) of `steps`.

    The cosine's argument counts from step 0 although it only starts at `scope[0]`, so the value jumps there; so
    does the released code, and golden vectors hold us to it.
    """
    start, stop = config.scope[0] * steps, config.scope[1] * steps
    if start == 0 and step == 0:
        m = 0.0
    elif step < start:
        m = config.base
        if config.ramp == "linear":
            m += (config.end - config.base) * step / start
    elif step >= stop:
        m = config.end
    else:
        m = config.end - (config.end - config.base) * (math.cos(math.pi * step / stop) + 1) / 2
    return min(m, (1 + step) / (10 + step)) if config.warmup else m


def make_teacher(student: nn.Module, config: EmaConfig) -> nn.Module:
    """Return a frozen copy of the student.

    It is in eval mode, or in train mode when `teacher_bn` is "batch": then its own passes use batch statistics
    and move its running statistics, as in the released code.

    Raises: UserError if those statistics are plain averages (BatchNorm with momentum=None): they cannot be repeated.
    """
    if config.teacher_bn == "batch" and any(m.momentum is None for m in batch_norms(student)):
        raise UserError("teacher_bn='batch' needs BatchNorm with a momentum, got momentum=None; use teacher_bn='ema'")
    teacher = copy.deepcopy(student).requires_grad_(False)
    return teacher.train(config.teacher_bn == "batch")


def batch_norms(module: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Return all BatchNorm layers of a module."""
    return [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@torch.no_grad()
def update(teacher: nn.Module, student: nn.Module, m: float, *, buffers: bool) -> None:
    """Move the teacher towards the student in place: theta_t <- m theta_t + (1-m) theta_s.

    Args:
        buffers: also average BatchNorm's running statistics, and copy all other buffers; False leaves them alone.
    """
    averaged = list(zip(teacher.parameters(), student.parameters(), strict=True))
    copied: list[tuple[Tensor, Tensor]] = []
    if buffers:
        for (name, old), new in zip(teacher.named_buffers(), student.buffers(), strict=True):
            # Averaging anything else could only do harm: a constant mask of -inf would become nan.
            (averaged if name.endswith(("running_mean", "running_var")) else copied).append((old, new))
    torch._foreach_lerp_(*map(list, zip(*averaged, strict=True)), 1 - m)
    if copied:
        torch._foreach_copy_(*map(list, zip(*copied, strict=True)))


class RunningStatistics:
    """The update that one pass made to a module's BatchNorm statistics, so that it can be made again without a pass.

    Make it before the pass, call `record` after it. A module in eval mode has no update, and repeating does nothing.
    """

    def __init__(self, module: nn.Module) -> None:
        moving = [m for m in batch_norms(module) if m.training and m.track_running_stats]
        self.norms = [m for m in moving if m.momentum != 0]
        self.before = [b.clone() for b in self._buffers()]
        self.batch: list[Tensor] = []

    def _buffers(self) -> list[Tensor]:
        return [buffer for m in self.norms for buffer in (m.running_mean, m.running_var)]

    def _rates(self) -> list[float]:
        return [m.momentum for m in self.norms for _ in range(2)]

    @torch.no_grad()
    def record(self) -> None:
        """Work out the batch's own statistics s from r_after = (1-m) r_before + m s."""
        pairs = zip(self._buffers(), self.before, self._rates(), strict=True)
        self.batch = [(after - (1 - m) * before) / m for after, before, m in pairs]

    @torch.no_grad()
    def repeat(self, times: int) -> None:
        """Apply the recorded update `times` more times, in place."""
        for running, batch, m in zip(self._buffers(), self.batch, self._rates(), strict=True):
            # .data: a pass whose backward is still to come has saved these buffers, though it will not read them.
            running.data.lerp_(batch, 1 - (1 - m) ** times)
        for norm in self.norms:
            norm.num_batches_tracked += times
