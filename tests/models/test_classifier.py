"""The Classifier: does it normalise, resize, tap and edit inside, with any network of a user's own?"""

import pytest
import torch
from conftest import CLASSES, TinyNet, tiny_batch, tiny_classifier
from torch import nn

from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
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


def test_no_hook_is_left_behind(student):
    x, _ = tiny_batch()
    student(x, tap=True, at="last", edit=lambda h: h * 2)
    assert not any(module._forward_hooks for module in student.modules())


def test_hook_is_removed_when_the_forward_fails(student):
    with pytest.raises(ZeroDivisionError):
        student(tiny_batch()[0], at="body", edit=lambda h: 1 / 0)
    assert not any(module._forward_hooks for module in student.modules())


@pytest.mark.parametrize("at", ["input", "body"])
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
        (lambda: build_backbone("vgg11", image_size=32, drop_path=0.1), "drop_path does not apply to vgg11"),
        (lambda: build_backbone("resnet18", image_size=32, width=8, pretrained=True), "leave width out"),
        (lambda: build_backbone("test_vit", image_size=30), "patches of 4 px; 30 px cannot be divided so"),
        (lambda: Classifier(TinyNet(), 3, tap="layer3", image_size=8), "no submodule 'layer3'; its children are: body"),
        (lambda: Classifier(nn.Identity(), 3, std=(1.0, 1.0, 0.0), image_size=8), "std positive"),
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


def test_images_of_whole_numbers_are_refused(student):
    x, _ = tiny_batch()
    with pytest.raises(UserError, match=r"images must be float in \[0,1\], got torch.uint8: divide by 255"):
        student((255 * x).byte())
