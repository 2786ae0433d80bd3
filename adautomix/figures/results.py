"""Accuracies as figures: methods side by side, and every class."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from adautomix.figures.style import ROLE_COLORS


def accuracy_bars(table: pd.DataFrame) -> Figure:
    """Draw mean accuracy and its standard deviation over seeds, student beside teacher, the best label on top.

    Args:
        table: what `tables.table` returns, of one data set and backbone.
    """
    best = table.groupby("label")["mean"].max().sort_values(ascending=False)
    figure, axis = plt.subplots(figsize=(7, 1.0 + 0.55 * len(best)), layout="constrained")
    for shift, (role, color) in zip((-0.16, 0.16), ROLE_COLORS.items(), strict=True):
        rows = table[table["role"] == role].set_index("label").reindex(best.index)
        place = np.arange(len(best)) + shift
        axis.errorbar(rows["mean"], place, xerr=rows["sd"].fillna(0), fmt="o", capsize=3, color=color, label=role)
    axis.set_yticks(np.arange(len(best)), best.index)
    axis.invert_yaxis()
    axis.set(xlabel="top-1 accuracy on test images (%), mean ± sd over seeds", ylabel=None)
    axis.legend(frameon=True)
    return figure


def per_class_heatmap(values: pd.DataFrame) -> Figure:
    """Draw accuracy (%) with a row a network and a column a class."""
    annotate = values.shape[1] <= 20
    width = 0.55 * values.shape[1] if annotate else min(0.2 * values.shape[1] + 7, 16)
    figure, axis = plt.subplots(figsize=(3.5 + width, 1.2 + 0.38 * len(values)), layout="constrained")
    low = float(np.floor(np.nanmin(values.to_numpy(dtype=float)) / 10) * 10)
    bar = {"label": "accuracy (%)"}
    sns.heatmap(values, annot=annotate, fmt=".0f", cmap="viridis", vmin=low, vmax=100, cbar_kws=bar, ax=axis)
    axis.set(xlabel="class", ylabel=None)
    if max(map(len, map(str, values.columns))) > 4:
        plt.setp(axis.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    return figure
