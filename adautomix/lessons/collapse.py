"""What notebook 03 says of runs whose masks show one image alone: that they collapsed, and what a lead does not show.

A collapsed generator leaves its network clean images, under a label that also names an image which is not there.
"""

from collections.abc import Mapping

COLLAPSED = 0.05
"""Mask entropy in nats below which nearly every pixel comes from one image; an even blend of two has 0.69."""


def collapse_told(entropy: Mapping[str, float], top1: Mapping[str, float], shown: Mapping[str, float]) -> str:
    """Return sentences on which generators have collapsed, and what a lead of such a network does not show.

    Args:
        entropy: of the masks at the end of a run, in nats, by the run's label; a cut by boxes would be low as well.
        top1: of the networks at the end, in %, by label; some or all may be missing.
        shown: image 1's share of the pixels at equal shares of the label, by label.
    """
    collapsed = [label for label in entropy if entropy[label] < COLLAPSED]
    if not collapsed:
        return f"no generator has collapsed: every mask entropy is above {COLLAPSED} nats"
    lines = []
    for label in collapsed:
        lines += [f"{label} has collapsed: at equal shares of the label image 1 has {shown[label]:.2f} of the pixels"]
    best = max(top1, key=lambda label: top1[label], default=None)
    if best in collapsed:
        lines += [f"{best} is the most accurate all the same ({top1[best]:.1f} %): by the end its network was shown"]
        lines += ["clean images with a softened label, so its lead is no evidence that mixing helped"]
    elif best is not None:
        lines += [f"the most accurate, {best} ({top1[best]:.1f} %), has not collapsed"]
    return "\n".join(lines)
