"""Shared by the tests: the smallest network, with a classifier and a batch for it."""

import torch
from torch import nn

from adautomix.models.classifier import Classifier

CLASSES = 5


class TinyNet(nn.Module):
    """Two convolutions with BatchNorm: features [B,8,h,w], tap "body"."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(6, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x):
        return self.last(self.body(x))


def tiny_classifier(heads=("one", "mix")) -> Classifier:
    torch.manual_seed(0)
    return Classifier(TinyNet(), CLASSES, tap="body", heads=heads, image_size=8).train()


def tiny_batch(batch=4, size=8):
    rng = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, size, size, generator=rng), torch.arange(batch) % CLASSES
