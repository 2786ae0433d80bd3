"""Shared by the tests of Grad-CAM: classes to explain, and a network as a Classifier ready to be explained."""

import torch
from conftest import CLASSES

from adautomix.models.classifier import Classifier

TARGET = torch.tensor([3, 0, 2, 4])


def classifier(net, **options):
    torch.manual_seed(0)
    return Classifier(net, CLASSES, image_size=8, **options).eval()
