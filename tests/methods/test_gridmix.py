"""GridMix: whole cells, as many as lam asks for, anywhere."""

import pytest
import torch
from helpers.tiny import tiny_batch

from adautomix.methods import make_method
from adautomix.methods.gridmix import GridMixDraws
from adautomix.utils.errors import UserError

INDEX = torch.tensor([[0, 1, 2, 3], [2, 3, 1, 0]])


def slow(x, index, lam, order, cells):
    """Walk over the pixels; a cell is kept if fewer than round(lam n^2) cells have a smaller number."""
    out, height, width = x.clone(), x.shape[2], x.shape[3]
    for b in range(len(x)):
        numbers = order[min(b, len(order) - 1)].tolist()
        kept = sorted(numbers)[: round(lam[b].item() * cells**2)]
        for i in range(height):
            for j in range(width):
                if numbers[i * cells // height * cells + j * cells // width] not in kept:
                    out[b, :, i, j] = x[index[1, b], :, i, j]
    return out


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize(("size", "cells"), [(8, 4), (9, 4), (16, 5)])
def test_images_equal_a_loop_and_labels_the_area_left(start, size, cells, per_sample):
    method, ctx = start("gridmix", cells=cells, per_sample=per_sample)
    x, y = tiny_batch(size=size)
    drawn = method.draw(4, ctx)
    lam = drawn.lam[:, 0]
    mixed = method.mix(x, y, ctx, GridMixDraws(INDEX, drawn.lam, drawn.order))
    torch.testing.assert_close(mixed.x, slow(x, INDEX, lam, drawn.order, cells))
    same = (mixed.x == x).all(dim=1).float().mean(dim=(1, 2))  # random images differ at every pixel
    torch.testing.assert_close(mixed.lam[:, 0], same)
    if size % cells == 0:
        torch.testing.assert_close(mixed.lam[:, 0], (lam * cells**2).round() / cells**2)


def test_every_cell_is_kept_as_often_as_lam_says(start):
    method, ctx = start("gridmix", per_sample=True)
    x, y = torch.rand(4000, 3, 4, 4), torch.zeros(4000, dtype=torch.long)
    drawn = method.draw(4000, ctx)
    half = torch.full((4000, 2), 0.5)
    mask = method.mix(x, y, ctx, GridMixDraws(drawn.index, half, drawn.order)).mask[:, 0]
    assert (mask.sum(dim=(1, 2)) == 8).all()
    assert (mask.mean(dim=0) - 0.5).abs().max() < 4 * (0.25 / 4000) ** 0.5


def test_one_cell_is_refused(student):
    with pytest.raises(UserError, match="cells must be at least 2, got 1"):
        make_method("gridmix", student, {"cells": 1})
