"""The Classifier: does it normalise, resize, tap and edit inside, with any network of a user's own?"""

import copy
import math
import warnings

import pytest
import timm
import torch
from helpers.tiny import CLASSES, TinyNet, tiny_batch, tiny_classifier
from torch import nn

from adautomix.methods import METHODS
from adautomix.methods.context import Context
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.models.inputs import check_images
from adautomix.utils.errors import UserError


def test_images_are_normalised_inside():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean(dim=(2, 3))

    model = Classifier(Spy(), 2, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125), image_size=4)
    model(torch.full((1, 3, 4, 4), 0.6))
    torch.testing.assert_close(seen[-1][0, :, 0, 0], torch.tensor([1.0, 1.6, 2.4]))


def test_every_head_asked_for_is_given_and_no_other(student):
    x, _ = tiny_batch()
    assert set(student(x).logits) == {"one"}
    out = student(x, heads=("one", "mix"))
    assert out.logits["one"].shape == out.logits["mix"].shape == (4, CLASSES)
    assert not torch.equal(out.logits["one"], out.logits["mix"])
    assert out.tap is None


def test_tap_gives_the_named_submodules_output(student):
    x, _ = tiny_batch()
    student.eval()
    tap = student(x, tap=True).tap
    torch.testing.assert_close(tap, student.net.body((x - student.mean) / student.std))
    assert student.tap_shape == (6, 4, 4)


def hooks(model):
    return [hook for module in model.modules() for hook in module._forward_hooks.values()]


def test_no_hook_is_left_behind_but_the_taps_own(student):
    x, _ = tiny_batch()
    student(x, tap=True, at="last", edit=lambda h: h * 2)
    with pytest.raises(ZeroDivisionError):
        student(x, tap=True, at="last", edit=lambda h: 1 / 0)
    assert hooks(student) == [student._kept]
    student(x)
    assert student._kept.output is None


def test_a_copys_tap_is_its_own(student):
    other = copy.deepcopy(student)
    assert hooks(other) == [other._kept] != hooks(student)
    x, _ = tiny_batch()
    assert other(x, tap=True).tap is not None
    assert student(x).tap is None


def test_a_tap_sees_what_an_edit_made(student):
    x, _ = tiny_batch()
    tap = student(x, tap=True, at="body", edit=lambda h: h * 0).tap
    assert torch.equal(tap, torch.zeros_like(tap))


@pytest.mark.parametrize("at", ["input", "body", "output"])
def test_edit_replaces_the_hidden_features(student, at):
    x, _ = tiny_batch()
    student.eval()
    reverse = [3, 2, 1, 0]
    edited = student(x, at=at, edit=lambda h: h[reverse]).logits["one"]
    torch.testing.assert_close(edited, student(x).logits["one"][reverse])


def test_an_image_with_one_side_right_is_resized_too():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    seen = []
    net[0].register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    model = Classifier(net, 3, resize=16, image_size=16)
    for size in ((8, 16), (16, 16), (16, 8)):
        model(torch.rand(2, 3, *size))
    assert set(seen) == {(16, 16)}


def test_the_tap_is_what_the_submodule_gave_even_if_the_next_one_works_in_place():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    model = Classifier(net, 3, tap="0", image_size=8)
    assert model(torch.rand(2, 3, 8, 8), tap=True).tap.min() < 0


def test_non_square_images_work(student):
    x = torch.rand(2, 3, 8, 12)
    assert student(x, tap=True).tap.shape == (2, 6, 4, 6)
    assert Classifier(TinyNet(), 3, tap="body", image_size=(8, 12)).tap_shape == (6, 4, 6)
    assert Classifier(TinyNet(), 3, tap="body", image_size=8, resize=(16, 24))(x, tap=True).tap.shape[2:] == (8, 12)


def test_a_users_own_network_with_features_of_any_kind():
    class Flat(nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3))

    assert Classifier(Flat(), 7, image_size=8)(torch.rand(2, 3, 8, 8)).logits["one"].shape == (2, 7)


