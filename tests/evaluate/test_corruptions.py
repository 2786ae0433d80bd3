"""`corrupt`: what does it promise for all 19 corruptions, what is refused, and are its tables the published ones?"""

import numpy as np
import pytest
import torch
from helpers.corrupting import grey, images, run

from adautomix.evaluate.corruptions import ALL19, FUNCTIONS, default_table, severities
from adautomix.evaluate.corruptions.blur import mirrored
from adautomix.evaluate.per_image_rng import PerImageRNG
from adautomix.utils.errors import UserError

BLURS = ("gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur")


@pytest.mark.parametrize("name", ALL19)
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


@pytest.mark.parametrize("name", ALL19)
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
    streams = [PerImageRNG.of(torch.tensor([0]), 0, n, s).bits(4).tolist() for n, s in ((name, 3), (name, 4), ("x", 3))]
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


@pytest.mark.parametrize("name", ALL19)
@pytest.mark.parametrize(("table", "shape"), [("cifar", (8, 8)), ("tiny", (40, 64)), ("imagenet", (96, 70))])
def test_other_sizes_and_sides_that_differ_work(name, table, shape):
    x = images(2, max(shape))[..., : shape[0], : shape[1]]
    for severity in (2, 5):
        assert run(x, name, severity, table).shape == x.shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "gausian_noise"}, "did you mean 'gaussian_noise'"),
        ({"severity": 0}, "from 1 .mild. to 5, got 0"),
        ({"severity": 6}, "got 6"),
        ({"table": "cifar10"}, "did you mean 'cifar'"),
        ({"table": "imagenet"}, "got 32 x 32: use table 'cifar'"),
        ({"x": torch.zeros(2, 3, 64, 64)}, "use table 'tiny'"),
        ({"x": torch.zeros(2, 3, 96, 96)}, "use table 'imagenet'"),
        ({"x": torch.zeros(2, 3, 48, 48)}, "use table 'tiny'"),
        ({"x": torch.zeros(2, 3, 4, 4)}, "from 8 px"),
        ({"x": torch.zeros(2, 1, 32, 32)}, r"got .*\(2, 1, 32, 32\)"),
        ({"x": torch.zeros(0, 3, 32, 32)}, r"got .*\(0, 3, 32, 32\)"),
        ({"x": torch.full((2, 3, 32, 32), 2.0)}, r"got \[2.00"),
        ({"x": torch.zeros(2, 3, 32, 32, dtype=torch.uint8)}, "uint8"),
        ({"index": torch.arange(3)}, "index must be 2"),
        ({"index": torch.zeros(2)}, "torch.float32"),
    ],
)
def test_what_cannot_be_corrupted_is_refused_with_a_way_out(change, message):
    given = {"x": torch.zeros(2, 3, 32, 32), "name": "snow", "severity": 3, "table": "cifar", "index": torch.arange(2)}
    given |= change
    with pytest.raises(UserError, match=message):
        run(**given)


def test_the_table_follows_the_images_size():
    assert [default_table(side) for side in (16, 32, 48, 64, 224)] == ["cifar", "cifar", "tiny", "tiny", "imagenet"]


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
    assert set(settings) == set(ALL19) == set(FUNCTIONS)
    for name, five in settings.items():
        assert len(five) == 5, name
        assert len({np.shape(setting) for setting in five}) == 1, name


@pytest.mark.parametrize(
    ("table", "counts"),
    [("cifar", [7, 12, 16, 21, 26]), ("tiny", [7, 12, 16, 21, 26]), ("imagenet", [12, 16, 11, 13, 11])],
)
def test_zoom_factors_are_as_many_as_numpy_made_them(table, counts):
    assert [len(np.arange(1, stop, step)) for stop, step in severities(table)["zoom_blur"]] == counts


@pytest.mark.parametrize(("height", "width"), [(8, 100), (9, 70), (224, 8), (8, 65)])
def test_every_side_that_is_accepted_is_corrupted_by_all(height, width):
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    for name in ALL19:
        for severity in (1, 5):
            found = run(x, name, severity, table=default_table(max(height, width)))
            assert found.shape == x.shape
            assert found.isfinite().all()


def test_a_small_image_is_mirrored_again_and_again():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    wide = mirrored(x, 5)
    assert wide.shape == (1, 1, 13, 14)
    assert wide[0, 0, 5].tolist() == [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert torch.equal(mirrored(x, 2), torch.nn.functional.pad(x, (2,) * 4, mode="reflect"))
    assert torch.equal(mirrored(x, 3)[..., 1:-1, 1:-1], mirrored(x, 2))
