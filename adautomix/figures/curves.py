"""Values against the epoch: of one run, of many, and of single loss terms."""

import itertools
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.figures.lines import GREY, line_colors, line_style, name_lines
from adautomix.figures.style import ROLE_COLORS, panels

COSINE = "loss_cosine"
"""AdAutoMix's L_cosine in a history: a mean cosine in [-1,1], to be high, among losses in nats."""
FURTHER_COLORS = ("#D55E00", "#00795C", "0.25")
"""Hues for the further labels of a method: vermilion, green and dark grey, far from AutoMix's purple and the blues."""


def learning_curves(histories: pd.DataFrame) -> Figure:
    """Draw accuracy against the epoch, one panel a role, one line a label; the band is the range over seeds.

    With more than six labels three are in colour (see `lines.line_colors`).

    Args:
        histories: what `results.histories` returns.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
    for axis, role in zip(axes, ROLE_COLORS, strict=True):
        part = histories[histories["role"] == role]
        sns.lineplot(part, x="epoch", y="top1", ax=axis, legend=role == "teacher", **_marked(histories))
        epoch_axis(axis, title=role, ylabel="top-1 accuracy on test images (%)")
    name_lines(axes[1], histories)  # ten lines leave no room inside
    return figure


def run_curves(history: pd.DataFrame) -> Figure:
    """Draw one run: its training losses on the left, student and teacher accuracy on the right.

    The mean cosine, which is no loss, is dotted and has a scale of its own.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    dots = {"marker": "o", "markersize": 4}
    for column in (c for c in history.columns if c.startswith("loss_") and c != COSINE):
        left.plot(history["epoch"], history[column], label=column.removeprefix("loss_"), **dots)
    if COSINE in history:
        twin = left.twinx()
        twin.plot(history["epoch"], history[COSINE], ":", color="0.4", **dots)
        twin.set(ylabel="mean cosine")
        twin.grid(visible=False)
        left.plot([], [], ":", color="0.4", label="cosine", **dots)  # its line in the legend
    for role, color in ROLE_COLORS.items():
        top1 = history.set_index("epoch")[f"{role}_top1"].dropna()  # of the epochs that were evaluated
        right.plot(top1.index, top1, label=role, color=color, **dots)
    epoch_axis(left, title="training, mean of an epoch", ylabel="loss (nats)")
    epoch_axis(right, title="accuracy on test images", ylabel="top-1 (%)")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return figure


def term_curves(epochs: pd.DataFrame, terms: Mapping[str, str], *, columns: int = 2) -> Figure:
    """Draw loss terms and metrics against the epoch, a panel each, one line a label; the band is the range over seeds.

    The legend stands above all panels. A method's second and third label have other hues, not darker ones: here they
    are what is compared.

    Args:
        epochs: what `results.epochs` returns.
        terms: columns of it to draw, with the name and unit for the axis.
    """
    figure, axes = panels(len(terms), columns, (7.2 / columns, 2.3), (0, 0.5))
    style = _marked(epochs) | {"palette": hues(epochs)}
    for i, (axis, (term, name)) in enumerate(zip(axes.flat, terms.items(), strict=False)):
        part = epochs.dropna(subset=[term])
        sns.lineplot(part, x="epoch", y=term, ax=axis, legend=i == 0, **style)
        epoch_axis(axis)
        axis.set_ylabel(name, fontsize=9)
    lines, names = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].get_legend().remove()
    figure.legend(lines, names, loc="outside upper left", ncols=1 if max(map(len, names)) > 40 else 2, frameon=False)
    return figure


def hues(named: pd.DataFrame) -> dict[str, Any]:
    """Return `line_colors`, but for the second label of a method on: those get FURTHER_COLORS in turn."""
    colors, further, met = line_colors(named), itertools.cycle(FURTHER_COLORS), set()
    methods = named.drop_duplicates("label").set_index("label")["method"]
    for label in (label for label in colors if colors[label] != GREY):
        colors[label] = next(further) if methods[label] in met else colors[label]
        met.add(methods[label])
    return colors


def _marked(values: pd.DataFrame) -> dict[str, Any]:
    """Return `line_style` with some fifteen marks a line, however many epochs it has."""
    return line_style(values) | {"markevery": max(1, values["epoch"].nunique() // 15)}


def epoch_axis(axis: Axes, **look: Any) -> None:
    """Make the x axis one of whole epochs, and set what else is given."""
    axis.set(xlabel="epoch", **look)
    axis.xaxis.get_major_locator().set_params(integer=True)
