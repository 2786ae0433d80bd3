"""The paper's tables as figures: published and measured numbers, and what the choice of a rule does to them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adautomix.figures.style import MARKERS, ROLE_COLORS, label_colors, short_labels

PAPER = {"marker": "D", "color": "black", "fillstyle": "none", "linestyle": "none"}


def paper_panels(cells: pd.DataFrame, names: dict[str, str], *, columns: int = 3) -> Figure:
    """Draw a table of the paper, a panel a column: published top-1 as hollow diamonds, measured mean ± sd as dots.

    Each panel has a scale of its own. Of several budgets the largest is drawn, of several kinds of run that nearest
    to the recipe (no images held out, float32); a title says on how many epochs.

    Args:
        cells: what `reproduction.cells` returns.
        names: title of every column.
    """
    order = list(dict.fromkeys(cells["column"]))
    methods = list(dict.fromkeys(cells["method"]))
    rows = -(-len(order) // columns)
    size = (3.4 * columns, 0.9 + 2.5 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, column in zip(axes.flat, order, strict=False):
        part = cells[cells["column"] == column].sort_values(["held_out", "precision"], ascending=[True, False])
        published = part.drop_duplicates("method").set_index("method")["paper"].reindex(methods)
        axis.plot(published, range(len(methods)), **PAPER, label="paper")
        most = part["epochs"].max()
        for role, color in ROLE_COLORS.items():
            own = part[(part["role"] == role) & (part["epochs"] == most)].drop_duplicates("method")
            own = own.set_index("method").reindex(methods)
            spread = own["sd"].fillna(0)
            axis.errorbar(own["mean"], range(len(methods)), xerr=spread, fmt="o", ms=4, color=color, label=role)
        budget = part.loc[part["epochs"] == most, "budget"].max()
        ran = "not run" if pd.isna(most) else "all epochs" if budget == 1 else f"{most:.0f} epochs"
        axis.set_title(f"{names[column]}\n{ran}", fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(4))
    for axis in axes.flat[len(order) :]:
        axis.set_axis_off()
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    figure.supxlabel("top-1 (%); measured: mean ± sd over seeds", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
    return figure


def rule_offsets(values: pd.DataFrame, *, base: str = "median") -> Figure:
    """Draw what another rule would have reported, in points more than the paper's rule, a dot a run and role.

    Rules differ in shape and grey: the colours belong to the methods.

    Args:
        values: what `results.scores` returns, of one data set and network.
        base: the rule the others are measured from.
    """
    values = short_labels(values)
    wide = values.pivot(index=["method", "label", "run", "role"], columns="rule", values="top1")
    offsets = wide.sub(wide[base], axis=0).drop(columns=base).dropna(axis=1, how="all")
    labels = list(label_colors(values))
    figure, axis = plt.subplots(figsize=(7, 1.3 + 0.42 * len(labels)), layout="constrained")
    shifts = np.linspace(-0.22, 0.22, len(offsets.columns))
    rows = offsets.index.get_level_values("label").map(labels.index).to_numpy()
    for rule, shift, mark, grey in zip(offsets.columns, shifts, MARKERS, ("0.1", "0.45", "0.7"), strict=False):
        axis.scatter(offsets[rule], rows + shift, s=20, marker=mark, color=grey, label=rule)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.axvline(0, color="black", lw=0.8)
    axis.set(xlabel=f"points above the {base} of the last epochs", ylabel=None)
    axis.legend(title="rule", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
