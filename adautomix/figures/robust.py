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

from adautomix.figures.lines import line_colors, line_style, name_lines, name_top_grey
from adautomix.figures.style import BESIDE, ROLE_COLORS, label_colors, panels, short_labels
from adautomix.utils.errors import UserError

RIGHT, OVER, UNDER, OUTLINE = "#0072B2", "#D55E00", "#7CC7EF", "#002B47"
"""Accuracy; confidence above it; confidence below it."""
Bins = Sequence[Mapping[str, Any]]


def robustness_curves(
    points: pd.DataFrame, *, x: str, name: str, by: str = "role", guess: float | None = None
) -> Figure:
    """Draw accuracy against the strength of a disturbance, a panel for each value of `by`, a line for each label.

    With more than six labels those of three methods are in colour (see `lines.line_colors`), and one of the others is
    named where it is above all. Lines are means over seeds, bands the range
    over seeds. The scale starts at 0 if any point lies below 50 %; where all are higher it is enlarged, and guessing is
    out of sight.

    Args:
        points: what `results.curves` returns: columns `x`, top1, label, method and `by`.
        name: what x is, with its unit.
        by: "role" or "backbone".
        guess: accuracy (%) of guessing, drawn as a line.
    """
    points = short_labels(points, told=by == "backbone")
    low = bool(points["top1"].min() < 50)
    shown = list(dict.fromkeys(points[by]))
    size = (5.2 if len(shown) == 1 else 4.2, 3.8)
    figure, axes = panels(len(shown), len(shown), size, (2.2, 0), sharey=True)
    for axis, panel in zip(axes.flat, shown, strict=True):
        part = points[points[by] == panel]
        sns.lineplot(part, x=x, y="top1", ax=axis, legend=panel == shown[-1], **line_style(points))
        name_top_grey(axis, part, x, "top1", line_colors(points))
        axis.set(title=panel, xlabel=name, ylabel="top-1 accuracy (%)", ylim=(0 if low else None, None))
        if guess is not None and low:
            axis.axhline(guess, color="0.5", linewidth=1, linestyle=":")
    name_lines(axes[0, -1], points)
    return figure


def corruption_heatmap(cells: pd.DataFrame) -> Figure:
    """Draw accuracy (%) under every corruption, mean over severities and seeds: labels by corruptions.

    Args:
        cells: what `results.corruption_cells` returns, of one data set, backbone and role.
    """
    cells = short_labels(cells)
    order = cells[["group", "corruption"]].drop_duplicates()
    values = cells.pivot_table(index="label", columns="corruption", values="top1", observed=True)
    values = values.loc[list(label_colors(cells)), list(order["corruption"])]
    values.columns = [name.replace("_", " ") for name in values.columns]
    size = (2.6 + 0.5 * values.shape[1], 1.9 + 0.36 * len(values))
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    texts = {"cbar_kws": {"label": "accuracy (%)"}, "annot_kws": {"fontsize": 8}}
    sns.heatmap(values, annot=True, fmt=".0f", cmap="viridis", ax=axis, **texts)
    start = 0
    for group, members in order.groupby("group", sort=False):
        axis.axvline(start, color="white", linewidth=4)
        axis.text(start + len(members) / 2, -0.15, group, ha="center", va="bottom", fontsize=9)
        start += len(members)
    axis.set(xlabel=None, ylabel=None)
    axis.tick_params(axis="y", rotation=0)
    plt.setp(axis.get_xticklabels(), rotation=60, ha="right", rotation_mode="anchor")
    return figure


