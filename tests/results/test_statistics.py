"""Paired tests over seeds and images: against hand-worked tables, scipy's own tests and simulation."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from scipy import stats

from adautomix.results.statistics import holm, mcnemar, paired_bootstrap, paired_t
from adautomix.utils.errors import UserError


def discordant(a_only, b_only, both=0, neither=0):
    """Return two rows of correctness with these counts."""
    a = [True] * a_only + [False] * b_only + [True] * both + [False] * neither
    b = [False] * a_only + [True] * b_only + [True] * both + [False] * neither
    return np.array(a), np.array(b)


def test_paired_t_agrees_with_a_table_worked_by_hand():
    found = paired_t([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])  # differences 1, 2, 3: mean 2, sd 1
    half = 4.302653 / math.sqrt(3)  # the printed t table: 97.5 %, two degrees of freedom
    assert found.n == 3
    assert found.difference == pytest.approx(2)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert found.p == pytest.approx(0.0741799, rel=1e-5)  # t = 2 sqrt(3), 1 - t / sqrt(2 + t^2)


@pytest.mark.parametrize("alpha", [0.05, 0.32])
def test_paired_t_agrees_with_scipy(alpha):
    rng = np.random.default_rng(0)
    a, b = rng.normal(80, 1, 6), rng.normal(79, 1, 6)
    oracle = stats.ttest_rel(a, b)
    interval = oracle.confidence_interval(1 - alpha)
    found = paired_t(a, b, alpha=alpha)
    assert (found.p, found.low, found.high) == pytest.approx((oracle.pvalue, interval.low, interval.high))


def test_identical_methods_differ_by_zero_with_p_one():
    scores, correct = [80.1, 79.3, 81.7], [True, False, True]
    over_seeds, over_images = paired_t(scores, scores), paired_bootstrap(correct, correct)
    assert (over_seeds.difference, over_seeds.low, over_seeds.high, over_seeds.p) == (0, 0, 0, 1)
    assert (over_images.difference, over_images.low, over_images.high, over_images.p) == (0, 0, 0, None)
    assert mcnemar(correct, correct) == 1


def test_a_difference_that_never_varies_has_p_zero():
    found = paired_t([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (found.difference, found.low, found.high, found.p) == (1, 1, 1, 0)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_get_no_p_value(seeds):
    with pytest.raises(UserError, match=f"at least 3 seeds, got {seeds}"):
        paired_t([80.0] * seeds, [79.0] * seeds)


def test_mcnemar_agrees_with_a_table_worked_by_hand():
    # b=10, c=2: twice the chance of at most 2 heads in 12 tosses, 2 (1 + 12 + 66) / 4096
    assert mcnemar(*discordant(10, 2, both=50, neither=7)) == pytest.approx(158 / 4096)
    assert mcnemar(*discordant(2, 10)) == pytest.approx(158 / 4096)


def test_mcnemar_without_a_discordant_image_is_one():
    assert mcnemar(*discordant(0, 0, both=3, neither=2)) == 1


def test_holm_agrees_with_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_keeps_the_order_and_stops_at_one():
    assert holm([0.9, 0.02, 0.8]) == pytest.approx([1, 0.06, 1])


def test_holm_leaves_a_single_p_value_alone():
    assert holm([0.2]) == [0.2]


def test_the_bootstrap_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(0)
    images, trials, truth = 400, 500, 0.2 - 0.12
    covered = 0
    for trial in range(trials):
        outcome = rng.choice([1, -1, 0], size=images, p=[0.2, 0.12, 0.68])
        found = paired_bootstrap(outcome == 1, outcome == -1, samples=1000, seed=trial)
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / trials <= 0.97


def test_the_bootstrap_agrees_with_drawing_the_images_themselves():
    rng = np.random.default_rng(1)
    a, b = rng.random(300) < 0.8, rng.random(300) < 0.7
    index = rng.integers(0, 300, size=(10_000, 300))  # one set of images for both methods
    resampled = a[index].mean(axis=1) - b[index].mean(axis=1)
    found = paired_bootstrap(a, b)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.005)


def test_the_bootstrap_pairs_the_images():
    a, b = discordant(3, 1, both=500, neither=500)  # unpaired, the interval would reach 0.04 to either side
    found = paired_bootstrap(a, b)
    assert found.high - found.low < 0.01


def test_the_bootstrap_is_repeated_by_its_seed():
    a, b = discordant(30_000, 20_000, both=50_000)  # steps of 1e-5: two seeds do not agree by chance
    assert paired_bootstrap(a, b, seed=3) == paired_bootstrap(a, b, seed=3)


def test_swapping_the_methods_turns_the_difference_round():
    a, b = discordant(30, 20, both=50)
    there, back = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert there.difference == -back.difference == 0.1
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.02)


def test_the_bootstrap_of_many_images_needs_little_memory():
    a, b = discordant(60_000, 50_000, both=90_000)
    tracemalloc.start()
    try:
        paired_bootstrap(a, b)
        assert tracemalloc.get_traced_memory()[1] < 10e6  # indices alone would take 16 GB
    finally:
        tracemalloc.stop()


def test_torch_tensors_are_as_good_as_arrays():
    a, b = discordant(10, 2, both=5)
    assert mcnemar(torch.from_numpy(a), torch.from_numpy(b)) == mcnemar(a, b)
    assert paired_t(torch.tensor([3.0, 5, 7]), torch.tensor([2.0, 3, 4])).difference == 2


@pytest.mark.parametrize("compare", [mcnemar, paired_bootstrap])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([True, False], [True], "equally many, got 2 and 1"),
        ([], [], "at least one"),
        ([1, 0], [True, False], "correct_a must be boolean"),
        ([True, False], [1.0, math.nan], "correct_b must be boolean"),
        ([[True], [False]], [[True], [False]], r"got shape \(2, 1\)"),
    ],
)
def test_bad_correctness_is_refused(compare, a, b, message):
    with pytest.raises(UserError, match=message):
        compare(np.array(a), np.array(b))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0], "equally many, got 3 and 2"),
        ([], [], "at least one"),
        ([1.0, math.nan, 3.0], [1.0, 2.0, 3.0], "a must be finite, got nan at place 1"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, math.inf], "b must be finite, got inf at place 2"),
        (["x", "y", "z"], [1.0, 2.0, 3.0], "a must be numbers"),
        ([[1.0], [2.0, 3.0]], [1.0, 2.0], "one row of values"),
    ],
)
def test_bad_scores_are_refused(a, b, message):
    with pytest.raises(UserError, match=message):
        paired_t(a, b)


@pytest.mark.parametrize(
    ("p_values", "message"),
    [([], "at least one"), ([0.5, math.nan], "finite"), ([0.5, 1.1], "got 0.5 to 1.1"), ([-0.1], "got -0.1 to -0.1")],
)
def test_bad_p_values_are_refused(p_values, message):
    with pytest.raises(UserError, match=message):
        holm(p_values)


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan, 95.0])
def test_a_bad_alpha_is_refused(alpha):
    with pytest.raises(UserError, match="alpha must be between 0 and 1"):
        paired_t([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], alpha=alpha)
    with pytest.raises(UserError, match="alpha must be between 0 and 1"):
        paired_bootstrap([True], [False], alpha=alpha)


def test_too_few_resamples_are_refused():
    with pytest.raises(UserError, match="samples must be at least 100, got 10"):
        paired_bootstrap([True], [False], samples=10)
