"""Shared by the tests of Grad-CAM: networks in eval mode, and what their layers give."""

import torch

from adautomix.models.classifier import Classifier
from helpers.tiny import CLASSES


def classifier(net, **options):
    torch.manual_seed(0)
    return Classifier(net, CLASSES, image_size=8, **options).eval()


def features_of(model, x, layer):
    found = []
    hook = model.net.get_submodule(layer).register_forward_hook(lambda module, inputs, output: found.append(output))
    model(x)
    hook.remove()
    return found[0].detach()
