"""What a share of n test images says: its 95 % interval, the digits it has, and whether the best is told from the next.

One network on its test images, by Wilson's interval: it knows nothing of the seeds. Two networks that saw the same
images may differ although their intervals overlap; two whose intervals do not overlap differ on these images.
"""

import math

import pandas as pd

Z = 1.959964
"""97.5 % point of the normal distribution: of an interval of 95 %."""


def wilson(percent: float, n: int) -> tuple[float, float]:
    """Return low and high of the 95 % interval of a share of n images, all in percent, within 0 and 100.

    Not scipy's, which takes whole counts: a mean over corruptions is none.
    Source: Wilson 1927, the score interval; unlike mean ± 1.96 standard errors it holds near 0 and 100 % as well.
    """
    share, wide = percent / 100, Z**2 / n
    centre = (share + wide / 2) / (1 + wide)
    half = math.sqrt(share * (1 - share) * wide + wide**2 / 4) / (1 + wide)
    return 100 * max(centre - half, 0.0), 100 * min(centre + half, 1.0)


def places(n: int) -> int:
    """Return the decimals that a share of n images has in percent, up to two; none where an image is half a point."""
    return 0 if n < 200 else 1 if n < 2000 else 2


def share_text(percent: float, n: int) -> str:
    """Return a share of n images and its interval in the digits it has: "94 [80, 98]"."""
    low, high = wilson(percent, n)
    return f"{percent:.{places(n)}f} [{low:.{places(n)}f}, {high:.{places(n)}f}]"


def leader(percents: pd.Series, n: int, *, lower: bool = False) -> str:
    """Return who is best, with the interval, and whether the others are told apart from it on n images.

    Args:
        percents: a share of n images by name, in percent; nan counts as not measured.
        lower: the lowest is the best, as of errors.
    Returns: such as "automix, 91 [76, 97] %, not distinguishable on 32 images from 9 of 12 others (next: fmix, 88
        [72, 95] %)".
    """
    percents = percents.dropna()
    if percents.empty:
        return "nothing measured"
    ordered = percents.sort_values(ascending=lower, kind="stable")
    (best, top), others = next(iter(ordered.items())), ordered.iloc[1:]
    told = f"{best}, {share_text(top, n)} %"
    if others.empty:
        return f"{told}, alone"
    alike = sum(_overlap(top, other, n) for other in others)
    after = f"{others.index[0]}, {share_text(others.iloc[0], n)} %"
    if not alike:
        return f"{told}, clearly ahead of the next on {n} images ({after})"
    many = "the other" if len(others) == 1 else f"any of {len(others)} others" if alike == len(others) else ""
    return (
        f"{told}, not distinguishable on {n} images from {many or f'{alike} of {len(others)} others'} (next: {after})"
    )


def _overlap(one: float, other: float, n: int) -> bool:
    (low, high), (floor, top) = wilson(one, n), wilson(other, n)
    return low <= top and floor <= high
