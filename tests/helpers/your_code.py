"""Shared by the tests of the page "In your own training code", in this process and in others: no checked shapes here.

torch.compile does not follow the checks of conftest.
"""

import re

import torch
from torch import nn
from torch.optim import SGD

from adautomix import Classifier, Context, make_method
from helpers import ROOT

PAGE = (ROOT / "adautomix" / "book" / "your_code.md").read_text()
SECTIONS = [part.split("\n", 1) for part in PAGE.split("\n## ")[1:]]
SNIPPETS = {title: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for title, text in SECTIONS}


class Small(nn.Module):
    """A network with a `layer3`, for images of any size."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.layer3 = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.last = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.last(self.layer3(self.stem(x)))


def batches(count=4):
    rng = torch.Generator().manual_seed(0)
    return [(torch.rand(4, 3, 16, 16, generator=rng), torch.arange(4)) for _ in range(count)]


def names(**more):
    """Return what a snippet may take for granted: a network, data, and what the page's first snippet made of them."""
    torch.manual_seed(0)
    student = Classifier(Small(), 10, tap="layer3", heads=("one", "mix"))
    method = make_method("adautomix", student)
    loop = {"student": student, "method": method, "ctx": Context.start(student, steps=20)}
    optimizer = SGD([*student.parameters(), *method.generator.parameters()], lr=0.01)
    tools = {"torch": torch, "SGD": SGD, "Classifier": Classifier, "Context": Context, "make_method": make_method}
    given = {"net": Small(), "loader": batches(), "epochs": 2, "device": "cpu", "optimizer": optimizer}
    return tools | loop | given | more


def execute(title, values, change=lambda text: text):
    (snippet,) = SNIPPETS[title]
    before = {k: v.clone() for k, v in values["student"].state_dict().items()}
    exec(change(snippet), values)
    return before


def moved(module, before):
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())
