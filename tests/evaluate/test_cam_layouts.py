"""Grad-CAM: are maps with the channels last read as such, whoever says so, and is what shows no image refused?"""

import pytest
import torch
from helpers.cams import classifier, features_of
from helpers.tiny import CLASSES, tiny_batch
from torch import nn

from adautomix.evaluate.cam import grad_cam
from adautomix.models.classifier import Classifier
from adautomix.models.maps import may_show
from adautomix.utils.errors import UserError

TARGET = torch.tensor([3, 0, 2, 4])


def test_channels_last_stages_are_read_as_such():
    import timm

    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=16, depths=(1, 1), num_heads=(1, 2)
    )
    swin.reset_classifier(0)
    torch.manual_seed(0)
    model = Classifier(swin, CLASSES, image_size=32).eval()
    x, _ = tiny_batch(size=32)
    # before the head: stage 1 [B,4,4,32], LayerNorm, mean over places
    stage = features_of(model, x, "layers.1")
    assert stage.shape == (4, 4, 4, 32)
    leaf = stage.clone().requires_grad_()
    logits = model.heads["one"](swin.norm(leaf).mean(dim=(1, 2)))
    (gradient,) = torch.autograd.grad(logits[range(4), TARGET].sum(), leaf)
    expected = (gradient.mean(dim=(1, 2), keepdim=True) * stage).sum(dim=3).relu()
    torch.testing.assert_close(grad_cam(model, x, TARGET, upsample=False), expected)
    patches = grad_cam(model, x, TARGET, layer="patch_embed.proj", upsample=False)  # a convolution: [B,16,8,8]
    assert patches.shape == (4, 8, 8)


class Turned(nn.Module):
    """Maps with the channels last that nobody declares; the same net with them first gives the right maps."""

    def __init__(self, last):
        super().__init__()
        self.body, self.turned, self.last = nn.Conv2d(3, 5, 3, 2, 1), nn.ReLU(), last

    def forward(self, x):
        features = self.body(x)
        return self.turned(features.permute(0, 2, 3, 1) if self.last else features).mean(
            dim=(1, 2) if self.last else (2, 3)
        )


def both(**options):
    first, last = (classifier(Turned(last), **options) for last in (False, True))
    last.load_state_dict(first.state_dict())
    return first, last


@pytest.mark.parametrize("options", [{}, {"tap": "turned"}, {"tap": "turned", "resize": 16}, {"tap": "body"}], ids=str)
def test_channels_that_are_last_without_a_word_are_found_by_the_maps_shape(options):
    first, last = both(**options)
    x, _ = tiny_batch()
    for upsample in (True, False):
        expected = grad_cam(first, x, TARGET, layer="turned", upsample=upsample)
        torch.testing.assert_close(grad_cam(last, x, TARGET, layer="turned", upsample=upsample), expected)


def test_torchvisions_swin_is_read_as_timms():
    import torchvision

    torch.manual_seed(0)
    size = {"patch_size": [4, 4], "embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": [4, 4]}
    swin = torchvision.models.SwinTransformer(**size)
    swin.head = nn.Identity()
    model = Classifier(swin, CLASSES, tap="features.1", image_size=32).eval()
    x, _ = tiny_batch(size=32)
    stage = features_of(model, x, "features.3")
    assert stage.shape == (4, 4, 4, 32)
    leaf = stage.clone().requires_grad_()
    logits = model.heads["one"](swin.norm(leaf).mean(dim=(1, 2)))
    (gradient,) = torch.autograd.grad(logits[range(4), TARGET].sum(), leaf)
    expected = (gradient.mean(dim=(1, 2), keepdim=True) * stage).sum(dim=3).relu()
    torch.testing.assert_close(grad_cam(model, x, TARGET, layer="features.3", upsample=False), expected)
    assert grad_cam(model, x, TARGET, upsample=False).shape == (4, 8, 8)  # the tap


def test_what_shows_no_image_is_refused():
    """9 x 4 places of 60 channels, of images of 17 x 8 px: nobody knows which two of the three are the image's."""
    net = Turned(last=True)
    net.body = nn.Conv2d(3, 60, 3, 2, 1)
    x = torch.rand(4, 3, 17, 8)
    with pytest.raises(UserError, match=r"'turned' gives \(4, 9, 4, 60\).* 17x8 px .*tap_grid="):
        grad_cam(classifier(net), x, TARGET, layer="turned")
    told = Classifier(net, CLASSES, tap="turned", tap_grid=(9, 4), image_size=(17, 8)).eval()
    assert grad_cam(told, x, TARGET).shape == (4, 17, 8)


@pytest.mark.parametrize(
    ("grid", "image", "may"),
    [
        ((7, 7), (224, 224), True),
        ((7, 8), (224, 230), True),
        ((1, 4), (8, 100), True),  # strides of 32, rounded up
        ((7, 7), (224, 448), True),  # AdaptiveAvgPool2d(7)
        ((1, 1), (32, 64), True),
        ((7, 768), (224, 224), False),
        ((2, 96), (64, 64), False),
        ((8, 32), (224, 230), False),
    ],
)
def test_a_map_has_about_its_images_proportions(grid, image, may):
    assert may_show(grid, image) is may
    assert may_show(grid[::-1], image[::-1]) is may
