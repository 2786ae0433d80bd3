"""Tensor calls of one training step of every method, counted by torch's profiler on a CPU: exact, on any machine.

Counted is what Python or autograd asks torch for, not what those calls use inside: on a GPU each is a kernel or a few
(a foreach or fused call works on all parameters at once). Left out are views and allocations, which start no kernel.
Means over steps 2 to 5, so that AdAutoMix's two kinds of step count alike.
"""

import torch
from _report import arguments, report
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile
from train_step import random_images

from adautomix.config import TrainConfig
from adautomix.methods import METHODS, resolve_options
from adautomix.training.steps import Training

NO_KERNEL = """
    alias as_strided chunk contiguous detach empty empty_like expand expand_as flatten is_same_size item narrow numpy_T
    permute reshape resolve_conj resolve_neg result_type select slice split squeeze t to transpose unbind unflatten
    unsafe_split unsqueeze view view_as
"""
WARM_UP, COUNTED = 2, 4


def main() -> None:
    """Count the calls of every method's step, and how many of them are the optimisers' and the teacher's."""
    args = arguments(__doc__, batch=8, width=16)
    report(
        f"tensor calls a step, ResNet-18 width {args.width}, 32 px",
        [{"method": method} | calls(method, args.batch, args.width) for method in METHODS],
        args.json,
    )


def calls(method: str, batch: int, width: int) -> dict[str, float]:
    """Return the mean number of calls of a step, and of those outside of forward and backward."""
    config = TrainConfig(method=method, options=resolve_options(method, {}), width=width, batch_size=batch)
    device = torch.device("cpu")
    training = Training.start(config, random_images(batch * (WARM_UP + COUNTED)), device)
    batches = list(training.train_batches.epoch(0))
    for each in batches[:WARM_UP]:
        training.step(each)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for each in batches[WARM_UP:]:
            training.step(each)
    found = [event for event in recorded.events() if counts(event)]
    optimisers = [event for event in found if event.name.startswith("aten::_f") or inside(event, "Optimizer.")]
    return {"calls": len(found) / COUNTED, "optimisers_and_teacher": len(optimisers) / COUNTED}


def counts(event: FunctionEvent) -> bool:
    """Return whether an event is a tensor call that nobody but Python or autograd asked for, and starts a kernel."""
    return event.name.startswith("aten::") and event.name[6:] not in NO_KERNEL.split() and not inside(event, "aten::")


def inside(event: FunctionEvent, name: str) -> bool:
    """Return whether an event happened inside another whose name begins so."""
    parent = event.cpu_parent
    while parent is not None:
        if parent.name.startswith(name):
            return True
        parent = parent.cpu_parent
    return False


if __name__ == "__main__":
    main()
