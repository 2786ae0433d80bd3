"""Shared by the trainer's tests: the smallest config, and everything that a run's checkpoint learned."""

import torch

from adautomix.config import OptimConfig, TrainConfig
from adautomix.runs import checkpoint
from adautomix.runs.run import Run


def tiny_config(**changes):
    base = {"data": "digits", "method": "mixup", "width": 4, "epochs": 3, "batch_size": 8, "device": "cpu"}
    return TrainConfig(**base | {"optim": {"student": OptimConfig(lr=0.05)}} | changes)


def weights(run: Run) -> dict[str, torch.Tensor]:
    state = checkpoint.load(run.checkpoint)
    momenta = {f"momentum.{k}": v["momentum_buffer"] for k, v in state["optimizers"]["student"]["state"].items()}
    teacher = {f"teacher.{k}": v for k, v in state["context"]["teacher"].items()}
    return state["student"] | teacher | momenta