def test_a_network_that_still_has_its_classifier_is_warned_of():
    with pytest.warns(UserWarning, match=r"ends in Linear.*its 1000 outputs are taken as features"):
        Classifier(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000)), 10, image_size=8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build_backbone("resnet81", image_size=32), "timm has no model 'resnet81'"),
        (lambda: build_backbone("convnext_atto", image_size=32, width=8), "width applies to ResNets"),
        (
            lambda: build_backbone("resnext26ts", image_size=32, width=8, drop_path=0.1),
            "width does not apply to resnext26ts",
        ),
        (lambda: build_backbone("vgg11", image_size=32, drop_path=0.1), "drop_path does not apply to vgg11"),
        (lambda: build_backbone("resnet18", image_size=32, width=8, pretrained=True), "leave width out"),
        (lambda: build_backbone("test_vit", image_size=30), "patches of 4 px; 30 px cannot be divided so"),
        (lambda: Classifier(TinyNet(), 3, tap="layer3", image_size=8), "no submodule 'layer3'; its children are: body"),
        (lambda: Classifier(nn.Identity(), 3, std=(1.0, 1.0, 0.0), image_size=8), "std above 0"),
        (lambda: Classifier(nn.Identity(), 3, std=(math.nan, 1.0, 1.0), image_size=8), "one finite number per channel"),
        (lambda: Classifier(nn.Identity(), 3, mean=(0.5,), image_size=8), "mean and std need one finite number per"),
        (lambda: Classifier(nn.Identity(), 1, image_size=8), "num_classes must be 2 or more, got 1"),
        (lambda: tiny_classifier()(torch.rand(1, 3, 2, 2)), "a batch of 1x3x2x2 leaves it one: give a larger batch"),
        (lambda: Classifier(nn.Flatten(2), 3, image_size=8), r"replace its last layer by nn.Identity\(\)"),
        (lambda: Classifier(tiny_classifier(), 3, image_size=8), "already a Classifier"),
        (lambda: tiny_classifier(("one",))(tiny_batch()[0], heads=("mix",)), "no head 'mix', only one"),
        (lambda: Classifier(nn.Identity(), 3, image_size=8)(tiny_batch()[0], tap=True), "has no tap"),
        (lambda: tiny_classifier()(tiny_batch()[0], at="body"), "at and edit go together"),
    ],
)
def test_mistakes_are_refused_with_the_fix(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_frozen_batchnorm_stays_frozen():
    net = TinyNet()
    net.body[1].eval()
    Classifier(net, CLASSES, tap="body", image_size=8)
    assert not net.body[1].training
    assert net.last.training


@pytest.mark.parametrize("channels", [1, 4])
def test_mean_and_std_say_how_many_channels_images_have(channels):
    net = nn.Conv2d(channels, 4, 3)
    model = Classifier(net, 3, tap="", mean=[0.5] * channels, std=[0.25] * channels, image_size=8)
    x = torch.rand(2, channels, 8, 8)
    torch.testing.assert_close(model(x, tap=True).tap, net((x - 0.5) / 0.25))
    with pytest.raises(UserError, match=f"images have 3 channels, and mean and std are of {channels}"):
        model(torch.rand(2, 3, 8, 8))


def test_images_of_whole_numbers_are_refused(student):
    x, _ = tiny_batch()
    with pytest.raises(UserError, match=r"images must be float in \[0,1\], got torch.uint8: divide by 255"):
        student((255 * x).byte())


class Unused(TinyNet):
    """A network with a submodule that no pass calls, and one that gives a pair."""

    def __init__(self):
        super().__init__()
        self.unused, self.pair = nn.Identity(), Pair()

    def forward(self, x):
        return super().forward(self.pair(x)[0])


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(("at", "message"), [("unused", "called 0 times in one pass"), ("pair", "gives a tuple")])
def test_an_edit_that_would_not_happen_is_refused(at, message):
    model = Classifier(Unused(), 5, image_size=8)
    with pytest.raises(UserError, match=message):
        model(torch.rand(2, 3, 8, 8), at=at, edit=lambda hidden: hidden)
    assert model(torch.rand(2, 3, 8, 8)).logits["one"].shape == (2, 5)


def test_a_timm_network_with_its_classifier_left_in_is_refused():
    net = timm.create_model("resnet10t", num_classes=10)
    with pytest.raises(UserError, match="reset_classifier"):
        Classifier(net, 5, image_size=32)


def test_pixels_outside_0_to_1_are_told_once_unless_somebody_else_normalises():
    student = tiny_classifier()
    x = tiny_batch()[0] * 4 - 2
    with pytest.warns(UserWarning, match=r"pixels from -\d.* normalised already, make it with mean=\(0, 0, 0\)"):
        student(x)
    others = [student, Classifier(TinyNet(), 5, mean=(0.0,) * 3, std=(1.0,) * 3, image_size=8)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in others:
            model(x)
        tiny_classifier()(tiny_batch()[0])


def test_a_single_image_is_told_to_be_no_batch():
    with pytest.raises(UserError, match=r"batch of images \[B,C,H,W\] is needed.*x\[None\]"):
        check_images(torch.rand(3, 8, 8), channels=3)


def test_a_plain_network_is_told_to_be_wrapped():
    for make in (lambda net: METHODS["adautomix"].build(net), lambda net: Context.start(net, 3)):
        with pytest.raises(UserError, match="a TinyNet is not a Classifier: wrap it first"):
            make(TinyNet())
