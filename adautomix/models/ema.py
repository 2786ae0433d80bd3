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
def update(teacher: nn.Module, student: nn.Module, weight: float | Tensor, *, buffers: bool) -> None:
    """Move the teacher towards the student in place: theta_t <- theta_t + weight (theta_s - theta_t).

    Args:
        weight: 1 - m, where m is the momentum; a tensor where a graph is to read it anew every time.
        buffers: also average BatchNorm's running statistics, and copy all other buffers; False leaves them alone.
    """
    followed = [list(zip(teacher.parameters(), student.parameters(), strict=True))]
    copied: list[tuple[Tensor, Tensor]] = []
    if buffers:
        statistics: list[tuple[Tensor, Tensor]] = []
        for (name, old), new in zip(teacher.named_buffers(), student.buffers(), strict=True):
            # Averaging anything else could only do harm: a constant mask of -inf would become nan.
            (statistics if name.endswith(("running_mean", "running_var")) else copied).append((old, new))
        followed += [statistics] if statistics else []
    for pairs in followed:  # apart: FSDP shards parameters and no buffers, and no call takes both kinds
        old, new = map(list, zip(*pairs, strict=True))
        if old[0].is_cuda or isinstance(weight, Tensor):  # no lerp of many tensors takes its weight from the device
            step = torch._foreach_sub(new, old)
            torch._foreach_mul_(step, weight)
            torch._foreach_add_(old, step)
        else:
            torch._foreach_lerp_(old, new, weight)
    if copied:
        torch._foreach_copy_(*map(list, zip(*copied, strict=True)))


class RunningStatistics:
    """The update that one pass made to a module's BatchNorm statistics, so that it can be made again without a pass.

    Make it before the pass, call `record` after it. A module in eval mode has no update, and repeating does nothing.
    """

    def __init__(self, module: nn.Module) -> None:
        moving = [m for m in batch_norms(module) if m.training and m.track_running_stats]
        norms = [m for m in moving if m.momentum != 0]
        # .data: a pass whose backward is still to come has saved these buffers, though it will not read them.
        self.running = [buffer.data for m in norms for buffer in (m.running_mean, m.running_var)]
        self.counts = [m.num_batches_tracked for m in norms]
        self.rates = [m.momentum for m in norms for _ in range(2)]
        self.batch: list[Tensor] = []
        if norms:
            self.before = torch._foreach_mul(self.running, [1 - m for m in self.rates])

    @torch.no_grad()
    def record(self) -> None:
        """Work out the batch's own statistics s from r_after = (1-m) r_before + m s."""
        if self.running:
            self.batch = torch._foreach_div(torch._foreach_sub(self.running, self.before), self.rates)

    @torch.no_grad()
    def repeat(self, times: int) -> None:
        """Apply the recorded update `times` more times, in place."""
        if self.running:
            torch._foreach_lerp_(self.running, self.batch, [1 - (1 - m) ** times for m in self.rates])
            torch._foreach_add_(self.counts, times)
