"""Optimisers and their learning rate, a closed form of the step: nothing to restore when a run goes on."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn

from adautomix.config import OptimConfig
from adautomix.methods.base import StepOutput


def make_optimizer(
    module: nn.Module, config: OptimConfig, *, fused: bool | None = None, graphs: bool = False
) -> torch.optim.Optimizer:
    """Return the optimiser of one trainable.

    Weight decay applies to every parameter, as in the released ResNet runs; or, with `decay_all` off, not to biases,
    norms and what the network itself lists (position tables), as in the released transformer runs.

    Args:
        fused: all parameters in one kernel; default: on a GPU. On a CPU it rounds otherwise.
        graphs: its steps are to be recorded as a CUDA graph.
    """
    parameters = module.parameters()
    if not config.decay_all:
        spared = getattr(getattr(module, "net", module), "no_weight_decay", set)()
        names = [name for name, _ in module.named_parameters() if name.removeprefix("net.") in spared]
        parameters = param_groups_weight_decay(module, config.weight_decay, no_weight_decay_list=names)
    fused = next(module.parameters()).is_cuda if fused is None else fused
    common: dict[str, Any] = {
        "lr": config.lr,
        "weight_decay": config.weight_decay,
        "fused": fused,
        "foreach": not fused,
    }
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, capturable=graphs, **common)
    optimizer = torch.optim.SGD(parameters, momentum=config.momentum, nesterov=config.nesterov, **common)
    _fill_buffers(optimizer)
    return optimizer


def _fill_buffers(optimizer: torch.optim.Optimizer) -> None:
    """Give every parameter of a fused SGD its momentum, of 0, as the first step would have it.

    torch makes them in the first step that has a gradient, and fails where some parameters got one earlier than others:
    RecursiveMix's second head has none in the first step.
    """
    for group in optimizer.param_groups:
        if group["fused"] and group.get("momentum"):
            for parameter in group["params"]:
                state = optimizer.state[parameter]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = torch.zeros_like(parameter)


def load(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state; which kernels it uses stays as this device has it.

    Said before it is loaded: by that torch decides on which device AdamW's count of steps lives.
    """
    kernels = [{k: v for k, v in g.items() if k in ("fused", "foreach", "capturable")} for g in optimizer.param_groups]
    groups = [group | own for group, own in zip(state["param_groups"], kernels, strict=True)]
    optimizer.load_state_dict(state | {"param_groups": groups})
    _fill_buffers(optimizer)


def lr_at(config: OptimConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine from `lr` to `final_lr`.

    With schedule "epoch" it changes between epochs only, and counts whole ones (released CIFAR runs). With "whole" the
    cosine is one over all epochs, and the warm-up scales its beginning (released transformer runs).
    """
    if config.schedule == "constant":
        return config.lr
    epoch = step / steps_per_epoch
    whole, scale = config.schedule == "whole", 1.0
    if epoch < config.warmup_epochs:
        scale = min(1.0, (epoch + 1 / steps_per_epoch) / config.warmup_epochs)
        if not whole:
            return config.lr * scale
    if config.schedule == "epoch":
        epoch = math.floor(epoch)
    before = 0.0 if whole else config.warmup_epochs
    done = max(0.0, epoch - before) / max(epochs - before, 1e-9)
    cosine = config.final_lr + (config.lr - config.final_lr) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return scale * cosine


def backward(out: StepOutput, optimizers: dict[str, torch.optim.Optimizer]) -> None:
    """Set every parameter's gradient of its loss.

    Autograd adds up the gradients of several passes one parameter at a time. Where a step gives the passes' terms, each
    goes backward by itself, and one call adds what it gave for all parameters.
    """
    for optimizer in optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    for name, terms in out.summands.items():
        parameters = [parameter for parameter in parameters_of(optimizers[name]) if parameter.requires_grad]
        for term in terms:
            _accumulate(parameters, torch.autograd.grad(term, parameters, allow_unused=True))
    if rest := [loss for name, loss in out.losses.items() if name not in out.summands]:
        torch.autograd.backward(rest)


def _accumulate(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Add gradients to those the parameters have; None where a pass did not use a parameter."""
    sums, added, taken = [], [], set()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if gradient.stride() != parameter.stride():
            # As backward() does it: fused optimisers want the parameter's layout, and a network (ConvNeXt) may have
            # gone through another one.
            gradient = torch.empty_like(parameter).copy_(gradient)
        if parameter.grad is not None:
            sums.append(parameter.grad)
            added.append(gradient)
            continue
        if gradient.data_ptr() in taken:  # both parameters of a + b get one tensor, to which each would add
            gradient = gradient.clone()
        taken.add(gradient.data_ptr())
        parameter.grad = gradient
    if sums:
        torch._foreach_add_(sums, added)


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return every parameter that an optimiser moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]
