"""A tiny network, a few images and two steps: what the clauses of the contract try a method on."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from adautomix.methods.base import MixMethod, StepOutput
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import Mixed
from adautomix.models.classifier import Classifier

CLASSES = 5


def start(
    kind: type[MixMethod], seed: int = 0, channels: int = 3, size: tuple[int, int] = (8, 8)
) -> tuple[MixMethod, Context]:
    """Return a method with its defaults, and the context of a run of a tiny network."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(channels, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
    net = nn.Sequential(*layers, nn.Conv2d(6, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())
    look = {"mean": [0.5] * channels, "std": [0.25] * channels}
    student = Classifier(net, CLASSES, tap="2", heads=("one", "mix"), image_size=size, **look).train()
    return kind.build(student), Context.start(student, steps=10, seed=seed)


def batch(count: int = 4, size: tuple[int, int] = (8, 8), channels: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return images and class ids."""
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, *size, generator=rng), torch.arange(count) % CLASSES


def two_steps(
    method: MixMethod, ctx: Context, count: int = 4, size: tuple[int, int] = (8, 8)
) -> Iterator[tuple[Tensor, Tensor, StepOutput]]:
    """Yield two consecutive steps as (x, y, output): the second may build on the first."""
    for seed in (1, 2):
        x, y = batch(count, size, seed=seed)
        out = method.step(x, y, ctx)
        yield x, y, out
        method.load_state_dict(out.state)


def mixes(
    kind: type[MixMethod], seed: int = 0, count: int = 8, size: tuple[int, int] = (8, 8)
) -> Iterator[tuple[Tensor, Context, Mixed]]:
    """Yield everything that a new method mixes in two steps, as (y, context, mixed)."""
    method, ctx = start(kind, seed, size=size)
    for _, y, out in two_steps(method, ctx, count, size):
        for mixed in out.mixed:
            yield y, ctx, mixed
