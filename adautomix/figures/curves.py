"""Values against the epoch: of one run, of many, and of single loss terms."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.figures.style import ROLE_COLORS, ROLE_DASHES, line_style

COSINE = "loss_cosine"
"""AdAutoMix's L_cosine in a history: a mean cosine in [-1,1], to be high, among losses in nats."""


def learning_curves(histories: pd.DataFrame, *, value: str = "top1", axes: Sequence[Axes] | None = None) -> Figure:
    """Draw a value against the epoch, one panel a role, one line a label; the band is the range over seeds.

    Args:
        histories: what `tables.histories` returns.
        value: "top1" (%) or "loss" (nats).
        axes: two axes, for student and teacher; by default a new figure.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
    names = {"top1": "top-1 accuracy on test images (%)", "loss": "cross-entropy on test images (nats)"}
    look = line_style(histories)
    for axis, role in zip(axes, ROLE_DASHES, strict=True):
        part = histories[histories["role"] == role]
        sns.lineplot(part, x="epoch", y=value, errorbar=("pi", 100), ax=axis, **look)
        axis.set(title=role, xlabel="epoch", ylabel=names[value])
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].get_legend().remove()
    axes[1].legend(title=None, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))  # ten lines leave no room
    return axes[0].figure


def run_curves(history: pd.DataFrame) -> Figure:
    """Draw one run: its training losses on the left, student and teacher accuracy on the right.

    The mean cosine, which is no loss, is dotted and has a scale of its own.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    dots = {"marker": "o", "markersize": 4}
    for column in (c for c in history.columns if c.startswith("loss_") and c != COSINE):
        left.plot(history["epoch"], history[column], label=column.removeprefix("loss_"), **dots)
    left.set(title="training, mean of an epoch", xlabel="epoch", ylabel="loss (nats)")
    if COSINE in history:
        gauge = left.twinx()
        gauge.plot(history["epoch"], history[COSINE], ":", color="0.4", **dots)
        gauge.set(ylabel="mean cosine")
        gauge.grid(visible=False)
        left.plot([], [], ":", color="0.4", label="cosine", **dots)  # its line in the legend
    for role, color in ROLE_COLORS.items():
        right.plot(history["epoch"], history[f"{role}_top1"], label=role, color=color, **dots)
    right.set(title="accuracy on test images", xlabel="epoch", ylabel="top-1 (%)")
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return figure


def term_curves(epochs: pd.DataFrame, terms: Mapping[str, str], *, columns: int = 2) -> Figure:
    """Draw loss terms and gauges against the epoch, a panel each, one line a label; the band is the range over seeds.

    Args:
        epochs: what `tables.epochs` returns.
        terms: columns of it to draw, with the name and unit for the axis.
    """
    rows, look = -(-len(terms) // columns), line_style(epochs)
    size = (4.75 * columns, 3.0 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in list(axes.flat)[len(terms) :]:
        axis.remove()
    for i, (axis, (term, name)) in enumerate(zip(axes.flat, terms.items(), strict=False)):
        part = epochs.dropna(subset=[term])
        sns.lineplot(part, x="epoch", y=term, errorbar=("pi", 100), ax=axis, legend=i == 0, **look)
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].legend(title=None, frameon=True)
    return figure
