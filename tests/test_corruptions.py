"""Corruptions: tables, what `corrupt` promises and refuses, noise statistics, colours and coarse pixels."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from adautomix.errors import UserError
from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4, FUNCTIONS, corrupt, severities
from adautomix.evaluate.corruptions.digital import pixelate
from adautomix.evaluate.corruptions.draws import GOLDEN, Draws, mix64, signed
from adautomix.evaluate.corruptions.grid import to_grid
from adautomix.evaluate.corruptions.noise import poisson_counts
from adautomix.evaluate.corruptions.tables import MEANING

ALL = CORRUPTIONS15 + CORRUPTIONS_EXTRA4
BLURS = ("gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur")
NONE = Draws(torch.zeros(0, dtype=torch.int64))


def images(count=4, side=32, seed=0):
    """Return smooth random images on the k/255 grid, with some texture."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=rng), size=side, mode="bilinear")
    return to_grid(coarse + 0.1 * torch.rand(count, 3, side, side, generator=rng))


def grey(level=128, count=8, side=32):
    return torch.full((count, 3, side, side), level / 255)


def run(x, name, severity=3, table="cifar", seed=0, index=None, **options):
    index = torch.arange(len(x)) if index is None else index
    return corrupt(x, name, severity, table=table, seed=seed, index=index, **options)


def test_splitmix64_gives_its_published_numbers():
    words = mix64(1234567 + torch.arange(1, 4) * signed(GOLDEN))
    assert [int(w) & (2**64 - 1) for w in words] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_the_tables_are_the_published_ones():
    cifar, tiny, imagenet = map(severities, ("cifar", "tiny", "imagenet"))
    assert cifar["gaussian_noise"] == (0.04, 0.06, 0.08, 0.09, 0.10)
    assert cifar["shot_noise"] == (500, 250, 100, 75, 50)
    assert cifar["impulse_noise"] == (0.01, 0.02, 0.03, 0.05, 0.07)
    assert cifar["defocus_blur"] == ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
    assert cifar["glass_blur"] == ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))
    assert cifar["motion_blur"] == ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
    assert cifar["snow"][2] == (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9)
    assert cifar["frost"] == ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
    assert cifar["fog"] == ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
    assert cifar["brightness"] == (0.05, 0.1, 0.15, 0.2, 0.3)
    assert cifar["contrast"] == (0.75, 0.5, 0.4, 0.3, 0.15)
    assert cifar["pixelate"] == (0.95, 0.9, 0.85, 0.75, 0.65)
    assert cifar["jpeg_compression"] == (80, 65, 58, 50, 40)
    assert tiny["gaussian_noise"] == (0.04, 0.08, 0.12, 0.15, 0.18)
    assert tiny["jpeg_compression"] == (65, 58, 50, 40, 25)
    assert imagenet["gaussian_noise"] == (0.08, 0.12, 0.18, 0.26, 0.38)
    assert imagenet["glass_blur"][4] == (1.5, 4, 2)
    assert imagenet["elastic_transform"][4][0] * 224 == pytest.approx(244 * 0.12)


@pytest.mark.parametrize("table", ["cifar", "tiny", "imagenet"])
def test_a_table_has_five_settings_of_one_form_for_all_19(table):
    settings = severities(table)
    assert set(settings) == set(ALL) == set(FUNCTIONS) == set(MEANING)
    for name, five in settings.items():
        assert len(five) == 5, name
        assert len({np.shape(setting) for setting in five}) == 1, name


@pytest.mark.parametrize(
    ("table", "counts"),
    [("cifar", [7, 12, 16, 21, 26]), ("tiny", [7, 12, 16, 21, 26]), ("imagenet", [12, 16, 11, 13, 11])],
)
def test_zoom_factors_are_as_many_as_numpy_made_them(table, counts):
    assert [len(np.arange(1, stop, step)) for stop, step in severities(table)["zoom_blur"]] == counts


