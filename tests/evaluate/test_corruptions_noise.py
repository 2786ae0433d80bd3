"""Noise: are the draws the published generator's, and mean and spread as each noise says?"""

import numpy as np
import pytest
import torch
from helpers.corrupting import grey, run

from adautomix.evaluate.corruptions import FUNCTIONS
from adautomix.evaluate.corruptions.noise import poisson_counts
from adautomix.evaluate.per_image_rng import GOLDEN, PerImageRNG, mix64, signed


def test_splitmix64_gives_its_published_numbers():
    words = mix64(1234567 + torch.arange(1, 4) * signed(GOLDEN))
    assert [int(w) & (2**64 - 1) for w in words] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_gaussian_noise_has_its_mean_and_deviation():
    x = grey(count=40)
    noise = FUNCTIONS["gaussian_noise"](x, 0.08, PerImageRNG.of(torch.arange(40), 0)) - x
    n = noise.numel()
    assert abs(float(noise.mean())) < 3 * 0.08 / n**0.5
    assert abs(float(noise.std()) - 0.08) < 3 * 0.08 / (2 * n) ** 0.5
    assert abs(float((noise / 0.08).pow(4).mean()) - 3) < 3 * (96 / n) ** 0.5


def test_speckle_noise_is_in_proportion_to_the_pixel():
    draws = [PerImageRNG.of(torch.arange(20), 0) for _ in range(2)]
    dark, light = (
        FUNCTIONS["speckle_noise"](grey(v, 20), 0.1, d) - grey(v, 20) for v, d in zip((50, 200), draws, strict=True)
    )
    torch.testing.assert_close(light, dark * 4, atol=1e-6, rtol=1e-4)


def test_impulse_noise_hits_its_fraction_half_black_half_white():
    y = run(grey(count=60), "impulse_noise")
    n = y.numel()
    for value in (0.0, 1.0):
        assert abs(float((y == value).float().mean()) - 0.015) < 3 * (0.015 * 0.985 / n) ** 0.5
    assert torch.equal(y[(y != 0) & (y != 1)].unique(), torch.tensor([128 / 255]))


@pytest.mark.parametrize("rate", [500, 60, 3])
def test_shot_noise_has_the_mean_of_the_pixel_and_the_variance_mean_over_rate(rate):
    mean, n = 100 / 255, 60 * 3 * 32 * 32
    y = FUNCTIONS["shot_noise"](grey(100, count=60), rate, PerImageRNG.of(torch.arange(60), 0)).double()
    variance = mean / rate
    assert abs(float(y.mean()) - mean) < 3.5 * (variance / n) ** 0.5
    fourth = 3 * variance**2 + variance / rate**2
    assert abs(float(y.var()) - variance) < 3.5 * ((fourth - variance**2) / n) ** 0.5


@pytest.mark.parametrize("rate", [500, 12])
def test_poisson_counts_are_quantiles_of_scipy(rate):
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = torch.Generator().manual_seed(0)
    level = torch.randint(0, 256, (5000,), generator=rng)
    bits = torch.randint(0, 2**32, (5000,), generator=rng)
    bits[:4], level[:4] = torch.tensor([0, 2**32 - 1, 0, 2**32 - 1]), torch.tensor([0, 0, 255, 255])
    expected = scipy_stats.poisson.ppf((bits.numpy() + 0.5) / 2**32, level.numpy() * rate / 255)
    assert np.array_equal(poisson_counts(level, rate, bits).numpy(), np.maximum(expected, 0).astype(int))
