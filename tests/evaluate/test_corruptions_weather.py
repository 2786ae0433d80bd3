"""Fog, snow, frost and spatter: do they look as published, and are their plasma and distances exact?"""

import numpy as np
import pytest
import torch
from helpers.corrupting import run

from adautomix.evaluate.corruptions.spatter import distance, rims
from adautomix.evaluate.corruptions.weather import diamond_square, made_up_ice
from adautomix.evaluate.per_image_rng import PerImageRNG


def slow_plasma(u, decay):
    """Return diamond-square on a torus, a point at a time."""
    side = len(u)
    maps, step, wobble = np.zeros((side, side)), side, 100.0
    while step > 1:
        half = step // 2
        for row in range(half, side, step):
            for col in range(half, side, step):
                corners = [maps[(row + a) % side, (col + b) % side] for a in (-half, half) for b in (-half, half)]
                maps[row, col] = sum(corners) / 4 + wobble**2 * u[row, col]
        for row in range(0, side, half):
            for col in range((row + half) % step, side, step):
                around = [
                    maps[(row + a) % side, (col + b) % side] for a, b in ((0, half), (0, -half), (half, 0), (-half, 0))
                ]
                maps[row, col] = sum(around) / 4 + wobble**2 * u[row, col]
        step, wobble = half, wobble / decay
    maps -= maps.min()
    return maps / maps.max()


@pytest.mark.parametrize("decay", [3, 1.75])
def test_plasma_is_diamond_square(decay):
    u = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = np.stack([slow_plasma(maps, decay) for maps in u.double().numpy()])
    np.testing.assert_allclose(diamond_square(u, decay).numpy(), expected, atol=1e-6)


def test_fog_keeps_white_and_lightens_black():
    x = torch.zeros(2, 3, 32, 32)
    x[:, :, 0, 0] = 1.0
    y = run(x, "fog", 5)
    assert y.mean() > 0.1
    assert torch.equal(y[:, 0], y[:, 2])  # one cloud for all colours
    assert float(y.max()) <= 1


def test_snow_whitens_and_lies_on_both_diagonals():
    x = torch.zeros(4, 3, 32, 32)
    y = run(x, "snow", 4)
    flakes = y - y.amin((1, 2, 3), keepdim=True)
    assert (y > x + 0.07).all()  # 0.15 of 0.5
    torch.testing.assert_close(flakes, flakes.flip(-2, -1))


def test_made_up_ice_is_bright_and_bluish():
    ice = made_up_ice(32, 32, PerImageRNG.of(torch.arange(100), 0))
    red, green, blue = ice.mean((0, 2, 3)).tolist()
    assert red < green < blue
    assert 0.55 < (red + green + blue) / 3 < 0.72


def test_distances_are_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    away = torch.rand(3, 1, 40, 33, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.9, 0.998, 2.0]).view(
        -1, 1, 1, 1
    )
    for mask, result in zip(away[:2], distance(away), strict=False):
        expected = np.minimum(ndimage.distance_transform_edt(mask[0].numpy()), 20)
        np.testing.assert_allclose(result[0].numpy(), expected, atol=1e-5)
    assert (distance(away)[2] == 20).all()


def test_rims_of_a_square_enclose_it():
    levels = torch.zeros(1, 1, 20, 20)
    levels[..., 6:14, 6:14] = 200
    edge = rims(levels)[0, 0]
    assert edge[6:14].any(1).all()
    assert not edge[8:12, 8:12].any()
    assert not edge[:4].any()


def test_water_lightens_and_mud_darkens_white_images_stay_where_there_is_no_drop():
    x = torch.full((4, 3, 32, 32), 0.2)
    assert (run(x, "spatter", 2) >= x - 1e-6).all()
    white = torch.ones(4, 3, 32, 32)
    muddy = run(white, "spatter", 5)
    assert (muddy[:, 2] <= muddy[:, 0]).all()
    assert 0 < float((muddy < 1).float().mean()) < 0.5
