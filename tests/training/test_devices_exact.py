"""Several devices: is a step what one device makes of the whole batch, for every kind of method?"""

from dataclasses import replace
from itertools import chain, count, islice

import pytest
import torch
from helpers.ranks import as_ranks
from helpers.training import tiny_config
from torch import nn

from adautomix.config import OptimConfig
from adautomix.methods import resolve_options
from adautomix.runs import networks
from adautomix.training.ranks import ALONE
from adautomix.training.steps import Training

STEPS, BATCH = 20, 12
CASES = {
    "vanilla": ("vanilla", {}),
    "mixup": ("mixup", {}),
    "puzzlemix": ("puzzlemix", {}),
    "automix": ("automix", {}),
    "adautomix released": ("adautomix", {}),
    "adautomix paper": ("adautomix", {"objective": "paper"}),
}


class NoNorm(nn.Module):
    """Two convolutions and no BatchNorm, which would look at a share's own statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layer3 = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Tanh())
        self.last = nn.Sequential(nn.Conv2d(6, 8, 3, 1, 1), nn.Tanh())

    def forward(self, x):
        return self.last(self.layer3(x))


def shared_draws(training, shares):
    """Return the draws of every share, as so many ranks would draw them: lam in common, partners of their own."""
    method, ctx = training.method, training.context
    state, draws = ctx.rng.get_state(), []
    for rank in range(shares):
        ctx.rng.set_state(state)
        ctx.image_rng = torch.Generator().manual_seed(1000 * ctx.step + rank)
        draws.append(method.draw(BATCH // shares, ctx))
    return draws


def joined(draws):
    """Return the shares' draws as those of the whole batch, whose partners stay within their share."""
    fields = {}
    for name, first in vars(draws[0]).items():
        parts = [getattr(d, name) for d in draws]
        if name.startswith("index") and first is not None:
            fields[name] = torch.cat([part + rank * part.shape[1] for rank, part in enumerate(parts)], dim=1)
        elif isinstance(first, torch.Tensor):
            assert all(torch.equal(part, first) for part in parts)  # lam, drawn once for the whole batch
            fields[name] = torch.cat(parts)
    return replace(draws[0], **fields)


def trained(case, dataset, shares, ranks=ALONE):
    """Return gradients of the first step, and weights after all, on the whole batch or one rank's share of it."""
    method, options = CASES[case]
    optim = {"student": OptimConfig(lr=0.05, weight_decay=0.0)}
    base = {"batch_size": BATCH, "optim": optim, "epochs": 9, "clip_grad": 5.0, "tap": "layer3"}
    config = tiny_config(method=method, options=resolve_options(method, options), **base)
    training = Training.start(config, dataset, torch.device("cpu"), ranks)
    gradients = {}
    batches = chain.from_iterable(training.train_batches.epoch(number) for number in count())
    for batch in islice(batches, STEPS):
        draws = shared_draws(training, shares)
        draws = joined(draws) if ranks.count == 1 else draws[ranks.rank]
        weight = 1 - training.context.momentum()
        rates = dict.fromkeys(training.optimizers, 0.05)
        out = training.update(training.method, batch.x, batch.y, draws, rates, weight)
        training.context.step += 1
        gradients = gradients or {k: p.grad.clone() for k, p in parameters(training).items() if p.grad is not None}
    weights = {k: p.detach().clone() for k, p in parameters(training).items()}
    teacher = {f"teacher.{k}": p.clone() for k, p in training.context.teacher.named_parameters()}
    assert set(out.losses) == set(training.optimizers)
    return gradients, weights | teacher


def parameters(training):
    modules = {"student": training.student} | training.method.trainable_modules()
    return {f"{name}.{k}": p for name, module in modules.items() for k, p in module.named_parameters()}


@pytest.fixture(scope="module")
def results():
    """Filled by the first test that asks for a number of ranks: all cases take one start of processes."""
    return {}


@pytest.mark.parametrize("shares", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_ranks_make_the_step_of_one_device(case, shares, tiny_dataset, monkeypatch, results):
    monkeypatch.setattr(networks, "build_backbone", lambda *args, **options: (NoNorm(), None))
    if shares not in results:
        results[shares] = as_ranks(
            shares, lambda ranks: {c: trained(c, tiny_dataset, ranks.count, ranks) for c in CASES}
        )
    gradients, weights = trained(case, tiny_dataset, shares)
    assert len(gradients) >= (6 if case in ("vanilla", "mixup", "puzzlemix") else 10)
    for found in results[shares]:
        if isinstance(found, Exception):
            raise found
        ours, theirs = found[case]
        assert ours.keys() == gradients.keys()
        for name, gradient in gradients.items():
            assert gradient.abs().max() > 0 or "mix" in name, name
            torch.testing.assert_close(ours[name], gradient, atol=1e-6, rtol=0, msg=name)
        for name, weight in weights.items():
            torch.testing.assert_close(theirs[name], weight, atol=1e-5, rtol=0, msg=name)