@pytest.mark.parametrize("name", ALL)
def test_results_are_new_images_on_the_8_bit_grid_and_leave_no_trace(name):
    x = images(6)
    before, state = x.clone(), torch.get_rng_state()
    for severity in (1, 5):
        y = run(x, name, severity)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.data_ptr() != x.data_ptr()
        levels = y * 255
        assert float((levels - levels.round()).abs().max()) < 1e-4
        assert 0 <= float(y.min()) <= float(y.max()) <= 1
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ALL)
def test_pixels_do_not_depend_on_the_batch_or_its_order(name):
    x, index = images(9), torch.tensor([5, 0, 77, 3, 1, 9999, 12, 8, 2])
    together = run(x, name, index=index)
    order = torch.tensor([4, 8, 0, 2, 7, 1, 3, 6, 5])
    assert torch.equal(run(x[order], name, index=index[order]), together[order])
    for part in (slice(0, 1), slice(1, 4), slice(4, 9)):
        assert torch.equal(run(x[part], name, index=index[part]), together[part])


@pytest.mark.parametrize(
    "name", ["gaussian_noise", "glass_blur", "snow", "frost", "fog", "elastic_transform", "spatter"]
)
def test_draws_change_with_seed_severity_and_image(name):
    x = images(1).repeat(2, 1, 1, 1)
    one, other = run(x, name)
    assert not torch.equal(one, other)
    assert not torch.equal(run(x, name, seed=1)[0], one)
    streams = [Draws.of(torch.tensor([0]), 0, n, s).bits(4).tolist() for n, s in ((name, 3), (name, 4), ("x", 3))]
    assert len({str(s) for s in streams}) == 3


@pytest.mark.parametrize(
    "name",
    [*BLURS, "elastic_transform", "contrast", "pixelate", "saturate"],
)
@pytest.mark.parametrize(("table", "side"), [("cifar", 32), ("cifar", 16), ("tiny", 64)])
def test_a_grey_image_stays_as_it_is(name, table, side):
    x = grey(77, count=2, side=side)
    for severity in range(1, 6):
        if not (name == "saturate" and severity >= 4):  # there grey is given a hue, as published
            assert torch.equal(run(x, name, severity, table), x), severity


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "contrast", "brightness", "jpeg_compression", "fog"])
@pytest.mark.parametrize(("table", "side"), [("cifar", 32), ("tiny", 64)])
def test_a_higher_severity_changes_more(name, table, side):
    x = images(24, side)
    change = [float((run(x, name, severity, table) - x).abs().mean()) for severity in range(1, 6)]
    assert change == sorted(change)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("table", "shape"), [("cifar", (8, 8)), ("tiny", (40, 64)), ("imagenet", (96, 70))])
def test_other_sizes_and_sides_that_differ_work(name, table, shape):
    x = images(2, max(shape))[..., : shape[0], : shape[1]]
    for severity in (2, 5):
        assert run(x, name, severity, table).shape == x.shape


def test_contrast_is_its_closed_form():
    x = images()
    mean = x.double().mean((2, 3), keepdim=True)
    expected = ((x.double() - mean) * 0.4 + mean).clamp(0, 1) * 255
    assert float((run(x, "contrast") * 255 - expected).abs().max()) <= 1.001  # cut off, not rounded


def test_brightness_of_grey_is_value_plus_summand_and_black_turns_grey():
    for level in (0, 100, 250):
        expected = min(math.floor(level + 0.15 * 255), 255) / 255
        assert torch.allclose(run(grey(level), "brightness"), torch.tensor(expected))


@pytest.mark.parametrize("name", ["brightness", "saturate"])
def test_colours_agree_with_scikit_image(name):
    color = pytest.importorskip("skimage.color")
    x = images(2)
    x[0, :, :4, :4] = 0.0
    x[1, :, :4, :4] = 0.5
    for setting in severities("tiny")[name]:
        hsv = color.rgb2hsv(x.double().permute(0, 2, 3, 1).numpy())
        if name == "brightness":
            hsv[..., 2] = np.clip(hsv[..., 2] + setting, 0, 1)
        else:
            hsv[..., 1] = np.clip(hsv[..., 1] * setting[0] + setting[1], 0, 1)
        expected = torch.from_numpy(color.hsv2rgb(hsv)).permute(0, 3, 1, 2).float()
        torch.testing.assert_close(FUNCTIONS[name](x, setting, NONE), expected, atol=1e-5, rtol=0)


