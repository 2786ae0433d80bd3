"""Pictures: what is drawn where, and on which scale."""

import numpy as np
import pytest
import torch

from adautomix import figures
from adautomix.methods import METHODS


def drawn(figure):
    """Return the pictures of a grid, row by row, as arrays; None where a place is empty."""
    return [np.asarray(axis.get_images()[0].get_array()) if axis.get_images() else None for axis in figure.axes]


def test_a_grid_draws_images_and_maps_and_leaves_gaps_empty():
    image, mask = torch.rand(3, 4, 5), torch.rand(4, 5)
    figure = figures.picture_grid({"image": [image, None], "mask": [mask, 1 - mask]}, ["a", "b"])
    first, gap, _, left, right, _ = drawn(figure)[:6]
    np.testing.assert_allclose(first, image.permute(1, 2, 0))
    assert gap is None
    np.testing.assert_allclose(left, mask)
    np.testing.assert_allclose(right, 1 - mask)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["a", "b"]


def test_a_row_of_maps_has_one_scale_its_own_or_the_given_one():
    maps = [torch.full((2, 2), 0.2), torch.full((2, 2), 0.6)]
    figure = figures.picture_grid({"free": maps, "given": maps}, limits={"given": (0, 1)})
    scales = [axis.get_images()[0].get_clim() for axis in figure.axes if axis.get_images()]
    assert scales[:2] == [pytest.approx((0.2, 0.6))] * 2
    assert scales[2:4] == [(0, 1)] * 2


def test_a_mark_is_drawn_on_its_picture_only():
    figure = figures.picture_grid({"a": [torch.rand(3, 4, 4)] * 2}, marks={("a", 1): (2, 3)})
    lines = [axis.get_lines() for axis in figure.axes[:2]]
    assert not lines[0]
    assert all(line.get_xydata().tolist() == [[2, 3]] for line in lines[1])


def test_every_method_has_a_colour_of_its_own():
    colors = figures.method_colors()
    assert list(colors) == list(METHODS)
    assert len(set(colors.values())) == len(METHODS)
