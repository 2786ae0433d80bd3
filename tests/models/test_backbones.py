"""timm's networks: which stem, patches, width and tap has each at the images' size?"""

import pytest
import timm
import torch
from helpers.tiny import tiny_batch
from torch import nn

from adautomix.methods import make_method
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.models.generator import scale_to
from adautomix.utils.errors import UserError


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224"])
def test_tap_of_timm_networks_is_channels_first_and_the_logits_are_the_same_with_it(name):
    net, resize = build_backbone(name, image_size=32)
    model = Classifier(net, 3, image_size=32, resize=resize).eval()
    x = tiny_batch(2, 32)[0]
    with torch.no_grad():
        with_tap, without = model(x, tap=True), model(x)
    channels, height, width = model.tap_shape
    assert with_tap.tap.shape == (2, channels, height, width)
    assert channels == net.feature_info[model.stages.index(model.tap)]["num_chs"]
    torch.testing.assert_close(with_tap.logits["one"], without.logits["one"], atol=1e-5, rtol=1e-5)


def test_resnet_tap_equals_a_hook_on_stage_three():
    net, _ = build_backbone("resnet18", image_size=32, width=16)
    model = Classifier(net, 3, image_size=32).eval()
    seen = []
    net.layer3.register_forward_hook(lambda module, inputs, output: seen.append(output))
    out = model(tiny_batch(2, 32)[0], tap=True)
    assert model.tap == "layer3"
    assert model.tap_shape == (64, 8, 8)
    assert torch.equal(out.tap, seen[-1])


def test_small_images_get_the_cifar_stem_and_large_ones_the_usual():
    small, _ = build_backbone("resnet18", image_size=32)
    large, _ = build_backbone("resnet18", image_size=224)
    assert small.conv1.kernel_size == (3, 3)
    assert small.conv1.stride == (1, 1)
    assert isinstance(small.maxpool, nn.Identity)
    assert large.conv1.kernel_size == (7, 7)
    assert isinstance(large.maxpool, nn.MaxPool2d)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", 256),
        ("resnet34", 256),
        ("resnet50", 1024),
        ("resnext50_32x4d", 1024),
        ("swin_tiny_patch4_window7_224", 384),
        ("convnext_tiny", 384),
    ],
)
@pytest.mark.parametrize("size", [32, 64, 224])
def test_the_papers_networks_are_tapped_at_their_last_stage_but_one(name, channels, size):
    """Masks are a quarter of a small image's side, a sixteenth of a large one's, and so enlarged by 4 or 16."""
    net, resize = build_backbone(name, image_size=size)
    model = Classifier(net, 3, image_size=size, resize=resize).eval()
    seen = 224 if "swin" in name else size
    side = seen // 16 if seen > 64 else seen // 4
    assert model.tap_shape == (channels, side, side)
    expected = size // side if size % side == 0 else (size, size)
    assert scale_to(torch.empty(1, 3, size, size), torch.empty(1, *model.tap_shape)) == expected
    method = make_method("automix", Classifier(net, 3, image_size=size, resize=resize, heads=("one", "mix")))
    tap = torch.zeros(2, 2, *model.tap_shape)
    mask = method.generator(tap, torch.full((2, 2), 0.5), expected)
    assert mask.shape == (2, 2, size, size)


def test_convnexts_see_small_images_through_a_small_stem():
    small, resize = build_backbone("convnext_atto", image_size=32)
    large, _ = build_backbone("convnext_atto", image_size=224)
    assert resize is None
    assert (small.stem[0].kernel_size, small.stem[0].stride) == ((3, 3), (1, 1))
    assert (large.stem[0].kernel_size, large.stem[0].stride) == ((4, 4), (4, 4))


@pytest.mark.parametrize("name", ["test_vit", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("size", [16, 32])
def test_vits_cut_small_images_into_patches_of_4_px(name, size):
    net, resize = build_backbone(name, image_size=size)
    assert resize is None
    assert Classifier(net, 3, image_size=size).tap_shape[1:] == (size // 4, size // 4)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_tiny_patch16_384"])
@pytest.mark.parametrize("size", [96, 128])
def test_networks_made_for_one_size_see_every_image_at_that_size(name, size):
    net, resize = build_backbone(name, image_size=size)
    assert resize == int(name[-3:])
    model = Classifier(net, 3, image_size=size, resize=resize).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, size, size), tap=True).tap.shape[1] == 192


@pytest.mark.parametrize(
    ("name", "grid"), [("convnext_atto_ols", 14), ("vit_tiny_r_s16_p8_224", 7), ("hiera_tiny_224", 14)]
)
def test_networks_whose_stem_is_their_own_see_small_images_enlarged(name, grid):
    """Overlapping patches, a ResNet before a ViT, and Hiera, which timm would leave at its tap."""
    net, resize = build_backbone(name, image_size=32)
    assert resize == 224
    model = Classifier(net, 3, image_size=32, resize=resize).eval()
    assert model.tap_shape[1:] == (grid, grid)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x, tap=True).logits["one"], model(x).logits["one"])


@pytest.mark.parametrize("name", ["resnet50_gn", "resnet26d", "resnext50_32x4d"])
def test_other_resnets_get_the_small_stem_too(name):
    net, resize = build_backbone(name, image_size=32)
    assert resize is None
    assert Classifier(net, 3, image_size=32).tap_shape[1:] == (8, 8)


def test_width_scales_every_stage():
    net, _ = build_backbone("resnet18", image_size=32, width=16)
    assert net.num_features == 128


def test_unreachable_pretrained_weights_are_explained(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(UserError, match=r"no route to host.*downloaded from the Hugging Face hub"):
        build_backbone("resnet18", image_size=224, pretrained=True)


@pytest.mark.parametrize(("name", "resize"), [("resnet18", 224), ("convnext_atto", 224), ("vit_tiny_patch16_224", 224)])
def test_a_network_for_pretrained_weights_keeps_its_stem(name, resize):
    net, side = build_backbone(name, image_size=32, pretrained=True, fetch=False)
    assert side == resize
    whole = timm.create_model(name, num_classes=0).state_dict()
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in whole.items()}


def test_swins_tap_after_the_merging_is_what_its_last_stage_sees():
    net, side = build_backbone("swin_tiny_patch4_window7_224", image_size=32)
    model = Classifier(net, 3, tap="layers.3.downsample", resize=side).eval()
    seen = []
    net.layers[3].blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tap = model(torch.rand(2, 3, 32, 32), tap=True).tap
    assert tap.shape[1:] == model.tap_shape == (768, 7, 7)
    assert torch.equal(tap, seen[-1].permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("name", "size", "resize", "grid"),
    [
        ("resnet18", (64, 48), None, (16, 12)),
        ("test_vit", (32, 64), None, (8, 16)),
        ("test_vit", (160, 240), None, (10, 15)),
        ("test_vit", (240, 160), None, (15, 10)),
        ("test_vit", (100, 150), (160, 240), (10, 15)),
    ],
)
def test_images_that_are_not_square_keep_their_proportions(name, size, resize, grid):
    net, found = build_backbone(name, image_size=size)
    assert found == resize
    model = Classifier(net, 3, image_size=size, resize=found).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, *size), tap=True).tap.shape[2:] == grid
