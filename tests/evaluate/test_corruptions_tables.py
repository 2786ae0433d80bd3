"""The corruptions' tables: are the settings of every severity the published ones?"""

import numpy as np
import pytest

from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4, FUNCTIONS, severities
from adautomix.evaluate.corruptions.tables import MEANING

ALL = CORRUPTIONS15 + CORRUPTIONS_EXTRA4


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
