"""Shared by the tests of the paper's sets: what `trees.write_tree` writes, and a check that all of it was read."""

import pytest

from adautomix.data import DATASETS
from helpers.trees import jpeg

TRAIN, TEST = 4, 2
CLASSES = {
    "tiny_imagenet": ("goldfish", "European fire salamander", "crane"),
    "imagenet": ("n01443537", "n01629819", "n02012849"),
    "cub200": ("Black footed Albatross", "Laysan Albatross", "Sooty Albatross"),
    "aircraft": ("737-300", "Cessna 172", "F/A-18"),
    "cars": ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012"),
}
INNER = {
    "tiny_imagenet": "tiny-imagenet-200",
    "imagenet": ".",
    "cub200": "CUB_200_2011",
    "aircraft": "fgvc-aircraft-2013b",
    "cars": "stanford_cars",
}


EVERY = pytest.mark.parametrize("name", CLASSES)


def load(name, root, **options):
    """Return the set with its files not yet read."""
    return DATASETS[name](root=root, **options)


def check_pictures(dataset, side=None):
    """Every file of both splits is the picture that was written for its class and split, and none is missing."""
    for split, numbers in ((dataset.train, range(TRAIN)), (dataset.test, range(TRAIN, TRAIN + TEST))):
        found = {(k, path.read_bytes()) for path, k in zip(split.paths, split.labels.tolist(), strict=True)}
        assert found == {(k, jpeg(k, i, side)) for k in range(3) for i in numbers}
        assert len(split) == len(found)
