"""SaliencyMix: the map by an independent implementation, the box on its peak."""

import numpy as np
import pytest
import torch
from helpers.tiny import tiny_batch
from scipy import ndimage

from adautomix.methods.base import Draws
from adautomix.methods.ops.saliency import most_salient, spectral_residual

INDEX = torch.tensor([[0, 1, 2, 3], [2, 3, 1, 0]])


def slow_saliency(image):
    grey = np.tensordot([0.299, 0.587, 0.114], image.double().numpy(), axes=1)
    borders = [n / 2 - np.abs(np.arange(n) + 0.5 - n / 2) for n in grey.shape]  # px from the nearest border
    fades = [np.sin(np.minimum(1, 8 * b / len(b)) * np.pi / 2) ** 2 for b in borders]
    spectrum = np.fft.fft2((grey - grey.mean()) * np.outer(*fades))
    log = np.log(np.abs(spectrum) + 1e-8)
    residual = log - ndimage.uniform_filter(log, 3, mode="wrap")
    salient = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    return ndimage.gaussian_filter(salient, 2.5, mode="nearest", radius=4)


@pytest.mark.parametrize("size", [(16, 16), (24, 17)])
def test_saliency_equals_a_loop_in_double_precision(size):
    x = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = np.stack([slow_saliency(image) for image in x])
    np.testing.assert_allclose(spectral_residual(x), expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("side", [32, 160])
def test_what_stands_out_is_found(side):
    x = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4
    places = torch.tensor([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.6, 0.5]]) * side
    radius = side // 16
    for image, (row, column) in zip(x, places.long().tolist(), strict=True):
        image[:, row - radius : row + radius, column - radius : column + radius] = 1.0
    found = most_salient(spectral_residual(x))
    assert (found - places).abs().max() <= 2 * radius + 1


def test_ties_go_to_the_first_pixel():
    assert most_salient(torch.zeros(2, 3, 4)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("one_map", [False, True])
def test_the_box_lies_on_the_peak_of_the_pasted_image_and_is_clipped(start, one_map):
    method, ctx = start("saliencymix", one_map=one_map)
    x, y = tiny_batch(size=16)
    lam = torch.tensor([[0.75, 0.25]]).expand(4, 2)
    mixed = method.mix(x, y, ctx, Draws(INDEX, lam))
    for b in range(4):
        pasted = x[INDEX[1, 0 if one_map else b]]
        row, column = np.unravel_index(slow_saliency(pasted).argmax(), (16, 16))
        expected = torch.zeros(16, 16)
        expected[max(row - 4, 0) : row + 4, max(column - 4, 0) : column + 4] = 1  # side 16 sqrt(0.25) = 8
        assert torch.equal(mixed.mask[b, 1], expected)
        torch.testing.assert_close(mixed.x[b], torch.where(expected.bool(), x[INDEX[1, b]], x[b]))
        assert mixed.lam[b, 1] == expected.mean()


def test_a_flat_image_has_a_map_without_nan():
    assert torch.isfinite(spectral_residual(torch.full((2, 3, 16, 16), 0.5))).all()
    assert torch.isfinite(spectral_residual(torch.zeros(2, 3, 16, 16))).all()
