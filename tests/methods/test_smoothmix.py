"""SmoothMix: a Gaussian spot, written out pixel by pixel."""

import math

import pytest
import torch
from helpers.tiny import tiny_batch

from adautomix.methods import make_method
from adautomix.methods.smoothmix import SmoothMixDraws
from adautomix.utils.errors import UserError

INDEX = torch.tensor([[0, 1, 2, 3], [2, 3, 1, 0]])


def slow_spot(size, centre, width):
    """Return the spot as one exponential a pixel, distances in shares of the sides."""
    spot = torch.zeros(size)
    for i in range(size[0]):
        for j in range(size[1]):
            down, right = (i + 0.5) / size[0] - centre[0], (j + 0.5) / size[1] - centre[1]
            spot[i, j] = math.exp(-(down**2 + right**2) / (2 * width**2))
    return spot


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (6, 11)])
def test_images_equal_a_loop_and_labels_the_mean_of_the_mask(start, size, per_sample):
    method, ctx = start("smoothmix", per_sample=per_sample)
    x, y = torch.rand(4, 3, *size), tiny_batch()[1]
    drawn = method.draw(4, ctx)
    mixed = method.mix(x, y, ctx, SmoothMixDraws(INDEX, None, drawn.width, drawn.centre))
    for b in range(4):
        row = b if per_sample else 0
        spot = slow_spot(size, drawn.centre[row].tolist(), drawn.width[row].item())
        torch.testing.assert_close(mixed.x[b], x[b] * (1 - spot) + x[INDEX[1, b]] * spot)
        torch.testing.assert_close(mixed.mask[b, 1], spot)
        torch.testing.assert_close(mixed.lam[b, 1], spot.mean())


def test_spots_lie_anywhere_and_are_as_wide_as_asked(start):
    method, ctx = start("smoothmix", width_min=0.1, width_max=0.3, per_sample=True)
    drawn = method.draw(4000, ctx)
    assert drawn.width.min() >= 0.1
    assert drawn.width.max() <= 0.3
    assert drawn.width.mean().item() == pytest.approx(0.2, abs=0.004)
    assert drawn.centre.mean().item() == pytest.approx(0.5, abs=0.015)
    assert drawn.centre.min() < 0.01
    assert drawn.centre.max() > 0.99


def test_a_spot_without_width_is_refused(student):
    with pytest.raises(UserError, match="0 < width_min <= width_max"):
        make_method("smoothmix", student, {"width_min": 0.6})
