"""Gradients: does adding them pass by pass give what autograd gives, bit for bit?"""

import copy

import pytest
import torch
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier

from adautomix.config import OptimConfig
from adautomix.methods import METHODS, make_method
from adautomix.methods.context import Context
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.training.optim import backward, make_optimizer, parameters_of

SETTINGS = [(name, {}) for name in METHODS] + [
    ("adautomix", {"objective": "paper"}),
    ("adautomix", {"objective": "cooperative"}),
    ("adautomix", {"n_mix": 2}),
]


@pytest.mark.parametrize(("name", "options"), SETTINGS, ids=str)
def test_every_parameter_gets_the_gradient_of_its_loss(name, options):
    student, (x, y) = tiny_classifier(), tiny_batch()
    method = make_method(name, student, options)
    modules = {"student": student} | method.trainable_modules()
    optimizers = {k: make_optimizer(m, OptimConfig()) for k, m in modules.items()}
    parameters = [p for optimizer in optimizers.values() for p in parameters_of(optimizer)]
    gradients, state = [], copy.deepcopy(student.state_dict())
    for ours in (False, True):
        student.load_state_dict(state)
        out = method.step(x, y, Context.start(student, steps=10, seed=1))
        if ours:
            backward(out, optimizers)
        else:
            torch.autograd.backward(list(out.losses.values()))
        gradients.append([p.grad for p in parameters])
        for optimizer in optimizers.values():
            optimizer.zero_grad()
    for a, b in zip(*gradients, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert sum(g is not None for g in gradients[1]) > len(parameters) / 2


def test_learned_methods_say_of_which_passes_their_loss_is_the_sum():
    student, (x, y) = tiny_classifier(), tiny_batch()
    terms = {}
    for objective in ("released", "paper"):
        method = make_method("adautomix", student, {"objective": objective, "margin": 0.0})
        out = method.step(x, y, Context.start(student, steps=10))
        terms[objective] = len(out.summands.get("student", ()))
        for name, summands in out.summands.items():
            assert sum(summands).item() == pytest.approx(out.losses[name].item())
    assert terms == {"released": 3, "paper": 0}  # in `paper` student and generator have the mix in common


def test_gradients_have_the_layout_of_their_parameters_whatever_the_network_passes_through():
    """ConvNeXt's norms give NHWC, and its convolutions gradients in it; fused optimisers refuse those."""
    torch.manual_seed(0)
    net, resize = build_backbone("test_convnext", image_size=32)
    student = Classifier(net, 5, heads=("one", "mix"), image_size=32, resize=resize).train()
    method = make_method("adautomix", student, {})
    modules = {"student": student} | method.trainable_modules()
    optimizers = {k: make_optimizer(m, OptimConfig()) for k, m in modules.items()}
    x, y = torch.rand(4, 3, 32, 32), torch.arange(4)
    backward(method.step(x, y, Context.start(student, steps=10, seed=1)), optimizers)
    found = [p for optimizer in optimizers.values() for p in parameters_of(optimizer) if p.grad is not None]
    assert len(found) > 20
    assert all(p.grad.stride() == p.stride() for p in found)


class Doubled(torch.nn.Module):
    """A layer whose weight is the sum of two: autograd has one gradient for both."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = (torch.nn.Parameter(torch.randn(4, 3, 3, 3) / 5) for _ in range(2))

    def forward(self, x):
        return torch.nn.functional.conv2d(x, self.a + self.b, padding=1)


@pytest.mark.parametrize("frozen", [False, True])
def test_two_parameters_with_one_gradient_and_frozen_ones_are_trained_right(frozen):
    net = torch.nn.Sequential(Doubled(), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 3, padding=1))
    student, (x, y) = Classifier(net, CLASSES, heads=("one", "mix"), tap="1", image_size=8), tiny_batch()
    method = make_method("adautomix", student, {"margin": 0.0})
    if frozen:
        net[0].a.requires_grad_(False)
    optimizers = {"student": make_optimizer(student, OptimConfig())}
    optimizers |= {k: make_optimizer(m, OptimConfig()) for k, m in method.trainable_modules().items()}
    out = method.step(x, y, Context.start(student, steps=10, seed=1))
    wanted = torch.autograd.grad(out.losses["student"], net[0].b, retain_graph=True)[0]
    backward(out, optimizers)
    torch.testing.assert_close(net[0].b.grad, wanted)
    assert net[0].a.grad is None if frozen else torch.equal(net[0].a.grad, net[0].b.grad)
