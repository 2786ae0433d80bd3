"""Grad-CAM: what is refused, and what is left behind?"""

import copy

import pytest
import torch
from helpers.cams import classifier
from helpers.hooks import strays
from helpers.tiny import TinyNet, tiny_batch, tiny_classifier
from torch import nn

from adautomix.evaluate.cam import grad_cam
from adautomix.utils.errors import UserError


@pytest.fixture
def model():
    return tiny_classifier().eval()


class Odd(nn.Module):
    """Submodules that no map can be read from."""

    def __init__(self):
        super().__init__()
        self.body, self.flat = nn.Conv2d(3, 4, 3), nn.Flatten()
        self.idle, self.aside, self.twice = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.ReLU()

    def forward(self, x):
        self.aside(x)
        return self.flat(self.twice(self.twice(self.body(x))))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("nowhere", "'nowhere'"),
        ("flat", r"'flat' .*got \(4, 144\)"),
        ("idle", "'idle' was called 0 times"),
        ("twice", "'twice' was called 2 times"),
        ("aside", "'aside'; name one on the way"),
        (None, "name a submodule"),
    ],
)
def test_a_layer_without_a_map_is_refused_by_name(layer, message):
    model = classifier(Odd())
    with pytest.raises(UserError, match=message):
        grad_cam(model, tiny_batch()[0], layer=layer)
    assert strays(model) == []


def test_a_layer_without_influence_is_refused_for_frozen_weights_too():
    with pytest.raises(UserError, match="'aside'"):
        grad_cam(classifier(Odd()).requires_grad_(False), tiny_batch()[0], layer="aside")


@pytest.mark.parametrize("ids", [[0, 1, 2, 5], [0, 1, 2, -1]])
def test_a_class_that_does_not_exist_is_refused(model, ids):
    with pytest.raises(UserError, match=f"0 to 4, got {min(ids)} to {max(ids)}"):
        grad_cam(model, tiny_batch()[0], torch.tensor(ids))


def test_a_model_in_training_mode_and_normalised_images_are_refused(model):
    x, _ = tiny_batch()
    with pytest.raises(UserError, match="pixels"):
        grad_cam(model, x * 4 - 2)
    with pytest.raises(UserError, match="training mode"):
        grad_cam(model.train(), x)


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
    assert strays(model) == []


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
    assert strays(model) == []
