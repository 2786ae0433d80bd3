"""Refusals of Grad-CAM: are layers, classes, models and images that give no map named?"""

import pytest
import torch
from conftest import tiny_batch, tiny_classifier
from helpers.cams import classifier
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
        ("nowhere", "no submodule 'nowhere'"),
        ("flat", r"layer 'flat' must give features \[B,C,h,w\], got \(4, 144\)"),
        ("idle", "layer 'idle' ran 0 times"),
        ("twice", "layer 'twice' ran 2 times"),
        ("aside", "do not depend on layer 'aside'"),
        (None, "name a submodule"),
    ],
)
def test_a_layer_without_a_map_is_refused_by_name(layer, message):
    model = classifier(Odd())
    with pytest.raises(UserError, match=message):
        grad_cam(model, tiny_batch()[0], layer=layer)
    assert not any(m._forward_hooks for m in model.modules())


def test_a_layer_without_influence_is_refused_for_frozen_weights_too():
    with pytest.raises(UserError, match="do not depend on layer 'aside'"):
        grad_cam(classifier(Odd()).requires_grad_(False), tiny_batch()[0], layer="aside")


@pytest.mark.parametrize(
    ("ids", "message"), [([0, 1, 2, 5], "labels must be 0 to 4, got 0 to 5"), ([0, 1, 2, -1], "got -1 to 2")]
)
def test_a_class_that_does_not_exist_is_refused(model, ids, message):
    with pytest.raises(UserError, match=message):
        grad_cam(model, tiny_batch()[0], torch.tensor(ids))


def test_a_model_in_training_mode_and_normalised_images_are_refused(model):
    x, _ = tiny_batch()
    with pytest.raises(UserError, match="pixels must be in"):
        grad_cam(model, x * 4 - 2)
    with pytest.raises(UserError, match="training mode"):
        grad_cam(model.train(), x)
