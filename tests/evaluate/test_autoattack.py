"""AutoAttack: an extra, explained where it is missing, and stored like the other attacks."""

import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from test_attacks import images, linear

from adautomix.evaluate import autoattack as autoattack_module
from adautomix.evaluate import pgd as pgd_module
from adautomix.evaluate.autoattack import autoattack
from adautomix.evaluate.pgd import pgd
from adautomix.utils.errors import UserError


@pytest.fixture
def net(student):
    return student.eval()


def test_autoattack_is_an_extra_whose_absence_is_explained(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[attacks\]'"):
        autoattack(net, *images())


def test_the_evaluator_autoattack_explains_the_absence_before_anything_is_done(net, monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(autoattack_module, "version", absent)
    with pytest.raises(UserError, match=r"pip install -e '\.\[attacks\]'"):
        autoattack_module.evaluate(net, [images()])


def test_autoattack_is_stored_as_other_attacks_are_and_says_its_version(net):
    pytest.importorskip("pyautoattack")
    result = autoattack_module.evaluate(net, [images()])
    assert set(result["value"]) == set(pgd_module.evaluate(net, [images()])["value"])
    assert result["value"]["top1"] <= pgd_module.evaluate(net, [images()])["value"]["top1"]
    assert result["settings"]["package"] == f"pyautoattack {version('pyautoattack')}"


def test_autoattack_of_three_classes_is_refused():
    pytest.importorskip("pyautoattack")
    x, y = images()
    with pytest.raises(UserError, match="AutoAttack needs 4 classes or more, got 3"):
        autoattack(linear(classes=3), x, y % 3)
    assert autoattack(linear(classes=3), x, y % 3, version="custom", attacks=["apgd-ce"]).shape == x.shape


def test_autoattack_is_no_weaker_than_pgd():
    pytest.importorskip("pyautoattack")
    net, (x, y) = linear(), images(6)
    y = net(x).logits["one"].argmax(1)  # all right to begin with
    attacked = [attack(net, x, y, eps=0.02) for attack in (autoattack, pgd)]
    right = [int((net(images).logits["one"].argmax(1) == y).sum()) for images in attacked]
    assert right[0] <= right[1] <= len(y)
