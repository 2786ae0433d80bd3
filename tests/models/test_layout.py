"""NHWC where it is safe: torch's CPU convolutions write past a buffer for networks with very few channels."""

import pytest
import torch
from helpers.training import tiny_config

from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.models.layout import layout_for, usual_strides
from adautomix.training.loop import train


@pytest.mark.parametrize(
    ("width", "device", "asked", "expected"),
    [
        (4, "cpu", True, torch.contiguous_format),
        (8, "cpu", True, torch.contiguous_format),
        (16, "cpu", True, torch.channels_last),
        (4, "cuda", True, torch.channels_last),
        (16, "cpu", False, torch.contiguous_format),
    ],
)
def test_channels_last_is_for_networks_whose_strided_1x1_convolutions_are_wide(width, device, asked, expected):
    net, _ = build_backbone("resnet18", image_size=16, width=width)
    assert layout_for(net, torch.device(device), channels_last=asked) is expected


def test_a_narrow_network_takes_images_in_nhwc_as_if_they_were_in_nchw():
    """Some mixes come out in NHWC; without the copy this ended in "free(): invalid size" on a CPU with AVX2."""
    net, _ = build_backbone("resnet18", image_size=16, width=4)
    student = Classifier(net, 5, image_size=16).train()
    seen = []
    net.layer2[0].downsample[0].register_forward_hook(lambda module, given, out: seen.append(given[0].is_contiguous()))
    for _ in range(8):
        x = torch.rand(8, 3, 16, 16).contiguous(memory_format=torch.channels_last)
        student(x).logits["one"].sum().backward()
    assert seen == [True] * 8


def test_a_training_that_leaves_it_out_says_so_and_has_the_numbers_of_one_without(tmp_path):
    lines = []
    few = {"data": "digits", "width": 4, "per_class": 4, "batch_size": 20, "epochs": 1, "device": "cpu"}
    asked = train(tiny_config(**few, channels_last=True), tmp_path, log=lines.append)
    assert any("channels_last is left out" in line for line in lines)
    plain = train(tiny_config(**few), tmp_path, log=str)
    assert asked.path != plain.path
    assert asked.history["student_loss"].tolist() == plain.history["student_loss"].tolist()


@pytest.mark.parametrize(("width", "safe"), [(4, False), (16, True)])
def test_weights_put_into_nhwc_come_back_where_that_is_not_safe(width, safe):
    net, _ = build_backbone("resnet18", image_size=16, width=width)
    student = Classifier(net.to(memory_format=torch.channels_last), 5, image_size=16)
    asked_again = student.to(memory_format=torch.channels_last).train()
    strided = net.layer2[0].downsample[0]  # the convolution that writes past its buffer
    seen = []
    strided.register_forward_hook(lambda module, given, out: seen.append(out.is_contiguous()))
    asked_again(torch.rand(8, 3, 16, 16))
    kernels = [weight for weight in net.parameters() if weight.ndim == 4]
    assert all(weight.stride() == usual_strides(weight.shape) for weight in kernels) is not safe
    assert (strided.weight.stride() == usual_strides(strided.weight.shape)) is not safe
    assert seen == [not safe]
