"""Robustness and calibration as figures: curves against occlusion or eps, corruptions as a heat map, reliability."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from adautomix.figures.style import ROLE_COLORS, label_colors, line_style, short_labels

RIGHT, OVER, UNDER = "#0072B2", "#D55E00", "#7CC7EF"
"""Accuracy; confidence above it; confidence below it."""
Bins = Sequence[Mapping[str, Any]]


def robustness_curves(
    points: pd.DataFrame, *, x: str, name: str, by: str = "role", guess: float | None = None
) -> Figure:
    """Draw accuracy against the strength of a disturbance, a panel a value of `by`, a line a label.

    Lines are means over seeds, bands the range over seeds. The scale starts at 0 if any point lies below 50 %; where
    all are higher it is enlarged, and guessing is out of sight.

    Args:
        points: what `robustness.curves` returns: columns `x`, top1, label, method and `by`.
        name: what x is, with its unit.
        by: "role" or "backbone".
        guess: accuracy (%) of guessing, drawn as a line.
    """
    points = short_labels(points, told=by == "backbone")
    low = bool(points["top1"].min() < 50)
    panels = list(dict.fromkeys(points[by]))
    size = (2.2 + (5.2 if len(panels) == 1 else 4.2 * len(panels)), 3.8)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    look = line_style(points)
    for axis, panel in zip(axes.flat, panels, strict=True):
        part = points[points[by] == panel]
        sns.lineplot(part, x=x, y="top1", errorbar=("pi", 100), ax=axis, legend=panel == panels[-1], **look)
        axis.set(title=panel, xlabel=name, ylabel="top-1 accuracy (%)", ylim=(0 if low else None, None))
        if guess is not None and low:
            axis.axhline(guess, color="0.5", linewidth=1, linestyle=":")
    axes[0, -1].legend(title=None, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def corruption_heatmap(cells: pd.DataFrame) -> Figure:
    """Draw accuracy (%) under every corruption, mean over severities and seeds: a row a label, a column a corruption.

    Args:
        cells: what `robustness.corruption_cells` returns, of one data set, backbone and role.
    """
    cells = short_labels(cells)
    order = cells[["group", "corruption"]].drop_duplicates()
    labels = list(label_colors(cells))
    values = cells.pivot_table(index="label", columns="corruption", values="top1", observed=True)
    values = values.loc[labels, list(order["corruption"])]
    values.columns = [name.replace("_", " ") for name in values.columns]
    size = (2.6 + 0.5 * values.shape[1], 1.9 + 0.36 * len(values))
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    bar = {"label": "accuracy (%)"}
    sns.heatmap(values, annot=True, fmt=".0f", cmap="viridis", cbar_kws=bar, annot_kws={"fontsize": 8}, ax=axis)
    start = 0
    for group, members in order.groupby("group", sort=False):
        axis.axvline(start, color="white", linewidth=4)
        axis.text(start + len(members) / 2, -0.15, group, ha="center", va="bottom", fontsize=9)
        start += len(members)
    axis.set(xlabel=None, ylabel=None)
    axis.tick_params(axis="x", rotation=60)
    axis.tick_params(axis="y", rotation=0)
    plt.setp(axis.get_xticklabels(), ha="right", rotation_mode="anchor")
    return figure


def reliability_diagram(bins: Bins, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw accuracy against confidence, the gap between them shaded, and how many images every bin holds.

    Args:
        bins: equal-width bins over [0,1], each with `count` and, unless that is 0, `accuracy` and `confidence`
            (fractions), as the evaluator calibration stores them. Empty bins stay empty.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(3.6, 4.4), layout="constrained")
    width, counts = 1 / len(bins), np.array([b["count"] for b in bins])
    for k in np.flatnonzero(counts):
        accuracy, confidence = bins[k]["accuracy"], bins[k]["confidence"]
        at = {"x": (k + 0.5) * width, "width": width * 0.92}
        ax.bar(height=accuracy, color=RIGHT, **at)
        gap = {"bottom": min(accuracy, confidence), "height": abs(accuracy - confidence)}
        color = OVER if confidence > accuracy else UNDER
        ax.bar(**gap, color=color, hatch="///", edgecolor="white", linewidth=0, **at)
    ax.plot([0, 1], [0, 1], color="0.35", linewidth=1, linestyle="--")
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=title)
    ax.tick_params(labelbottom=False)
    below = ax.inset_axes([0, -0.34, 1, 0.28], sharex=ax)
    below.bar((np.arange(len(bins)) + 0.5) * width, counts / counts.sum(), width=width * 0.92, color="0.6")
    below.set(xlim=(0, 1), ylim=(0, 1), yticks=(0, 0.5), xlabel="confidence", ylabel="share")
    below.tick_params(labelbottom=True)
    return ax


def reliability_grid(networks: Mapping[str, Bins], *, columns: int = 5) -> Figure:
    """Draw the reliability diagrams of several networks, with a common legend."""
    rows = -(-len(networks) // columns)
    columns = min(columns, len(networks))
    size = (max(2.7 * columns + 0.3, 5.4), 3.4 * rows + 0.7)  # no narrower than the legend
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in list(axes.flat)[len(networks) :]:
        axis.remove()
    for axis, (title, bins) in zip(axes.flat, networks.items(), strict=False):
        reliability_diagram(bins, ax=axis, title=title)
        if axis not in axes[:, 0]:
            axis.set_ylabel(None)
            axis.child_axes[0].set_ylabel(None)
    names = {"accuracy": RIGHT, "too confident by": OVER, "too modest by": UNDER}
    hatches = {name: None if color == RIGHT else "///" for name, color in names.items()}
    handles = [Patch(facecolor=c, hatch=hatches[n], edgecolor="white", label=n) for n, c in names.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False)  # the title is on top
    return figure


def protocol_dots(values: pd.DataFrame) -> Figure:
    """Draw what the standard and the released protocol say of every label: a panel a column that has both.

    Dots are means over seeds, filled for the standard protocol and open for the released one.

    Args:
        values: what `robustness.table3_values` returns, of one data set and backbone.
    """
    values = short_labels(values)
    both = values.groupby("column", sort=False)["protocol"].nunique()
    columns, labels = list(both.index[both > 1]), list(label_colors(values))
    size = (1.8 + 3.6 * len(columns), 1.6 + 0.36 * len(labels))
    figure, axes = plt.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, column in zip(axes.flat, columns, strict=True):
        for shift, (role, color) in zip((-0.14, 0.14), ROLE_COLORS.items(), strict=True):
            part = values[(values["column"] == column) & (values["role"] == role)]
            if part.empty:
                continue
            means = part.pivot_table(index="label", columns="protocol", values="value").reindex(labels)
            place = np.arange(len(labels)) + shift
            axis.hlines(place, means["standard"], means["released"], color=color, linewidth=1, alpha=0.5)
            axis.plot(means["standard"], place, "o", color=color, label=f"{role}, standard")
            axis.plot(means["released"], place, "o", color=color, fillstyle="none", label=f"{role}, released")
        axis.set(xlabel=f"{column} (%)" if "error" in column else f"{column} images, accuracy (%)")
    axes[0, 0].set_yticks(np.arange(len(labels)), labels)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def ece_scatter(networks: pd.DataFrame) -> Figure:
    """Draw the released code's ECE against the standard one, a point a network; the line is where they are equal.

    Args:
        networks: what `robustness.reliability` returns.
    """
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    colors = label_colors(networks)
    look = {"hue": "label", "hue_order": list(colors), "palette": colors, "style": "role", "s": 60}
    sns.scatterplot(networks, x="ece", y="released_ece", ax=axis, **look)
    most = 1.08 * float(np.nanmax(networks[["ece", "released_ece"]].to_numpy()))
    axis.plot([0, most], [0, most], color="0.35", linewidth=1, linestyle="--")
    axis.set(xlim=(0, most), ylim=(0, most), xlabel="ECE, standard (%)", ylabel="ECE as released (%)")
    pairs = [pair for pair in zip(*axis.get_legend_handles_labels(), strict=True) if pair[1] not in ("label", "role")]
    axis.legend(*zip(*pairs, strict=True), frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
