"""Files of scikit-learn, read without it: the same pixels as its own functions give, and what is said without them."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_image

from adautomix.data import carried, load_dataset
from adautomix.data.photos import PHOTOS
from adautomix.utils import UserError


def test_digits_are_scikit_learns():
    scans = load_digits()
    order = np.random.RandomState(0).permutation(len(scans.target))
    data = load_dataset("digits", size=8)
    labels = torch.cat([data.train.labels, data.test.labels])
    images = torch.cat([data.train.images, data.test.images])[:, 0]
    assert labels.tolist() == scans.target[order].tolist()
    assert np.array_equal(images.numpy(), (scans.images[order].astype("float32") / 16 * 255).round().astype("uint8"))


@pytest.mark.parametrize(("name", "file"), [("flower", "flower.jpg"), ("temple", "china.jpg")])
def test_photographs_are_scikit_learns(name, file):
    assert np.array_equal(np.array(PHOTOS[name]()), load_sample_image(file))


def test_scikit_learn_is_not_imported():
    code = "import sys; from adautomix.data import load_dataset as load; load('digits'), load('photos')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'sklearn' not in sys.modules"], check=True)


def test_a_missing_file_and_a_missing_package_are_named(monkeypatch):
    with pytest.raises(UserError, match=r"scikit-learn has no .*images/none.jpg.*constraints.txt"):
        carried.carried_file("images/none.jpg")
    monkeypatch.setattr(carried, "find_spec", lambda name: importlib.util.find_spec("no_such_package"))
    with pytest.raises(UserError, match="pip install scikit-learn"):
        carried.carried_file("data/digits.csv.gz")
