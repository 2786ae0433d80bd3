"""Lines of many methods: the colours that are kept, the legend that can be read. Reads no torch."""

import itertools
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from adautomix.figures.style import BESIDE, MARKERS, label_colors, method_colors, plain

LEADING, MOST_COLORS, GREY = ("vanilla", "automix", "adautomix"), 6, "0.75"
"""Methods whose lines keep their colour where there are more labels than that; the colour of the other lines."""


def line_colors(named: pd.DataFrame) -> dict[str, Any]:
    """Return `label_colors`, but of more than six labels only the LEADING methods have a colour; the others are grey.

    Thirteen colours cannot be followed. Grey labels come first, so that coloured lines are drawn over them. Of several
    labels of a method the first one of each data set and network is coloured: those stand in panels of their own.
    AdAutoMix's other objectives keep their shade as well; their lines are dashed (`line_style`).
    """
    colors = label_colors(named)
    if len(colors) <= MOST_COLORS:
        return colors
    own, kept = method_colors(), {}
    for _, part in named.groupby([key for key in ("data", "backbone") if key in named] or (lambda row: 0)):
        methods = part.drop_duplicates("label").set_index("label")["method"]
        first = {methods[label]: label for label in reversed(colors) if label in methods}
        kept |= {first[name]: own[name] for name in LEADING if name in first}
        kept |= {k: colors[k] for k, name in methods.items() if name in first and k not in kept and _other_objective(k)}
    return {label: GREY for label in colors if label not in kept} | {k: kept[k] for k in colors if k in kept}


def name_lines(axis: Axes, named: pd.DataFrame) -> None:
    """Write the legend beside the axes: every coloured line by its label, all grey ones in one entry.

    A label that names the released objective stands for the method without a word as well: it is the default.
    """
    colors = line_colors(named)
    entries = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    shown = {label: handle for label, handle in entries.items() if colors.get(label) != GREY}
    shown = {label: handle for label, handle in shown.items() if f"{label}, objective released" not in shown}
    grey = [label for label in entries if colors.get(label) == GREY]
    if grey:
        shown[f"{len(grey)} other{'s' * (len(grey) > 1)}"] = entries[grey[0]]
    axis.legend(shown.values(), shown.keys(), **BESIDE)


def name_top_grey(axis: Axes, part: pd.DataFrame, x: str, y: str, colors: dict[str, Any]) -> None:
    """Darken the grey line that is above all others at the middle of the axis, and write its label beside it.

    Nothing is done where the highest line there has a colour, or is not alone.
    """
    means = part.pivot_table(index=x, columns="label", values=y)
    middle = min(means.index, key=lambda place: abs(2 * place - means.index[0] - means.index[-1]))
    ordered = means.loc[middle].sort_values(ascending=False)
    top = ordered.index[0]
    if colors.get(top) != GREY or (ordered == ordered.iloc[0]).sum() > 1:
        return
    axis.plot(means.index, means[top], color="0.4", linewidth=1.5, label="_top")
    place = {"xytext": (5, 5), "textcoords": "offset points", "ha": "left", "va": "bottom"}
    axis.annotate(plain(top), (middle, means.at[middle, top]), color="0.25", fontsize=9, **place)


def line_style(named: pd.DataFrame) -> dict[str, Any]:
    """Return seaborn's options for lines by `label`: a colour and a marker each, bands the range over seeds.

    Lines are solid, those of another objective than the released one dashed.
    """
    colors = line_colors(named)
    marks = dict(zip(colors, itertools.cycle(MARKERS), strict=False))
    dashes = {label: (3, 1.5) if _other_objective(label) else "" for label in colors}
    by_label = {"hue": "label", "hue_order": list(colors), "style": "label", "style_order": list(colors)}
    return by_label | {"palette": colors, "markers": marks, "dashes": dashes, "markersize": 5, "errorbar": ("pi", 100)}


def _other_objective(label: str) -> bool:
    return ", objective " in label and ", objective released" not in label
