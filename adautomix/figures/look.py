"""One look for every figure: style, and one colour a method. Reads no torch."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
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
    """Return every method's colour, the same in every figure; those of the paper's ten are colour-blind-safe."""
    return dict(zip(METHODS, [*sns.color_palette("colorblind"), *sns.color_palette("dark")], strict=False))


def label_colors(named: pd.DataFrame) -> dict[str, Any]:
    """Return a colour for every `label`, in the order of METHODS: the method's own, unless it has several labels."""
    pairs = named[["method", "label"]].drop_duplicates()
    pairs = pairs.sort_values("method", key=lambda names: names.map(list(METHODS).index), kind="stable")
    if pairs["method"].is_unique:
        return {row.label: method_colors()[row.method] for row in pairs.itertuples()}
    return dict(zip(pairs["label"], sns.color_palette("husl", len(pairs)), strict=True))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, `path` given without a suffix; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix))
