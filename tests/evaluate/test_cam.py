"""Grad-CAM: is the map what the architecture says it must be?"""

import pytest
import torch
from helpers.cams import classifier, features_of
from helpers.tiny import CLASSES, TinyNet, tiny_batch, tiny_classifier
from torch import nn

from adautomix.evaluate.cam import grad_cam
from adautomix.models.backbones import build_backbone

TARGET = torch.tensor([3, 0, 2, 4])


@pytest.fixture
def model():
    return tiny_classifier().eval()


def by_the_heads_weights(model, x, target, layer):
    """Return relu(sum_k w_ck A_k): what h*w times the map is where a layer is averaged and a linear head follows."""
    features = features_of(model, x, layer)
    return torch.einsum("bk,bkhw->bhw", model.heads["one"].weight[target], features).relu().detach()


class Bright(nn.Module):
    """Feature 0 is the brightness of 4x4 blocks, feature 1 the darkness: known where it must look."""

    def __init__(self):
        super().__init__()
        self.cells = nn.AvgPool2d(4)
        self.both = nn.Conv2d(3, 2, 1)
        nn.init.constant_(self.both.weight[0], 1 / 3)
        nn.init.constant_(self.both.weight[1], -1 / 3)
        nn.init.zeros_(self.both.bias)

    def forward(self, x):
        return self.both(self.cells(x)).relu()


class InPlace(nn.Module):
    """A layer whose output the next one overwrites."""

    def __init__(self, inplace):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=inplace)

    def forward(self, x):
        return self.act(self.conv(x))


def test_before_averaging_and_a_linear_head_it_is_the_heads_weighting_of_the_features(model):
    x, _ = tiny_batch()
    found = grad_cam(model, x, TARGET, layer="last", upsample=False)
    assert found.shape == (4, 4, 4)
    torch.testing.assert_close(found * 16, by_the_heads_weights(model, x, TARGET, "last"))


def test_a_timm_networks_default_layer_is_its_last_stage():
    net, _ = build_backbone("resnet18", image_size=32, width=4)
    model = classifier(net)
    x, _ = tiny_batch(size=32)
    found = grad_cam(model, x, TARGET, upsample=False)
    assert found.shape == (4, 4, 4)
    torch.testing.assert_close(found * 16, by_the_heads_weights(model, x, TARGET, "layer4"))


def test_at_a_hidden_layer_it_follows_equations_1_and_2(model):
    x, _ = tiny_batch()
    features = features_of(model, x, "body")
    for b in range(len(x)):
        one = features[b : b + 1].clone().requires_grad_()
        model.heads["one"](model.net.last(one).mean(dim=(2, 3)))[0, TARGET[b]].backward()
        weights = one.grad[0].sum(dim=(1, 2)) / 16  # Z = 4*4 places
        expected = sum(w * a for w, a in zip(weights, features[b], strict=True)).clamp(min=0)
        torch.testing.assert_close(grad_cam(model, x, TARGET, layer="body", upsample=False)[b], expected)


def test_it_equals_captum():
    captum = pytest.importorskip("captum.attr")
    net, _ = build_backbone("resnet18", image_size=32, width=4)
    model = classifier(net)
    x, _ = tiny_batch(size=32)

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x).logits["one"]

    oracle = captum.LayerGradCam(Logits(), model.net.layer3)
    expected = oracle.attribute(x, target=TARGET, relu_attributions=True)[:, 0]
    torch.testing.assert_close(grad_cam(model, x, TARGET, layer="layer3", upsample=False), expected.detach())


def test_constant_features_give_a_constant_map():
    net = InPlace(False)
    nn.init.zeros_(net.conv.weight)
    nn.init.constant_(net.conv.bias, 2.0)
    model = classifier(net)
    nn.init.constant_(model.heads["one"].weight, 0.5)
    found = grad_cam(model, tiny_batch()[0], TARGET, layer="conv")
    torch.testing.assert_close(found, torch.full((4, 8, 8), 6 * 2.0 * 0.5 / 64))


def test_it_peaks_on_a_planted_blob():
    model = classifier(Bright(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    nn.init.zeros_(model.heads["one"].weight)
    model.heads["one"].weight.data[1, 0] = 1.0  # class 1 is brightness
    x = torch.full((2, 3, 32, 32), 0.1)
    x[0, :, 4:8, 20:24] = 0.9
    x[1, :, 24:28, 8:12] = 0.9
    found = grad_cam(model, x, torch.tensor([1, 1]), layer="both")
    peaks = [divmod(int(one.argmax()), 32) for one in found]
    assert peaks[0][0] in range(4, 8)
    assert peaks[0][1] in range(20, 24)
    assert peaks[1][0] in range(24, 28)
    assert peaks[1][1] in range(8, 12)


def test_evidence_against_the_class_gives_zero():
    model = classifier(Bright(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    nn.init.zeros_(model.heads["one"].weight)
    model.heads["one"].weight.data[1, 0] = -1.0
    assert grad_cam(model, tiny_batch()[0], torch.ones(4, dtype=torch.long), layer="cells").count_nonzero() == 0


def test_a_layer_overwritten_in_place_gives_the_same_map():
    apart, overwritten = classifier(InPlace(False)), classifier(InPlace(True))
    overwritten.load_state_dict(apart.state_dict())
    x, _ = tiny_batch()
    expected = grad_cam(apart, x, TARGET, layer="conv")
    assert torch.equal(grad_cam(overwritten, x, TARGET, layer="conv"), expected)


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
