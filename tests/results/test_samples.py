"""Shares of n images: their intervals, their digits, and who is told from whom."""

import pandas as pd
import pytest
from scipy.stats import binomtest

from adautomix.results.samples import leader, places, share_text, wilson


@pytest.mark.parametrize(("right", "n"), [(0, 24), (24, 24), (29, 32), (64, 128), (785, 797)])
def test_the_interval_is_scipys_wilson_interval(right, n):
    wanted = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(100 * right / n, n) == pytest.approx((100 * wanted.low, 100 * wanted.high), abs=1e-4)


def test_a_share_has_the_digits_that_its_images_give_it():
    assert [places(n) for n in (24, 128, 797, 10_000)] == [0, 0, 1, 2]
    assert share_text(87.5, 32) == "88 [72, 95]"
    assert share_text(98.37, 797) == "98.4 [97.2, 99.0]"


def test_the_best_of_few_images_is_not_told_from_the_next():
    errors = pd.Series({"fmix": 12.5, "automix": 9.375, "resizemix": 50.0})
    assert leader(errors, 32, lower=True) == (
        "automix, 9 [3, 24] %, not distinguishable on 32 images from 1 of 2 others (next: fmix, 12 [5, 28] %)"
    )
    assert "clearly ahead of the next on 100000 images (fmix, 12.50 [12.30, 12.71] %)" in leader(
        errors, 100_000, lower=True
    )
    assert "from any of 2 others" in leader(errors, 2, lower=True)
    assert "from the other (next: fmix" in leader(errors[:2], 32, lower=True)
    assert leader(errors[:1], 32) == "fmix, 12 [5, 28] %, alone"
    assert leader(pd.Series({"fmix": 12.5, "cutmix": float("nan")}), 32) == "fmix, 12 [5, 28] %, alone"
    assert leader(pd.Series({"cutmix": float("nan")}), 32) == "nothing measured"