def reliability_diagram(bins: Bins, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw accuracy (outlined) against confidence, the gap between them shaded, and how many images every bin holds.

    Args:
        bins: equal-width bins over [0,1], each with `count` and, unless that is 0, `accuracy` and `confidence`
            (fractions), as the evaluator calibration stores them. Empty bins stay empty.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(3.6, 4.4), layout="constrained")
    width, counts = 1 / len(bins), np.array([b["count"] for b in bins])
    for k in np.flatnonzero(counts):
        accuracy, gap = bins[k]["accuracy"], bins[k]["confidence"] - bins[k]["accuracy"]
        at = {"x": (k + 0.5) * width, "width": width * 0.92}
        ax.bar(height=accuracy, color=RIGHT, **at)
        shade = {"color": OVER if gap > 0 else UNDER, "hatch": "///", "edgecolor": "white", "linewidth": 0}
        ax.bar(height=abs(gap), bottom=accuracy + min(gap, 0), **shade, **at)
        ax.bar(height=accuracy, fill=False, edgecolor=OUTLINE, linewidth=1, **at)
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
    columns = min(columns, len(networks))
    figure, axes = panels(len(networks), columns, (2.7, 3.4), (0.3 if columns > 1 else 2.7, 0.7))  # legend's width
    for axis, (title, bins) in zip(axes.flat, networks.items(), strict=False):
        reliability_diagram(bins, ax=axis, title=title)
        if axis not in axes[:, 0]:
            axis.set_ylabel(None)
            axis.child_axes[0].set_ylabel(None)
        axis.child_axes[0].set_xlabel(None)
    figure.supxlabel("\nconfidence", x=0.99, ha="right", fontsize="medium")  # below the insets' tick labels
    hatched = (("too confident", OVER), ("too modest", UNDER))
    handles = [Patch(facecolor=RIGHT, edgecolor=OUTLINE, label="accuracy (outlined)")]
    handles += [Patch(facecolor=color, hatch="///", edgecolor="white", label=name) for name, color in hatched]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False)  # the title is on top
    return figure


def protocol_dots(values: pd.DataFrame) -> Figure:
    """Draw what the standard and the released protocol say of every label: one panel per column that has both.

    Dots are means over seeds, filled for the standard protocol and open for the released one.

    Args:
        values: what `results.table3_values` returns, of one data set and backbone, measured alike (`most_alike`).
    Raises: UserError if no column has both protocols.
    """
    values = short_labels(values)
    both = values.groupby("column", sort=False)["protocol"].nunique()
    columns, labels = list(both.index[both > 1]), list(label_colors(values))
    if not columns:
        raise UserError("no column was measured by both protocols: evaluate fgsm and released, or corruption")
    figure, axes = panels(len(columns), len(columns), (3.6, 0.36 * len(labels)), (1.8, 1.6), sharey=True)
    for axis, column in zip(axes.flat, columns, strict=True):
        for shift, (role, color) in zip((-0.14, 0.14), ROLE_COLORS.items(), strict=True):
            part = values[(values["column"] == column) & (values["role"] == role)]
            if part.empty:
                continue
            means = part.pivot_table(index="label", columns="protocol", values="value")
            means = means.reindex(index=labels, columns=["standard", "released"])  # a role may lack one
            place = np.arange(len(labels)) + shift
            axis.hlines(place, means["standard"], means["released"], color=color, linewidth=1, alpha=0.5)
            for protocol, fill in (("standard", "full"), ("released", "none")):
                axis.plot(means[protocol], place, "o", color=color, fillstyle=fill, label=f"{role}, {protocol}")
        axis.set(xlabel=f"{column} (%)" if "error" in column else f"{column} images, accuracy (%)")
    axes[0, 0].set_yticks(np.arange(len(labels)), labels)
    axes[0, 0].invert_yaxis()
    entries = {k: v for axis in axes.flat for v, k in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries, loc="outside lower center", ncols=4, frameon=False)
    return figure


def ece_scatter(networks: pd.DataFrame) -> Figure:
    """Draw the released code's ECE against the standard one, a point a network; the line is where they are equal.

    Args:
        networks: what `results.reliability` returns.
    """
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    colors = label_colors(networks)
    look = {"hue": "label", "hue_order": list(colors), "palette": colors, "style": "role", "s": 60}
    sns.scatterplot(networks, x="ece", y="released_ece", ax=axis, **look)
    most = 1.08 * float(np.nanmax(networks[["ece", "released_ece"]].to_numpy()))
    axis.plot([0, most], [0, most], color="0.35", linewidth=1, linestyle="--")
    axis.set(xlim=(0, most), ylim=(0, most), xlabel="ECE, standard (%)", ylabel="ECE as released (%)")
    pairs = [pair for pair in zip(*axis.get_legend_handles_labels(), strict=True) if pair[1] not in ("label", "role")]
    axis.legend(*zip(*pairs, strict=True), **BESIDE)
    return figure
