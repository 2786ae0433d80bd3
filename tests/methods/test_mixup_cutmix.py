"""MixUp and CutMix against timm and torchvision, given the same random numbers."""

import numpy as np
import pytest
import torch
from helpers.tiny import CLASSES, tiny_batch
from timm.data.mixup import Mixup as TimmMixup
from timm.data.mixup import rand_bbox
from torchvision.transforms import v2

from adautomix.methods.base import Draws
from adautomix.methods.cutmix import CutMixDraws, box_mask, boxes


def rolled(batch):
    return torch.stack([torch.arange(batch), torch.arange(batch).roll(1)])


def flipped(batch):
    return torch.stack([torch.arange(batch), torch.arange(batch).flip(0)])


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.85, 1.0])
def test_mixup_equals_torchvision(start, lam):
    method, ctx = start("mixup")
    x, y = tiny_batch()
    theirs = v2.MixUp(num_classes=CLASSES, alpha=1.0)
    theirs.make_params = lambda inputs: {"labels": y, "batch_size": 4, "lam": lam}
    x_ref, y_ref = theirs(x, y)
    mixed = method.mix(x, y, ctx, Draws(rolled(4), torch.tensor([[lam, 1 - lam]]).expand(4, 2)))
    torch.testing.assert_close(mixed.x, x_ref)
    torch.testing.assert_close(mixed.y, y_ref)


@pytest.mark.parametrize("lam", [0.1, 0.6])
def test_mixup_equals_timm(start, lam):
    method, ctx = start("mixup")
    x, y = tiny_batch()
    theirs = TimmMixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=CLASSES)
    theirs._params_per_batch = lambda: (lam, False)
    x_ref, y_ref = theirs(x.clone(), y)
    mixed = method.mix(x, y, ctx, Draws(flipped(4), torch.tensor([[lam, 1 - lam]]).expand(4, 2)))
    torch.testing.assert_close(mixed.x, x_ref)
    torch.testing.assert_close(mixed.y, y_ref)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("lam", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.99, 0.5), (0.4, 0.7)])
def test_cutmix_equals_torchvision(start, lam, centre, per_sample):
    method, ctx = start("cutmix", per_sample=per_sample)
    x, y = tiny_batch(size=16)
    row, col = (int(c * 16) for c in centre)
    half = int(0.5 * (1.0 - lam) ** 0.5 * 16)
    top, bottom = max(row - half, 0), min(row + half, 16)
    left, right = max(col - half, 0), min(col + half, 16)
    adjusted = 1.0 - (bottom - top) * (right - left) / 256
    theirs = v2.CutMix(num_classes=CLASSES, alpha=1.0)
    theirs.make_params = lambda inputs: {
        "labels": y,
        "batch_size": 4,
        "box": (left, top, right, bottom),
        "lam_adjusted": adjusted,
    }
    x_ref, y_ref = theirs(x, y)
    draws = CutMixDraws(rolled(4), torch.tensor([[lam, 1 - lam]]).expand(4, 2), torch.tensor([centre]).expand(4, 2))
    mixed = method.mix(x, y, ctx, draws)
    torch.testing.assert_close(mixed.x, x_ref)
    torch.testing.assert_close(mixed.y, y_ref)


def test_boxes_with_even_sides_equal_timms_for_the_same_centre(monkeypatch):
    # With an odd side timm's box is a pixel longer than that of the CutMix authors and of torchvision, which we follow.
    rng, compared = np.random.default_rng(0), 0
    for _ in range(100):
        lam, (height, width) = rng.uniform(), rng.integers(4, 40, size=2).tolist()
        if any(int(side * np.sqrt(1 - lam)) % 2 for side in (height, width)):
            continue
        middle = [int(rng.integers(height)), int(rng.integers(width))]
        drawn = iter(middle)
        monkeypatch.setattr(np.random, "randint", lambda low, high, size, drawn=drawn: next(drawn))
        ours = boxes(torch.tensor([lam], dtype=torch.float64), torch.tensor([middle]), (height, width))
        assert ours[0].tolist() == [int(side) for side in rand_bbox((1, 3, height, width), lam)]
        compared += 1
    assert compared > 10


def test_cutmix_lam_is_the_area_left_by_the_clipped_box(start):
    method, ctx = start("cutmix", alpha=1.0, per_sample=True)
    x, y = tiny_batch(6, 16)
    mixed = method.mix(x, y, ctx, method.draw(6, ctx))
    torch.testing.assert_close(mixed.lam, mixed.mask.mean(dim=(2, 3)))
    box = torch.tensor([[0, 4, 0, 8]])
    assert box_mask(box, (16, 16))[0, 1].sum() == 32


def test_one_box_a_batch_gives_the_same_result_as_one_a_sample(start):
    method, ctx = start("cutmix")
    x, y = tiny_batch(6, 16)
    draws = CutMixDraws(rolled(6), torch.full((6, 2), 0.5), torch.full((6, 2), 0.3))
    batch = method.mix(x, y, ctx, draws)
    method.per_sample = True
    sample = method.mix(x, y, ctx, draws)
    torch.testing.assert_close(batch.x, sample.x)
    torch.testing.assert_close(batch.y, sample.y)
    torch.testing.assert_close(batch.mask, sample.mask)
