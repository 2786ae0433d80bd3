"""Images of another number of channels than the backbone takes: is it said when the Classifier is made?"""

import pytest
import torch
from torch import nn

from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.utils.errors import UserError


def test_a_network_for_other_channels_than_mean_and_std_are_of_is_refused_with_the_fix():
    net, _ = build_backbone("resnet18", image_size=16, width=4)
    with pytest.raises(UserError, match=r"takes images of 3 channels, and mean and std are of 1,.*in_chans=1"):
        Classifier(net, 5, mean=(0.5,), std=(0.5,), image_size=16)


def test_channels_that_do_not_fit_within_a_network_are_its_own_matter():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 6, 3))
    with pytest.raises(RuntimeError, match="to have 5 channels"):
        Classifier(net, 5, image_size=8)
    assert Classifier(net[:1], 5, image_size=8)(torch.rand(2, 3, 8, 8)).logits["one"].shape == (2, 5)
