"""Figures of the workbook: arrays, tables and Runs in, matplotlib axes out. One look, one colour a method.

Nothing here imports torch; images may be tensors or arrays [3,H,W] in [0,1].
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.methods import METHODS

ROLE_DASHES = {"student": "", "teacher": (2, 1.2)}
"""Student solid, teacher dashed, everywhere."""
ROLE_COLORS = {"student": "#0072B2", "teacher": "#D55E00"}
"""For figures of one method, where colour is free to tell the roles apart."""


def style() -> None:
    """Set the look of every figure: seaborn's white grid, sizes that read well in a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 200, "savefig.bbox": "tight", "axes.titlelocation": "left"})


def method_colors() -> dict[str, Any]:
    """Return every method's colour: colour-blind-safe, the same in every figure."""
    return dict(zip(METHODS, sns.color_palette("colorblind", max(10, len(METHODS))), strict=False))


def label_colors(named: pd.DataFrame) -> dict[str, Any]:
    """Return a colour for every `label`, in the order of METHODS: the method's own, unless it has several labels."""
    pairs = named[["method", "label"]].drop_duplicates()
    pairs = pairs.sort_values("method", key=lambda names: names.map(list(METHODS).index), kind="stable")
    if pairs["method"].is_unique:
        return {row.label: method_colors()[row.method] for row in pairs.itertuples()}
    return dict(zip(pairs["label"], sns.color_palette("husl", len(pairs)), strict=True))


def learning_curves(histories: pd.DataFrame, *, value: str = "top1", axes: Sequence[Axes] | None = None) -> Figure:
    """Draw a value against the epoch, one panel a role, one line a label; the band is the range over seeds.

    Args:
        histories: what `tables.histories` returns.
        value: "top1" (%) or "loss" (nats).
        axes: two axes, for student and teacher; by default a new figure.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
    names = {"top1": "top-1 accuracy on test images (%)", "loss": "cross-entropy on test images (nats)"}
    colors = label_colors(histories)
    for axis, role in zip(axes, ROLE_DASHES, strict=True):
        part = histories[histories["role"] == role]
        sns.lineplot(
            part,
            x="epoch",
            y=value,
            hue="label",
            hue_order=list(colors),
            palette=colors,
            errorbar=("pi", 100),
            marker="o",
            markersize=4,
            ax=axis,
        )
        axis.set(title=role, xlabel="epoch", ylabel=names[value])
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].get_legend().remove()
    axes[1].legend(title=None, frameon=True)
    return axes[0].figure


def run_curves(history: pd.DataFrame) -> Figure:
    """Draw one run: its training losses on the left, student and teacher accuracy on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    for column in (c for c in history.columns if c.startswith("loss_")):
        left.plot(history["epoch"], history[column], marker="o", markersize=4, label=column.removeprefix("loss_"))
    left.set(title="training loss, mean of an epoch", xlabel="epoch", ylabel="loss (nats)")
    for role, color in ROLE_COLORS.items():
        right.plot(history["epoch"], history[f"{role}_top1"], marker="o", markersize=4, label=role, color=color)
    right.set(title="accuracy on test images", xlabel="epoch", ylabel="top-1 (%)")
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=True)
    return figure


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
    figure, axis = plt.subplots(figsize=(2.5 + 0.55 * values.shape[1], 1.2 + 0.38 * len(values)), layout="constrained")
    annotate = values.shape[1] <= 20
    low = float(np.floor(np.nanmin(values.to_numpy(dtype=float)) / 10) * 10)
    bar = {"label": "accuracy (%)"}
    sns.heatmap(values, annot=annotate, fmt=".0f", cmap="viridis", vmin=low, vmax=100, cbar_kws=bar, ax=axis)
    axis.set(xlabel="class", ylabel=None)
    return figure


def image_row(images: Iterable[Any], titles: Sequence[str] | None = None, *, columns: int = 6) -> Figure:
    """Draw images [3,H,W] in [0,1] side by side, with a title each."""
    images = [np.clip(np.asarray(image), 0, 1).transpose(1, 2, 0) for image in images]
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.65 * columns, 2.0 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, interpolation="nearest")
        if titles is not None:
            axis.set_title(titles[i], fontsize=9, loc="center")
    return figure


def label_text(target: Sequence[float], classes: Sequence[str]) -> str:
    """Return a soft target in words, largest share first: "0.70 cat + 0.30 temple"."""
    shares = np.asarray(target, dtype=float)
    order = [k for k in np.argsort(-shares) if shares[k] > 0.005]
    return "\n+ ".join(f"{shares[k]:.2f} {classes[k]}" for k in order)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, `path` given without a suffix; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix))
