"""One look for every figure: style, and one colour a method. Reads no torch."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names

from adautomix.figures.description import describe_outputs, told
from adautomix.methods import METHODS

ROLE_COLORS = {"student": "#0072B2", "teacher": "#D55E00"}
"""Where colour is free to tell the roles apart."""
MARKERS = "os^DvP<X>*hpd"
BESIDE = {"title": None, "frameon": False, "loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
"""Of a legend to the right of its axes."""
DARKER = {"resizemix": to_rgb("#7a1f5c"), "automix": to_rgb("#7040d8")}
"""Farther from every other colour, for the colour-blind too, than seaborn's, at four times the contrast on white."""


MORE_LETTERS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS"),
)
"""Fonts of which one is on most machines whose classes have Chinese, Japanese or Korean names."""


def set_style() -> None:
    """Set the look of every figure: seaborn's white grid, readable sizes; in a notebook, a description.

    Letters that matplotlib's own font lacks are drawn with those of MORE_LETTERS that the machine has.
    """
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 200, "savefig.bbox": "tight", "axes.titlelocation": "left"})
    held = set(get_font_names())
    plt.rcParams["font.family"] = ["sans-serif", *(name for name in MORE_LETTERS if name in held)]
    describe_outputs()


def panels(
    count: int, columns: int, size: tuple[float, float], more: tuple[float, float] = (0, 0), **look: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes [rows, columns], those after `count` removed; inches a panel, and `more` in all."""
    rows = -(-count // columns)
    inches = (size[0] * columns + more[0], size[1] * rows + more[1])
    figure, axes = plt.subplots(rows, columns, figsize=inches, squeeze=False, layout="constrained", **look)
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, axes


def method_colors() -> dict[str, Any]:
    """Return every method's colour, the same in every figure; those of the paper's ten are colour-blind-safe.

    They are seaborn's, but for its pink and its yellow, which are too pale for a line on white.
    """
    palette = [*sns.color_palette("colorblind"), *sns.color_palette("dark")]
    return dict(zip(METHODS, palette, strict=False)) | DARKER


def label_colors(named: pd.DataFrame) -> dict[str, Any]:
    """Return a colour for every `label`, in the order of METHODS: its method's own, darker for each further label.

    Labels of one method come in alphabetical order, so that rows in another order get the same colours; the released
    objective first, so that AdAutoMix as it comes has its own colour also beside `paper`.
    """
    order = list(METHODS)

    def place(method: str) -> int:
        return order.index(method) if method in order else len(order)  # a Run of a method that is gone

    pairs = named[["method", "label"]].drop_duplicates()
    pairs = pairs.sort_values("label", key=lambda labels: labels.str.replace("objective released", "objective"))
    pairs = pairs.sort_values("method", key=lambda names: names.map(place), kind="stable")
    colors = {}
    for method, labels in pairs.groupby("method", sort=False)["label"]:
        shades = np.linspace(1, 0.45, len(labels))[:, None]  # lighter ones would vanish on white
        own = np.array(to_rgb(method_colors().get(method, "0.5")))
        colors |= dict(zip(labels, map(tuple, shades * own), strict=True))
    return colors


def short_labels(named: pd.DataFrame, *, told: bool = False) -> pd.DataFrame:
    """Return a copy whose `label` leaves the backbone out, if all rows share one or `told`: it stands beside them."""
    if not told and named["backbone"].nunique() > 1:
        return named
    pairs = named[["label", "backbone"]].itertuples(index=False)
    return named.assign(label=[pair.label.replace(f", backbone {pair.backbone}", "") for pair in pairs])


def by_method(named: pd.DataFrame, *first: str) -> pd.DataFrame:
    """Return the rows sorted by the columns `first`, then by label in the order of METHODS; ties stay as they were."""
    rank = {label: place for place, label in enumerate(label_colors(named))}
    ordered = named.sort_values("label", key=lambda labels: labels.map(rank), kind="stable")
    return ordered.sort_values(list(first), kind="stable") if first else ordered


def plain(text: object) -> str:
    """Return a name for a figure: its dollar signs are no formula."""
    return str(text).replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, `path` given without a suffix, with its description inside; folders are made.

    A dot in the name is part of it: names of backbones have some.

    Its layout is settled by that: what is added later moves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Description": told(figure)}
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_name(path.name + suffix), metadata=metadata)
        figure.set_layout_engine("none")  # else it is worked out again for the SVG and in the notebook
