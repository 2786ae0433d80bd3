"""Grad-CAM's defaults: which layer, which class and which size has a map if nothing is said?"""

import pytest
import torch
from conftest import CLASSES, TinyNet, tiny_batch, tiny_classifier
from helpers.cams import TARGET, classifier
from torch import nn

from adautomix.evaluate.cam import grad_cam


@pytest.fixture
def model():
    return tiny_classifier().eval()


def test_another_networks_default_layer_is_its_tap(model):
    x, _ = tiny_batch()
    assert torch.equal(grad_cam(model, x), grad_cam(model, x, layer="body"))


def test_the_default_target_is_the_predicted_class(model):
    x, _ = tiny_batch()
    predicted = model(x, heads=("mix",)).logits["mix"].argmax(dim=1)
    assert torch.equal(grad_cam(model, x, head="mix"), grad_cam(model, x, predicted, head="mix"))
    assert not torch.equal(grad_cam(model, x, head="mix"), grad_cam(model, x, (predicted + 1) % CLASSES, head="mix"))


def test_maps_are_enlarged_to_the_image_without_being_normalised(model):
    x, _ = tiny_batch()
    small, large = (grad_cam(model, x, TARGET, layer="last", upsample=up) for up in (False, True))
    assert large.shape == (4, 8, 8)
    expected = nn.functional.interpolate(small[None], scale_factor=2, mode="bilinear")[0]
    torch.testing.assert_close(large, expected)


def test_images_resized_by_the_classifier_get_maps_of_their_own_size():
    model = classifier(TinyNet(), tap="body", resize=16)
    x, _ = tiny_batch()
    assert grad_cam(model, x).shape == (4, 8, 8)
    assert grad_cam(model, x, upsample=False).shape == (4, 8, 8)  # features of 16x16 pixels


def test_an_image_has_the_same_map_alone_and_in_a_batch(model):
    x, _ = tiny_batch()
    together = grad_cam(model, x, TARGET)
    for b in range(len(x)):
        torch.testing.assert_close(grad_cam(model, x[b : b + 1], TARGET[b : b + 1])[0], together[b])
