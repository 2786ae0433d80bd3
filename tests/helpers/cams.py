"""Shared by the tests of Grad-CAM: networks in eval mode."""

import torch

from adautomix.models.classifier import Classifier
from helpers.tiny import CLASSES


def classifier(net, **options):
    torch.manual_seed(0)
    return Classifier(net, CLASSES, image_size=8, **options).eval()
