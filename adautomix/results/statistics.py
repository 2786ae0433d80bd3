"""Is one method better than another, or was it luck? A paired t test over seeds, and a correction for several tests.

Seeds, not test images: resampling images would say whether two trained networks differ, not whether the methods do.
With three seeds the two-sided Wilcoxon test cannot go below p = 0.25, hence the t test.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

FEWEST_SEEDS = 3
"""Below it no p-value and no standard deviation is given: two numbers leave one degree of freedom for their spread."""


def seed_sd(numbers: pd.Series) -> float:
    """Return the standard deviation (ddof=1) over seeds, nan for fewer than three: two may agree by luck.

    All tables and figures take theirs from here, so that none shows a spread that the others withhold.
    """
    return float(numbers.std()) if numbers.count() >= FEWEST_SEEDS else math.nan


def paired_t(ours: pd.Series, theirs: pd.Series) -> dict[str, float]:
    """Return how far one method is ahead of another over the seeds both have.

    Differences that are all alike leave no spread, as steps of one test image will by chance: where they are 0 the
    interval is one point and p is 1, else there is no test.

    Args:
        ours, theirs: one number a seed, in any unit, with the seed as index; only seeds of both count.
    Returns: pairs (their number), difference (the mean, nan without any), low and high of its 95 % t interval in the
        same unit, and the two-sided p; low, high and p are nan for fewer than three pairs, and without a spread.
    """
    from scipy import stats  # half a second, and only tables of several seeds need it

    differences = (ours - theirs).dropna()
    mean = differences.mean()
    result = {"pairs": len(differences), "difference": mean, "low": math.nan, "high": math.nan, "p": math.nan}
    if len(differences) < FEWEST_SEEDS:
        return result
    if np.ptp(differences) < 1e-9:  # scipy gives nan, or warns of rounding
        return result | ({"low": 0.0, "high": 0.0, "p": 1.0} if abs(mean) < 1e-9 else {})
    test = stats.ttest_rel(ours[differences.index], theirs[differences.index])
    low, high = test.confidence_interval(0.95)
    return result | {"low": low, "high": high, "p": test.pvalue}


def holm(p_values: ArrayLike) -> np.ndarray:
    """Return the p-values adjusted for being several, in the order given.

    Those at most alpha may be called significant together: the chance of any false one is then at most alpha. A nan
    is no test: it stays, and counts for none.

    Source: Holm 1979; p of rank i among m, times m - i + 1, never below a smaller one's, at most 1.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # nan sorts last
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return adjusted
