"""Optimisers and their learning rate, a closed form of the step: nothing to restore when a run goes on."""

import math

import torch
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn

from adautomix.config import OptimConfig


def make_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser of one trainable.

    Weight decay applies to every parameter, as in the released ResNet runs; or, with `decay_all` off, not to biases,
    norms and what the network itself lists (position tables), as in the released transformer runs.
    """
    parameters = module.parameters()
    if not config.decay_all:
        spared = getattr(getattr(module, "net", module), "no_weight_decay", set)()
        names = [name for name, _ in module.named_parameters() if name.removeprefix("net.") in spared]
        parameters = param_groups_weight_decay(module, config.weight_decay, no_weight_decay_list=names)
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )


def lr_at(config: OptimConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine from `lr` to `final_lr`.

    With schedule "epoch" it changes between epochs only, and counts whole ones (released CIFAR runs).
    """
    if config.schedule == "constant":
        return config.lr
    epoch = step / steps_per_epoch
    if epoch < config.warmup_epochs:
        return config.lr * min(1.0, (epoch + 1 / steps_per_epoch) / config.warmup_epochs)
    if config.schedule == "epoch":
        epoch = math.floor(epoch)
    done = max(0.0, epoch - config.warmup_epochs) / max(epochs - config.warmup_epochs, 1e-9)
    return config.final_lr + (config.lr - config.final_lr) * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return every parameter that an optimiser moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]
