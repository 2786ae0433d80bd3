"""Optimisers and their learning rate, a closed form of the step: nothing to restore when a run goes on."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from adautomix.config import OptimConfig


def make_optimizer(parameters: Iterable[nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser of one trainable; weight decay applies to every parameter, as in the released runs."""
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
