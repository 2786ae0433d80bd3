"""Accuracies as figures: methods side by side, every class, the paper's numbers beside ours, and other rules."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adautomix.figures.style import BESIDE, MARKERS, ROLE_COLORS, label_colors, panels, plain, short_labels

PAPER = {"marker": "D", "color": "black", "fillstyle": "none", "linestyle": "none"}
LOG = {"marker": "x", "color": "black", "linestyle": "none"}


def accuracy_bars(table: pd.DataFrame) -> Figure:
    """Draw mean accuracy and its standard deviation over seeds, student beside teacher, the best label on top.

    Where there is no standard deviation, of fewer than three seeds, every seed is a dot of its own, without a bar.

    Args:
        table: what `results.table` returns, of one data set and backbone.
    """
    best = table.groupby("label")["mean"].max().sort_values(ascending=False)
    figure, axis = plt.subplots(figsize=(7, 1.0 + 0.28 * len(best)), layout="constrained")
    for shift, (role, color) in zip((-0.16, 0.16), ROLE_COLORS.items(), strict=True):
        rows = table[table["role"] == role].set_index("label").reindex(best.index)
        spread, place = rows["sd"].notna().to_numpy(), np.arange(len(best)) + shift
        axis.plot([], [], "o", color=color, label=role)
        axis.errorbar(rows["mean"][spread], place[spread], xerr=rows["sd"][spread], fmt="o", capsize=3, color=color)
        for y, values in zip(place[~spread], rows["values"][~spread], strict=True):
            axis.plot(values, np.full(np.shape(values), y), "o", color=color)  # nan where the role was not measured
    axis.set_yticks(np.arange(len(best)), best.index)
    axis.invert_yaxis()
    told = ["mean ± sd over seeds"] * bool(table["sd"].notna().any())
    told += ["one dot per seed"] * bool(table["sd"].isna().any())
    axis.set(xlabel=f"top-1 accuracy on test images (%): {'; '.join(told)}", ylabel=None)
    axis.legend(frameon=True)
    return figure


def per_class_heatmap(values: pd.DataFrame) -> Figure:
    """Draw accuracy (%) with one row per network and one column per class."""
    annotate = values.shape[1] <= 20
    width = 0.55 * values.shape[1] if annotate else min(0.2 * values.shape[1] + 7, 16)
    figure, axis = plt.subplots(figsize=(3.5 + width, 1.2 + 0.38 * len(values)), layout="constrained")
    # A class without test images has no number, rather than 0.
    values = values.rename(columns=lambda name: plain(name) + ("" if values[name].notna().any() else " (no image)"))
    low = float(np.floor(np.nanmin(values.to_numpy(dtype=float)) / 10) * 10)
    bar = {"label": "accuracy (%)"}
    sns.heatmap(values, annot=annotate, fmt=".0f", cmap="viridis", vmin=low, vmax=100, cbar_kws=bar, ax=axis)
    axis.set(xlabel="class", ylabel=None)
    axis.tick_params(axis="y", rotation=0)
    if max(map(len, map(str, values.columns))) > 4:
        plt.setp(axis.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    return figure


NEAREST = {
    "imported": True,
    "held_out": True,
    "precision": False,
    "eval_precision": False,
    "numerics": False,
    "channels_last": True,
}
"""What tells kinds of run of one recipe apart, and whether the least value is nearest to it."""


def paper_panels(cells: pd.DataFrame, names: dict[str, str], *, columns: int = 3) -> Figure:
    """Draw a table of the paper, one panel per column: published top-1, the authors' log, and measured mean ± sd.

    Each panel has a scale of its own; a dotted line stands at the paper's number for no mixing, and AdAutoMix's diamond
    is filled. Methods without any number have no row, and the legend names what is drawn. Of several budgets the
    largest is drawn, of several kinds of run that nearest to the recipe (trained here, no images held out, float32, the
    newest numerics); a title says on how many epochs, if any column was run.

    Args:
        cells: what `results.cells` returns.
        names: title of every column.
    """
    order = list(dict.fromkeys(cells["column"]))
    methods = list(dict.fromkeys(cells.dropna(subset=["paper", "log", "mean"], how="all")["method"]))
    figure, axes = panels(len(order), columns, (3.4, 0.7 + 0.19 * len(methods)), (0, 0.7), sharey=True)
    for axis, column in zip(axes.flat, order, strict=False):
        part = cells[cells["column"] == column].sort_values(list(NEAREST), ascending=list(NEAREST.values()))
        _published(axis, part, methods)
        ran = _measured(axis, part, methods)
        axis.set_title(names[column] + (f"\n{ran}" if cells["mean"].notna().any() else ""), fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(axis="y", color="0.92")
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    measured = "; measured: mean, ± sd from three seeds on" if cells["mean"].notna().any() else ""
    figure.supxlabel(f"top-1 (%){measured}", fontsize=9)
    entries = {k: v for axis in axes.flat for v, k in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries, loc="outside upper right", ncols=5, frameon=False)
    return figure


def _published(axis: Axes, part: pd.DataFrame, methods: list[str]) -> None:
    own = part[part["role"] == part["paper_role"]].drop_duplicates("method").set_index("method").reindex(methods)
    axis.plot(own["paper"], range(len(methods)), **PAPER, label="paper")
    if "adautomix" in methods:
        axis.plot(
            own.at["adautomix", "paper"],
            methods.index("adautomix"),
            **PAPER | {"fillstyle": "full", "markerfacecolor": "0.75"},
        )
    if "vanilla" in methods:
        axis.axvline(own.at["vanilla", "paper"], color="0.35", linewidth=1, linestyle=":", label="paper, no mixing")
    short = (
        own["log_epochs"] < own["log_epochs"].max()
    )  # CIFAR-100, ResNet-18: of 200 epochs, where the paper's are 800
    for shown, more in ((~short, {"label": "the authors' log"}), (short, {"label": "a shorter log", "color": "0.65"})):
        if own.loc[shown, "log"].notna().any():
            axis.plot(own["log"].where(shown), range(len(methods)), **LOG | more)


def _measured(axis: Axes, part: pd.DataFrame, methods: list[str]) -> str:
    """Draw the measured numbers of the most epochs, and return on how many."""
    most = part["epochs"].max()
    ran = part[(part["epochs"] == most) & part["mean"].notna()]
    for role, color in ROLE_COLORS.items():
        own = ran[ran["role"] == role].drop_duplicates("method").set_index("method").reindex(methods)
        if own["mean"].notna().any():
            spread = own["sd"].fillna(0)
            axis.errorbar(own["mean"], range(len(methods)), xerr=spread, fmt="o", ms=4, color=color, label=role)
    if ran.empty:
        return "not run"
    return "all epochs" if ran["budget"].max() == 1 else f"{most:.0f} epochs"


def rule_offsets(values: pd.DataFrame) -> Figure:
    """Draw what another rule would have reported, in points more than the paper's, the median; a dot per run and role.

    Rules differ in shape and grey: the colours belong to the methods.

    Args:
        values: what `results.scores` returns, of one data set and network.
    """
    values = short_labels(values)
    wide = values.pivot(index=["method", "label", "run", "role"], columns="rule", values="top1")
    offsets = wide.sub(wide["median"], axis=0).drop(columns="median").dropna(axis=1, how="all")
    labels = list(label_colors(values))
    figure, axis = plt.subplots(figsize=(7, 1.3 + 0.42 * len(labels)), layout="constrained")
    shifts = np.linspace(-0.22, 0.22, len(offsets.columns))
    rows = offsets.index.get_level_values("label").map(labels.index).to_numpy()
    for rule, shift, mark, grey in zip(offsets.columns, shifts, MARKERS, ("0.1", "0.45", "0.7"), strict=False):
        axis.scatter(offsets[rule], rows + shift, s=20, marker=mark, color=grey, label=rule)
    axis.set_yticks(range(len(labels)), labels)
    axis.set(ylim=(len(labels) - 0.5, -0.5), xlabel="points above the median of the last epochs", ylabel=None)
    axis.grid(visible=False, axis="y")
    axis.axvline(0, color="black", lw=0.8)
    axis.legend(**BESIDE | {"title": "rule"})
    return figure
