"""Is method A better than method B, or was it luck? Paired tests over seeds and over test images.

What a reader gets wrong: seeds and images answer different questions. Resampling images says whether *these two trained
networks* differ; only several seeds say whether the *methods* do. With three seeds the two-sided Wilcoxon test cannot
go below p = 0.25, hence the t test here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from adautomix.utils.errors import UserError

FEWEST_SEEDS = 3
"""Pairs below which no p-value is given: two differences leave one degree of freedom to guess their spread."""


@dataclass(frozen=True)
class Comparison:
    """A paired difference A - B, its confidence interval [low, high], the p-value if there is one, and the pairs n."""

    difference: float
    low: float
    high: float
    p: float | None
    n: int


def paired_t(a: ArrayLike, b: ArrayLike, *, alpha: float = 0.05) -> Comparison:
    """Return the mean difference over seeds with its t interval and two-sided p-value.

    Differences that are all alike leave no spread: the interval is one point, p is 1 if they are 0 and else 0.

    Args:
        a, b: one number a seed, in any unit; a[i] and b[i] share seed i.
        alpha: the interval covers 1 - alpha.
    Returns: difference, low and high in the unit of a and b.
    Raises: UserError for fewer than 3 seeds: there is no p-value to give, report the differences themselves. Also for
        unequal lengths, numbers that are not finite, and alpha outside (0,1).
    """
    from scipy import stats

    _check_alpha(alpha)
    a, b = _numbers(a, "a"), _numbers(b, "b")
    _check_pairs(a, b)
    n = len(a)
    if n < FEWEST_SEEDS:
        raise UserError(
            f"a p-value needs at least {FEWEST_SEEDS} seeds, got {n}; train more seeds, or report the differences alone"
        )
    differences = a - b
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(n)
    half = stats.t.ppf(1 - alpha / 2, n - 1) * error
    if error > 0:
        p = 2 * stats.t.sf(abs(mean) / error, n - 1)
    else:
        p = 1.0 if mean == 0 else 0.0
    return Comparison(float(mean), float(mean - half), float(mean + half), float(p), n)


def paired_bootstrap(
    correct_a: ArrayLike, correct_b: ArrayLike, *, samples: int = 10_000, alpha: float = 0.05, seed: int = 0
) -> Comparison:
    """Return the accuracy difference over images with its percentile bootstrap interval; p is None.

    Both methods are resampled with the same images. An image counts +1, 0 or -1, so a resample is a multinomial draw
    of how often each of the three comes up: the same distribution as drawing indices, at a cost free of n.

    Args:
        correct_a, correct_b: one boolean a test image, same images in the same order.
        samples: resamples, at least 100.
        alpha: the interval covers 1 - alpha.
        seed: of the resampling; the same seed gives the same interval.
    Returns: difference, low and high as fractions of the images: 0.01 is one percentage point of accuracy.
    Raises: UserError for arrays that are not boolean, empty or of unequal lengths, and for bad samples or alpha.
    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles).
    """
    _check_alpha(alpha)
    if samples < 100:
        raise UserError(f"samples must be at least 100, got {samples}: the ends of the interval would be noise")
    a_only, b_only, n = _discordant(correct_a, correct_b)
    shares = np.array([a_only, b_only, n - a_only - b_only]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=samples)  # [samples,3]
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [alpha / 2, 1 - alpha / 2])
    return Comparison((a_only - b_only) / n, float(low), float(high), None, n)


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Return the exact two-sided p-value of McNemar's test: are both networks equally often right on these images?

    Only images that one network alone gets right count; without any the answer is 1.

    Args:
        correct_a, correct_b: one boolean a test image, same images in the same order.
    Raises: UserError for arrays that are not boolean, empty or of unequal lengths.
    Source: McNemar 1947, with the binomial distribution in place of its chi-squared limit.
    """
    from scipy import stats

    a_only, b_only, _ = _discordant(correct_a, correct_b)
    if a_only + b_only == 0:
        return 1.0
    return float(stats.binomtest(a_only, a_only + b_only, 0.5).pvalue)


def holm(p_values: ArrayLike) -> list[float]:
    """Return the p-values adjusted for being several, in the order given.

    Those at most alpha may be called significant together: the chance of any false one is then at most alpha.

    Raises: UserError for no p-values, or one outside [0,1].
    Source: Holm 1979; p of rank i among m, times m - i + 1, never below a smaller one's, at most 1.
    """
    p = _numbers(p_values, "p_values")
    if p.min() < 0 or p.max() > 1:
        raise UserError(f"p-values must be in [0,1], got {p.min():g} to {p.max():g}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted.tolist()


def _discordant(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[int, int, int]:
    """Return on how many images only A is right, on how many only B, and of how many."""
    a, b = _booleans(correct_a, "correct_a"), _booleans(correct_b, "correct_b")
    _check_pairs(a, b)
    return int((a & ~b).sum()), int((~a & b).sum()), len(a)


def _booleans(values: ArrayLike, name: str) -> np.ndarray:
    array = _one_row(values, name)
    if array.dtype != bool:
        raise UserError(f"{name} must be boolean, one entry an image, got {array.dtype}; give predictions == labels")
    return array


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    array = _one_row(values, name)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name} must be numbers, got {array.dtype}")
    array = array.astype(float)
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise UserError(
            f"{name} must be finite, got {array[bad[0]]} at place {bad[0]}; a failed run cannot be compared"
        )
    return array


def _one_row(values: ArrayLike, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal lengths
        raise UserError(f"{name} must be one row of values: {error}") from error
    if array.ndim != 1 or len(array) == 0:
        raise UserError(f"{name} must be one row of values, at least one, got shape {array.shape}")
    return array


def _check_pairs(a: np.ndarray, b: np.ndarray) -> None:
    if len(a) != len(b):
        raise UserError(f"paired values must be equally many, got {len(a)} and {len(b)}; they go together by place")


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise UserError(f"alpha must be between 0 and 1, got {alpha}; 0.05 gives the 95% interval")
