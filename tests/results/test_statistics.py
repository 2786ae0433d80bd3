"""Paired t tests over seeds and Holm's correction: against hand-worked tables."""

import math
import warnings

import pandas as pd
import pytest

from adautomix.results.statistics import holm, paired_t, seed_sd


def paired(ours, theirs):
    return paired_t(pd.Series(ours), pd.Series(theirs))


def test_two_seeds_have_no_standard_deviation_anywhere():
    assert math.isnan(seed_sd(pd.Series([50.0, 50.0])))
    assert math.isnan(seed_sd(pd.Series([50.0, 51.0, float("nan")])))
    assert seed_sd(pd.Series([50.0, 51.0, 52.0])) == pytest.approx(1)


def test_paired_t_agrees_with_a_table_worked_by_hand():
    found = paired([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])  # differences 1, 2, 3: mean 2, sd 1
    half = 4.302653 / math.sqrt(3)  # the printed t table: 97.5 %, two degrees of freedom
    assert (found["pairs"], found["difference"]) == (3, pytest.approx(2))
    assert (found["low"], found["high"]) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert found["p"] == pytest.approx(0.0741799, rel=1e-5)  # t = 2 sqrt(3), 1 - t / sqrt(2 + t^2)


def test_only_seeds_of_both_count_and_they_are_matched_by_number():
    found = paired({0: 3.0, 1: 5.0, 2: 7.0, 9: 99.0}, {2: 4.0, 1: 3.0, 0: 2.0, 8: 0.0})
    assert found == paired([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])


def test_differences_that_never_vary_are_no_test_but_where_they_are_0():
    theirs = [80.1, 79.3, 81.7]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same, shifted = paired(theirs, theirs), paired([81.2, 80.4, 82.8], theirs)
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    assert (shifted["pairs"], shifted["difference"]) == (3, pytest.approx(1.1))
    assert all(math.isnan(shifted[name]) for name in ("low", "high", "p"))


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_fewer_than_three_seeds_get_no_p_value(seeds):
    found = paired([80.0] * seeds, [79.0] * seeds)
    assert found["pairs"] == seeds
    assert found["difference"] == (1 if seeds else pytest.approx(math.nan, nan_ok=True))
    assert all(math.isnan(found[name]) for name in ("low", "high", "p"))


def test_holm_agrees_with_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_keeps_the_order_and_stops_at_one():
    assert holm([0.9, 0.02, 0.8]) == pytest.approx([1, 0.06, 1])


def test_holm_leaves_a_single_p_value_alone_and_takes_none():
    assert holm([0.2]) == [0.2]
    assert holm([]).size == 0


def test_holm_counts_no_test_that_was_not_made():
    assert holm([0.01, math.nan, 0.02, math.nan]) == pytest.approx([0.02, math.nan, 0.02, math.nan], nan_ok=True)
