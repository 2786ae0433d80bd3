"""Train and eval mode of networks whose parts may be in different ones, the passes made in train mode, and wrappers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from adautomix.utils.errors import UserError


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put a module into eval mode, and at the end every submodule back into its own mode (a frozen BatchNorm's too)."""
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        yield
    finally:
        for m in training:
            m.training = True


class _Passes:
    """Stands for a BatchNorm's `num_batches_tracked` and counts without a tensor call; else it is as that tensor."""

    def __init__(self, before: Tensor) -> None:
        self.before, self.count = before, 0

    def add_(self, passes: int) -> None:
        self.count += passes

    def copy_(self, value: Tensor) -> None:
        self.before.copy_(value)
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        """Whoever walks the buffers in the block, to keep or to copy them, gets a tensor of the passes so far."""
        if name == "before":  # not yet there while it is unpickled
            raise AttributeError(name)
        return getattr(self.before + self.count, name)


@contextmanager
def passes_counted_at_once(module: nn.Module) -> Iterator[None]:
    """Add up each BatchNorm's passes of the block in one call at the end: a layer's own count is a kernel a pass.

    The counts are only read by layers without a momentum, which keep their own.
    """
    norms = [m for m in module.modules() if getattr(m, "num_batches_tracked", None) is not None and m.momentum]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm._buffers["num_batches_tracked"] = _Passes(norm.num_batches_tracked)
    try:
        yield
    finally:
        passes = [norm._buffers["num_batches_tracked"].count for norm in norms]
        for norm, count in zip(norms, counts, strict=True):
            norm._buffers["num_batches_tracked"] = count
        if any(passes):
            torch._foreach_add_(counts, passes)


@contextmanager
def buffers_kept(*modules: nn.Module) -> Iterator[None]:
    """Put back, at the end, what passes in train mode wrote into buffers: BatchNorm's running statistics."""
    buffers = [buffer for module in modules for buffer in module.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the network inside DistributedDataParallel, DataParallel or torch.compile, whose weights it shares."""
    while True:
        if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel):
            module = module.module
        elif "_orig_mod" in dict(module.named_children()):
            module = module._orig_mod
        else:
            return module


def require_classifier(network: nn.Module) -> nn.Module:
    """Return the network; raises UserError, saying how to make one of it, unless it has what a Classifier has."""
    if not (hasattr(network, "heads") and hasattr(network, "num_classes")):
        raise UserError(
            f"a {type(network).__name__} is not a Classifier: wrap it first, Classifier(net, num_classes=K), with its "
            "last layer replaced by torch.nn.Identity()"
        )
    return network
