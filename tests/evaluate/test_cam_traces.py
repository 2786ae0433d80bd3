"""After Grad-CAM: are model, images and random state as they were, even if it failed?"""

import copy

import pytest
import torch
from conftest import TinyNet, tiny_batch, tiny_classifier
from helpers.cams import classifier
from torch import nn

from adautomix.evaluate.cam import grad_cam


@pytest.fixture
def model():
    return tiny_classifier().eval()


class Noisy(TinyNet):
    """A network that draws random numbers in eval mode too."""

    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.5, training=True)


class Broken(TinyNet):
    broken = False

    def forward(self, x):
        out = super().forward(x)
        if self.broken:
            raise RuntimeError("broken")
        return out


def test_the_model_the_images_and_the_random_state_stay_as_they_were():
    model = classifier(Noisy(), tap="body")
    x, _ = tiny_batch()
    model(x).logits["one"].sum().backward()
    state = copy.deepcopy(model.state_dict())
    grads = [p.grad.clone() for p in model.parameters()]
    rng, images = torch.get_rng_state(), x.clone()
    found = grad_cam(model, x)
    assert not found.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert not any(m.training for m in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(x, images)
    assert not any(m._forward_hooks for m in model.modules())


def test_no_gradient_appears_where_there_was_none(model):
    grad_cam(model, tiny_batch()[0])
    assert all(p.grad is None for p in model.parameters())


def test_it_works_under_no_grad_and_with_frozen_weights(model):
    x, _ = tiny_batch()
    expected = grad_cam(model, x)
    model.requires_grad_(False)
    with torch.no_grad():
        assert torch.equal(grad_cam(model, x), expected)


def test_the_hook_is_removed_even_when_the_forward_fails():
    model = classifier(Broken(), tap="body")
    model.net.broken = True
    with pytest.raises(RuntimeError, match="broken"):
        grad_cam(model, tiny_batch()[0])
    assert not any(m._forward_hooks for m in model.modules())
