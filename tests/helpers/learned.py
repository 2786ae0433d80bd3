"""Shared by the tests of AutoMix and AdAutoMix: a small step, ready to be taken."""

import pytest
import torch

from adautomix.methods import make_method
from adautomix.methods.context import Context
from helpers.tiny import tiny_classifier

LEARNED = [
    ("automix", {}),
    ("adautomix", {}),
    ("adautomix", {"n_mix": 2}),
    ("adautomix", {"objective": "paper"}),
    ("adautomix", {"objective": "cooperative"}),
]
EVERY = pytest.mark.parametrize(("name", "options"), LEARNED)


def begin(name, options=None, step=0, seed=0, ema=None):
    student = tiny_classifier()
    torch.manual_seed(3)
    method = make_method(name, student, options or {})
    for parameter in method.generator.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ctx = Context.start(student, steps=10, seed=seed, ema=ema)
    with torch.no_grad():
        for parameter in ctx.teacher.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    ctx.step = step
    return method, ctx


def middling(method, ctx, batch=6):
    """Return draws far from the margin."""
    while True:
        draws = method.draw(batch, ctx)
        if 0.2 < draws.lam[0, 0] < 0.8:
            return draws


def grads(loss, module):
    parameters = list(module.parameters())
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