def test_gaussian_noise_has_its_mean_and_deviation():
    x = grey(count=40)
    noise = FUNCTIONS["gaussian_noise"](x, 0.08, Draws.of(torch.arange(40), 0)) - x
    n = noise.numel()
    assert abs(float(noise.mean())) < 3 * 0.08 / n**0.5
    assert abs(float(noise.std()) - 0.08) < 3 * 0.08 / (2 * n) ** 0.5
    assert abs(float((noise / 0.08).pow(4).mean()) - 3) < 3 * (96 / n) ** 0.5


def test_speckle_noise_is_in_proportion_to_the_pixel():
    draws = [Draws.of(torch.arange(20), 0) for _ in range(2)]
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
    y = FUNCTIONS["shot_noise"](grey(100, count=60), rate, Draws.of(torch.arange(60), 0)).double()
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


@pytest.mark.parametrize("shape", [(32, 32), (17, 24), (64, 64)])
@pytest.mark.parametrize("factor", [0.95, 0.85, 0.65, 0.5, 0.25])
def test_pixelate_is_pillows_box_filter_bit_by_bit(shape, factor):
    x = images(3, max(shape))[..., : shape[0], : shape[1]]
    for image, result in zip(x, pixelate(x, factor, NONE), strict=True):
        pil = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
        small = pil.resize((int(shape[1] * factor), int(shape[0] * factor)), Image.Resampling.BOX)
        expected = np.asarray(small.resize(shape[::-1], Image.Resampling.BOX))
        assert np.array_equal((result * 255).round().byte().permute(1, 2, 0).numpy(), expected)


def test_jpeg_is_pillows():
    x = images(2)
    for image, result in zip(x, run(x, "jpeg_compression"), strict=True):
        file = io.BytesIO()
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=58)
        assert np.array_equal((result * 255).round().byte().permute(1, 2, 0).numpy(), np.asarray(Image.open(file)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "gausian_noise"}, "did you mean 'gaussian_noise'"),
        ({"severity": 0}, "from 1 .mild. to 5, got 0"),
        ({"severity": 6}, "got 6"),
        ({"table": "cifar10"}, "did you mean 'cifar'"),
        ({"table": "imagenet"}, "got 32 x 32: use table 'cifar'"),
        ({"x": torch.zeros(2, 3, 64, 64)}, "use table 'imagenet'"),
        ({"x": torch.zeros(2, 3, 48, 48)}, "use table 'tiny'"),
        ({"x": torch.zeros(2, 3, 4, 4)}, "from 8 px"),
        ({"x": torch.zeros(2, 1, 32, 32)}, "float .B,3,H,W."),
        ({"x": torch.zeros(0, 3, 32, 32)}, "nothing to corrupt"),
        ({"x": torch.full((2, 3, 32, 32), 2.0)}, r"\[0,1\], got \[2.00"),
        ({"x": torch.zeros(2, 3, 32, 32, dtype=torch.uint8)}, "must be float"),
        ({"index": torch.arange(3)}, "index must be 2 whole numbers"),
        ({"index": torch.zeros(2)}, "torch.float32"),
        ({"textures": torch.zeros(1, 3, 64, 64)}, "textures are for frost"),
        ({"name": "frost", "textures": torch.zeros(1, 3, 20, 64)}, "at least 32 x 32"),
    ],
)
def test_what_cannot_be_corrupted_is_refused_with_a_way_out(change, message):
    given = {"x": torch.zeros(2, 3, 32, 32), "name": "snow", "severity": 3, "table": "cifar", "index": torch.arange(2)}
    given |= change
    with pytest.raises(UserError, match=message):
        run(**given)
