"""Blurs, elastic transform, weather and spatter against slow references; the published CIFAR-C files."""

import math

import numpy as np
import pytest
import torch
from test_corruptions import images, run

from adautomix.errors import UserError
from adautomix.evaluate.corruptions import CORRUPTIONS15, load_cifar_c, severities
from adautomix.evaluate.corruptions.blur import (
    clipped_zoom,
    disk_kernel,
    gaussian_matrix,
    motion_offsets,
    motion_weights,
    move,
    smooth,
)
from adautomix.evaluate.corruptions.draws import Draws
from adautomix.evaluate.corruptions.elastic import affine, displace
from adautomix.evaluate.corruptions.glass import shuffle
from adautomix.evaluate.corruptions.plasma import diamond_square
from adautomix.evaluate.corruptions.spatter import distance, rims
from adautomix.evaluate.corruptions.weather import crops, made_up_ice

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


def test_frost_crops_the_given_textures_and_uses_the_first_five():
    textures = torch.stack([torch.full((3, 40, 50), i / 10) for i in range(6)])
    pieces = crops(textures, 32, 32, Draws.of(torch.arange(200), 0))
    assert {round(v * 10) for v in pieces.flatten(1).mean(1).tolist()} == set(range(5))
    ramp = torch.arange(50.0).div(64).expand(1, 3, 40, 50)
    left = crops(ramp, 32, 32, Draws.of(torch.arange(200), 0))[:, 0, 0, 0] * 64
    assert left.min() == 0
    assert left.max() == 17  # 50 - 32 is never drawn
    x = images(3)
    y = run(x, "frost", 1, textures=torch.full((1, 3, 32, 32), 0.5))
    assert float((y - (x + 0.1).clamp(max=1)).abs().max()) <= 1.01 / 255


def test_made_up_ice_is_bright_and_bluish():
    ice = made_up_ice(32, 32, Draws.of(torch.arange(100), 0))
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


@pytest.fixture
def cifar_c(tmp_path):
    """Return a folder in the published form with 4 images a severity, each image filled with its row's number."""
    rows = np.arange(20, dtype=np.uint8)
    for name in CORRUPTIONS15:
        np.save(tmp_path / f"{name}.npy", np.broadcast_to(rows[:, None, None, None], (20, 32, 32, 3)))
    np.save(tmp_path / "labels.npy", np.tile(np.array([3, 1, 4, 1], dtype=np.uint8), 5))
    return tmp_path


def test_published_files_give_the_severity_asked_for(cifar_c):
    x, y = load_cifar_c(cifar_c, "fog", 3, labels=np.array([3, 1, 4, 1]), expect=4)
    assert x[:, 0, 0, 0].tolist() == [8, 9, 10, 11]
    assert isinstance(x, np.memmap)
    assert x.shape == (4, 32, 32, 3)
    assert y.dtype == np.int64
    assert y.tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "fog.npy").unlink(), r"fog.npy: expected .*\(20, 32, 32, 3\).*3555552.*corrupt"),
        (lambda root: (root / "labels.npy").unlink(), r"labels.npy: expected .*no such file"),
        (lambda root: (root / "fog.npy").write_bytes((root / "fog.npy").read_bytes()[:500]), "cannot be read"),
        (lambda root: (root / "fog.npy").write_text("<html>"), "cannot be read"),
        (lambda root: np.save(root / "fog.npy", np.zeros((16, 32, 32, 3), np.uint8)), r"got uint8 \(16, 32, 32, 3\)"),
        (lambda root: np.save(root / "fog.npy", np.zeros((20, 32, 32, 3))), "got float64"),
        (lambda root: np.save(root / "labels.npy", np.arange(20)), "repeat"),
        (lambda root: np.save(root / "labels.npy", np.tile([3, 1, 4, 2], 5)), "in 1 of 4 places"),
    ],
)
def test_broken_files_are_named(cifar_c, spoil, message):
    spoil(cifar_c)
    with pytest.raises(UserError, match=message):
        load_cifar_c(cifar_c, "fog", 3, labels=np.array([3, 1, 4, 1]), expect=4)
