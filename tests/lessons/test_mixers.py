"""The checks of a reader's mixing functions say "right" of right ones, and name what is off in wrong ones."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from adautomix.lessons import check_blob, check_cutmix, check_mixblock, check_mixup, check_mixup_loss
from adautomix.lessons.closeness import off_by
from adautomix.lessons.telling import NOTHING
from adautomix.models import MixBlock


def mixup(x, y, partner, lam):
    return lam * x + (1 - lam) * x[partner], lam * y + (1 - lam) * y[partner]


def cutmix(a, b, centre, lam, *, clip=True, label=None):
    size = a.shape[1]
    half, (row, column) = size * math.sqrt(1 - lam) / 2, (c * size for c in centre)
    top, left = (max(0, round(c - half)) for c in (row, column))
    mixed = a.clone()
    mixed[:, top : round(row + half), left : round(column + half)] = b[
        :, top : round(row + half), left : round(column + half)
    ]
    return mixed, (mixed == a).all(dim=0).float().mean().item() if label is None else label(lam)


def masks(features, weights, **options):
    block = MixBlock(features.shape[2], **options)
    block.load_state_dict(dict(weights))
    return block(features, torch.zeros(len(features)), scale=4.0).detach()


def test_the_packages_own_functions_are_right():
    assert check_mixup(mixup) == "right"
    assert check_cutmix(cutmix) == "right"
    assert check_mixblock(masks) == "right"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, y, p, lam: mixup(x, y, p, 1 - lam), "wrong way round"),
        (lambda x, y, p, lam: (mixup(x, y, p, lam)[0], y), "labels are not mixed"),
        (lambda x, y, p, lam: (x, mixup(x, y, p, lam)[1]), "images are not mixed"),
        (lambda x, y, p, lam: (mixup(x, y, p, lam)[0][:2], y), "shape"),
        (lambda x, y, p, lam: mixup(x, y, p, lam)[0], "two things"),
        (lambda x, y, p, lam: mixup(x, y, p, lam**2), "off by up to"),
    ],
)
def test_a_wrong_mixup_is_told_what_is_off(wrong, said):
    assert said in check_mixup(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda a, b, c, lam: cutmix(a, b, c, lam, label=lambda lam: lam), "clipped box left another area"),
        (lambda a, b, c, lam: (0.5 * a + 0.5 * b, lam), "it does not blend"),
        (lambda a, b, c, lam: (torch.where(torch.rand(40, 40) < lam, a, b), lam), "no rectangle"),
        (lambda a, b, c, lam: cutmix(a, b, c, lam**2), "sqrt"),
        (lambda a, b, c, lam: cutmix(a, b, c, 1 - lam), "sqrt"),
        (lambda a, b, c, lam: cutmix(a, b, [1 - part for part in c], lam), "the wrong place: rows from"),
        (lambda a, b, c, lam: cutmix(a, b, [0.5 - lam / 4, *c[1:]], lam), "the wrong place: rows from"),
    ],
)
def test_a_wrong_cutmix_is_told_what_is_off(wrong, said):
    torch.manual_seed(0)
    assert said in check_cutmix(wrong)


def test_known_mistakes_of_the_masks_are_named():
    assert "no ReLU" in check_mixblock(lambda f, w: masks(f, w, activation=None))

    def nearest(features, weights):
        block = MixBlock(features.shape[2])
        block.load_state_dict(dict(weights))
        return block(features, torch.zeros(len(features)), scale=4.0, mode="nearest").detach()

    assert "nearest" in check_mixblock(nearest)
    assert "shape" in check_mixblock(lambda f, w: masks(f, w)[:, :2])
    assert "tensor" in check_mixblock(lambda f, w: np.zeros(3))
    assert "off by up to" in check_mixblock(lambda f, w: masks(f, w).flip(1))


def loss(logits, a, b, lam, smoothing):
    one, other = (F.cross_entropy(logits, y, label_smoothing=smoothing) for y in (a, b))
    return lam * one + (1 - lam) * other


def test_mixups_loss_of_hard_labels():
    assert check_mixup_loss(loss) == "right"
    assert "wrong way round" in check_mixup_loss(lambda z, a, b, lam, s: loss(z, b, a, lam, s))
    assert "smoothing of 0.1" in check_mixup_loss(lambda z, a, b, lam, s: loss(z, a, b, lam, 0.0))
    assert "tensor" in check_mixup_loss(lambda *given: 0.5)


def blob(white, exponent, lam, *, order=-1):
    """FMix's mask pixel by pixel: from a sorted list."""
    height, width = white.shape[0], 2 * (white.shape[1] - 1)
    fall = torch.tensor([[math.hypot(r, c) for c in np.fft.rfftfreq(width)] for r in np.fft.fftfreq(height)])
    noise = torch.fft.irfft2(white / fall.clamp(min=1 / height) ** exponent, s=(height, width))
    ranked = sorted(range(height * width), key=lambda pixel: order * noise.flatten()[pixel])
    mask = torch.zeros(height * width)
    mask[ranked[: round(lam * height * width)]] = 1
    return mask.view(height, width)


def test_a_blob_is_known_by_area_and_shape():
    assert check_blob(blob) == "right"
    assert "lowest" in check_blob(lambda w, e, lam: blob(w, e, lam, order=1))
    assert "to the power" in check_blob(lambda w, e, lam: blob(w, 1.0, lam))
    assert "area is 0.70" in check_blob(lambda w, e, lam: blob(w, e, 0.7))
    assert "0 or 1" in check_blob(lambda w, e, lam: blob(w, e, lam) / 2)


@pytest.mark.parametrize("check", [check_blob, check_cutmix, check_mixblock, check_mixup, check_mixup_loss])
def test_a_check_says_what_is_missing_and_what_was_raised(check):
    def empty(*given): ...

    def broken(*given):
        raise IndexError("too far")

    def unwritten(*given):
        raise NotImplementedError

    assert check(empty) == check(unwritten) == NOTHING
    assert check(broken).startswith("it raised IndexError: too far (test_mixers.py, line ")


def test_what_is_off_is_told_in_a_sentence_of_one_or_of_many():
    assert off_by(torch.zeros(2), torch.zeros(3), "mask") == "the mask has the shape (2,), and should have (3,)"
    assert off_by(torch.zeros(3), torch.ones(3), "loss") == "the loss is off by up to 1"
    assert off_by(torch.zeros(3), torch.ones(3), "images") == "the images are off by up to 1"
    assert off_by(torch.tensor([math.nan]), torch.ones(1), "images") == "the images hold numbers that are not finite"
