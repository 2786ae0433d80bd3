"""Do the names of the authors' checkpoints become ours, for all five networks, and are unknown ones named?"""

import pytest
import torch
from helpers.checkpoints import MODELS, blank_state, names_of
from timm.models.swin_transformer import PatchMerging

from adautomix.imported.architecture import recognised
from adautomix.imported.fitting import fitted
from adautomix.imported.importing import config_and_images
from adautomix.imported.keys import by_part, reordered
from adautomix.utils.errors import UserError

EXPECTED = {  # backbone, small stem, classes (all were recorded with 100), data set, tap, lam channel, norm
    "resnet18_cifar": ("resnet18", True, 100, "cifar100", None, False, "none"),
    "resnet50_imagenet": ("resnet50", False, 100, "aircraft", None, True, "batch"),
    "resnext50_cifar": ("resnext50_32x4d", True, 100, "cifar100", None, False, "none"),
    "convnext_t_cifar": ("convnext_tiny", True, 100, "cifar100", None, True, "none"),
    "swin_t": ("swin_tiny_patch4_window7_224", False, 100, "cifar100", "layers.3.downsample", True, "none"),
}


@pytest.mark.parametrize("model", MODELS)
def test_every_name_lands_under_the_recorded_name_and_shape(model):
    parts, rows = by_part(blank_state(model)), names_of(model)
    for part in ("student", "teacher", "generator"):
        wanted = rows[rows["part"] == part]
        ours = {name: tuple(tensor.shape) for name, tensor in getattr(parts, part).items()}
        assert ours == dict(zip(wanted["adautomix_key"], wanted["shape"], strict=True))
    without = rows[rows["transform"] == "no counterpart"]["checkpoint_key"]
    assert sorted(parts.left_out) == sorted(without)


@pytest.mark.parametrize("model", MODELS)
def test_the_shapes_tell_the_network_its_set_and_the_generators_options(model):
    parts = by_part(blank_state(model))
    found = recognised(parts.student)
    config, images = config_and_images(parts, None, None, None)
    options = config.options["lam_channel"], config.options["norm"]
    assert (found.backbone, found.small, found.num_classes, config.data, config.tap, *options) == EXPECTED[model]
    state = fitted(parts, config, images)  # every tensor has its place, and every place a tensor
    assert set(state["student"]) == set(state["context"]["teacher"])
    assert set(state["trainables"]["generator"]) == set(parts.generator)


def test_patches_merged_with_unfold_are_merged_alike_by_timm():
    torch.manual_seed(0)
    x, ours = torch.randn(2, 4, 6, 5), PatchMerging(5, 10)
    theirs = torch.nn.functional.unfold(x.permute(0, 3, 1, 2), 2, stride=2).transpose(
        1, 2
    )  # [B,L,4C]: (c, row, column)
    norm, reduction = torch.nn.LayerNorm(20), torch.nn.Linear(20, 10, bias=False)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    expected = reduction(norm(theirs)).view(2, 2, 3, 10)
    state = {"norm.weight": norm.weight, "norm.bias": norm.bias, "reduction.weight": reduction.weight}
    ours.load_state_dict({name: reordered(tensor) for name, tensor in state.items()})
    assert torch.allclose(ours(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mix_block.conv_x.weight", "1 names of the file belong to no part we know: mix_block.conv_x.weight"),
        ("neck.fc.weight", "belong to no part we know: neck.fc.weight"),
        ("head_one_q.norm.weight", "belong to no part we know: head_one_q.norm.weight"),
    ],
)
def test_names_of_no_part_are_named(name, message):
    with pytest.raises(UserError, match=message):
        by_part(blank_state("resnet18_cifar") | {name: torch.zeros(1)})


def test_another_kind_of_network_is_refused():
    with pytest.raises(UserError, match=r"holds no ResNet, ResNeXt, ConvNeXt or Swin.*first names are model.weight"):
        by_part({"model.weight": torch.zeros(1)})
    state = {k: v for k, v in blank_state("resnet18_cifar").items() if ".layer3.1." not in k}
    with pytest.raises(UserError, match=r"no ResNet we know: basic blocks \(2, 2, 1, 2\)"):
        recognised(by_part(state).student)
