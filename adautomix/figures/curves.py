"""Values against the epoch: of one run, of many, and of single loss terms."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.figures.style import BESIDE, ROLE_COLORS, line_style, panels

COSINE = "loss_cosine"
"""AdAutoMix's L_cosine in a history: a mean cosine in [-1,1], to be high, among losses in nats."""


def learning_curves(histories: pd.DataFrame) -> Figure:
    """Draw accuracy against the epoch, one panel a role, one line a label; the band is the range over seeds.

    Args:
        histories: what `results.histories` returns.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
    for axis, role in zip(axes, ROLE_COLORS, strict=True):
        part = histories[histories["role"] == role]
        sns.lineplot(part, x="epoch", y="top1", ax=axis, legend=role == "teacher", **_marked(histories))
        _epochs(axis, title=role, ylabel="top-1 accuracy on test images (%)")
    axes[1].legend(**BESIDE)  # ten lines leave no room inside
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
    _epochs(left, title="training, mean of an epoch", ylabel="loss (nats)")
    _epochs(right, title="accuracy on test images", ylabel="top-1 (%)")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return figure


def curves_and_rates(runs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw student's and teacher's accuracy of several runs, a panel each, with the learning rate dotted behind them.

    Args:
        runs: by title, frames with epoch, student_top1, teacher_top1 (percent) and lr.
    """
    figure, axes = panels(len(runs), 2, (5.0, 3.2))
    for axis, (title, run) in zip(axes.flat, runs.items(), strict=False):
        for role, color in ROLE_COLORS.items():
            axis.plot(run["epoch"], run[f"{role}_top1"], color=color, lw=1, label=role)
        rate = axis.twinx()
        rate.plot(run["epoch"], run["lr"] / run["lr"].max(), ":", color="0.4")
        rate.set(ylim=(0, 1.05), ylabel="learning rate / its peak")
        rate.grid(visible=False)
        axis.plot([], [], ":", color="0.4", label="learning rate")  # its line in the legend
        _epochs(axis, title=title, ylabel="top-1 on test images (%)")
    axes[0, 0].legend(loc="lower right", fontsize=8)
    return figure


def ours_and_theirs(curves: pd.DataFrame) -> Figure:
    """Draw runs of ours over the authors' logs, a panel a run: ours solid, theirs dashed, a colour a role.

    Args:
        curves: what `results.beside_log` returns.
    """
    names = list(dict.fromkeys(curves["run"]))
    figure, axes = panels(len(names), 2, (5.0, 3.2))
    for axis, name in zip(axes.flat, names, strict=False):
        part = curves[curves["run"] == name]
        for (role, source), curve in part.groupby(["role", "source"], sort=False):
            style = "-" if source == "ours" else "--"
            axis.plot(curve["epoch"], curve["top1"], style, color=ROLE_COLORS[role], label=f"{role}, {source}")
        first = part.iloc[0]
        title = f"{name}\n{first['epochs']} epochs; the log: {first['epochs_of_log']}"
        _epochs(axis, ylabel="top-1 on test images (%)")
        axis.set_title(title, fontsize=9)
    axes[0, 0].legend(fontsize=8)
    return figure


def replayed_windows(rows: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw a replay of the authors' first iterations over their log, a panel a value; the band is its bar.

    Args:
        rows: columns iteration, value, theirs, ours and bar, as benchmarks/log_replay.py writes them.
        names: values to draw, with the name and unit for the axis.
    """
    figure, axes = panels(len(names), 2, (4.75, 2.6))
    for axis, (value, name) in zip(axes.flat, names.items(), strict=False):
        part = rows[rows["value"] == value]
        low, high = part["theirs"] - part["bar"], part["theirs"] + part["bar"]
        axis.fill_between(part["iteration"], low, high, color="0.9", label="bar")
        axis.plot(part["iteration"], part["theirs"], "--x", color="0.3", label="the authors' log")
        axis.plot(part["iteration"], part["ours"], "-o", color=ROLE_COLORS["student"], label="ours")
        axis.set(xlabel="iteration, end of the window", ylabel=name)
    axes[0, 0].legend(fontsize=8)
    return figure


def term_curves(epochs: pd.DataFrame, terms: Mapping[str, str], *, columns: int = 2) -> Figure:
    """Draw loss terms and metrics against the epoch, a panel each, one line a label; the band is the range over seeds.

    Args:
        epochs: what `results.epochs` returns.
        terms: columns of it to draw, with the name and unit for the axis.
    """
    figure, axes = panels(len(terms), columns, (4.75, 3.0))
    for i, (axis, (term, name)) in enumerate(zip(axes.flat, terms.items(), strict=False)):
        part = epochs.dropna(subset=[term])
        sns.lineplot(part, x="epoch", y=term, ax=axis, legend=i == 0, **_marked(epochs))
        _epochs(axis, ylabel=name)
    axes[0, 0].legend(title=None, frameon=True)
    return figure


def _marked(values: pd.DataFrame) -> dict[str, Any]:
    """Return `line_style` with some fifteen marks a line, however many epochs it has."""
    return line_style(values) | {"markevery": max(1, values["epoch"].nunique() // 15)}


def _epochs(axis: Axes, **look: Any) -> None:
    axis.set(xlabel="epoch", **look)
    axis.xaxis.get_major_locator().set_params(integer=True)
