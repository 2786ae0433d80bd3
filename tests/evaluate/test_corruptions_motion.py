"""Blurs and the elastic transform: do they move pixels as slow references do?"""

import math

import numpy as np
import pytest
import torch
from helpers.corrupting import images

from adautomix.evaluate.corruptions import severities
from adautomix.evaluate.corruptions.blur import (
    clipped_zoom,
    disk_kernel,
    gaussian_matrix,
    motion_offsets,
    motion_weights,
    move,
    smooth,
)
from adautomix.evaluate.corruptions.elastic import affine, displace
from adautomix.evaluate.corruptions.glass import shuffle

TABLES = ("cifar", "tiny", "imagenet")


def channels_last(x):
    return x.double().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_glass_shuffle_is_the_published_loop_bit_by_bit(reach, rounds):
    height, width = 16, 13
    rng = torch.Generator().manual_seed(reach * 10 + rounds)
    x = torch.rand(3, 2, height, width, generator=rng)
    offsets = torch.randint(-reach, reach, (3, rounds, height, width, 2), generator=rng)
    expected = x.clone()
    for image, moves in zip(expected, offsets, strict=True):
        for step in moves:
            for row in range(height - reach, reach, -1):
                for col in range(width - reach, reach, -1):
                    down, right = step[row, col].tolist()
                    image[:, row, col] = image[:, row + down, col + right]
    assert torch.equal(shuffle(x, offsets, reach), expected)


def test_glass_follows_the_longest_chains():
    offsets = torch.zeros(1, 1, 9, 9, 2, dtype=torch.long)
    offsets[..., 1] = -1  # every pixel reads its left neighbour, which is visited later
    x = torch.arange(81.0).view(1, 1, 9, 9)
    left = shuffle(x, offsets, 1)
    assert left[0, 0, 4].tolist() == [36, 37, 37, 38, 39, 40, 41, 42, 43]
    offsets[..., 1] = 1 - 1
    offsets[..., 0] = 0
    assert torch.equal(shuffle(x, offsets, 1), x)


@pytest.mark.parametrize("edge", ["nearest", "reflect"])
@pytest.mark.parametrize("sd_px", [0.0, 0.05, 0.4, 1.5, 9.0])
def test_smoothing_is_scikit_images(edge, sd_px):
    filters = pytest.importorskip("skimage.filters")
    x, truncate = images(2), 4.0 if edge == "nearest" else 3
    expected = [filters.gaussian(i, sd_px, mode=edge, truncate=truncate, channel_axis=-1) for i in channels_last(x)]
    result = channels_last(smooth(x, sd_px, edge, truncate))
    np.testing.assert_allclose(result, np.stack(expected), atol=1e-6)


def test_every_kernel_sums_to_1():
    for table in TABLES:
        settings = severities(table)
        for sd_px in settings["gaussian_blur"]:
            for edge in ("nearest", "reflect"):
                torch.testing.assert_close(gaussian_matrix(32, float(sd_px), edge, 4.0).sum(1), torch.ones(32))
        for radius, soft_px in settings["defocus_blur"]:
            loose = 1.5e-2 if radius >= 8 else 1e-6  # as published, see defocus_blur
            assert float(disk_kernel(radius, soft_px).sum()) == pytest.approx(1, abs=loose)
        for radius, sd_px in settings["motion_blur"]:
            assert sum(motion_weights(radius, sd_px)) == pytest.approx(1)


@pytest.mark.parametrize("side", [16, 32, 64, 225])
def test_zoom_is_scipys(side):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = images(1, side)
    for factor in (*np.arange(1, 1.26, 0.05).tolist(), 1.75, 2.25, 3.0, 4.5):
        crop = math.ceil(side / factor)
        top = (side - crop) // 2
        square = channels_last(x)[0, top : top + crop, top : top + crop]
        zoomed = ndimage.zoom(square, (factor, factor, 1), order=1)
        trim = (zoomed.shape[0] - side) // 2
        expected = zoomed[trim : trim + side, trim : trim + side]
        np.testing.assert_allclose(channels_last(clipped_zoom(x, factor))[0], expected, atol=2e-6)


def test_motion_blur_is_a_sum_of_moved_pixels():
    x, weights = images(5, 12), motion_weights(6, 2)
    offsets = motion_offsets(torch.tensor([-44.0, 10.0, 10.0, 44.9, -120.0]), len(weights))
    result = move(x, weights, offsets)
    for i in range(5):
        for row, col in ((0, 0), (11, 3), (5, 11), (6, 6)):
            expected = 0
            for weight, (down, right) in zip(weights, offsets[i].tolist(), strict=True):
                expected += weight * x[i, :, min(max(row + down, 0), 11), min(max(col + right, 0), 11)]
            torch.testing.assert_close(result[i, :, row, col], expected)


def test_motion_steps_are_one_pixel_long_and_lie_on_the_line():
    assert motion_offsets(torch.tensor([0.0]), 4).tolist() == [[[0, 0], [0, 1], [0, 2], [0, 3]]]
    assert motion_offsets(torch.tensor([-90.0]), 4).tolist() == [[[0, 0], [-1, 0], [-2, 0], [-3, 0]]]
    offsets, angle = motion_offsets(torch.tensor([30.0]), 20)[0], math.radians(30)
    assert all(abs(d - i * math.sin(angle)) <= 0.5001 for i, d in enumerate(offsets[:, 0].tolist()))
    assert all(abs(r - i * math.cos(angle)) <= 0.5001 for i, r in enumerate(offsets[:, 1].tolist()))


def test_displacement_is_scipys_map_coordinates():
    ndimage = pytest.importorskip("scipy.ndimage")
    x = images(2, 20)
    shift = torch.randn(2, 2, 20, 20, generator=torch.Generator().manual_seed(0)) * 4
    result, (rows, cols) = displace(x, shift), np.mgrid[:20, :20]
    for i in range(2):
        place = rows + shift[i, 0].numpy(), cols + shift[i, 1].numpy()
        for c in range(3):
            expected = ndimage.map_coordinates(x[i, c].double().numpy(), place, order=1, mode="reflect")
            np.testing.assert_allclose(result[i, c].numpy(), expected, atol=5e-6)


def test_the_affine_map_moves_its_three_points():
    x = torch.zeros(1, 1, 32, 32)
    for row, col in ((26, 26), (6, 26), (6, 6)):
        x[0, 0, row, col] = 1
    moved = affine(x, torch.tensor([[[2.0, 0.0], [-1.0, 3.0], [0.0, -2.0]]]))[0, 0]
    for row, col in ((26, 28), (9, 25), (4, 6)):
        assert moved[row, col] > 0.99
    torch.testing.assert_close(affine(images(1), torch.zeros(1, 3, 2)), images(1), atol=1e-5, rtol=0)
