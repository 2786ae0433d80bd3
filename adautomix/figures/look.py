"""One look for every figure: style, and one colour a method. Reads no torch."""

import itertools
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from adautomix.methods import METHODS

ROLE_DASHES = {"student": "", "teacher": (2, 1.2)}
"""Student solid, teacher dashed, everywhere."""
ROLE_COLORS = {"student": "#0072B2", "teacher": "#D55E00"}
"""For figures of one method, where colour is free to tell the roles apart."""

MARKERS = "os^DvP<X>*hpd"


def style() -> None:
    """Set the look of every figure: seaborn's white grid, sizes that read well in a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 200, "savefig.bbox": "tight", "axes.titlelocation": "left"})


def method_colors() -> dict[str, Any]:
    """Return every method's colour, the same in every figure; those of the paper's ten are colour-blind-safe."""
    return dict(zip(METHODS, [*sns.color_palette("colorblind"), *sns.color_palette("dark")], strict=False))


def label_colors(named: pd.DataFrame) -> dict[str, Any]:
    """Return a colour for every `label`, in the order of METHODS: its method's own, darker for each further label."""
    pairs = named[["method", "label"]].drop_duplicates()
    pairs = pairs.sort_values("method", key=lambda names: names.map(list(METHODS).index), kind="stable")
    colors = {}
    for method, labels in pairs.groupby("method", sort=False)["label"]:
        shades = np.linspace(1, 0.45, len(labels))[:, None]  # lighter ones would vanish on white
        own = np.array(to_rgb(method_colors()[method]))
        colors |= dict(zip(labels, map(tuple, shades * own), strict=True))
    return colors


def line_look(named: pd.DataFrame) -> dict[str, Any]:
    """Return seaborn's options for lines by `label`: a colour and a marker each, to tell neighbours apart."""
    colors = label_colors(named)
    marks = dict(zip(colors, itertools.cycle(MARKERS), strict=False))
    by_label = {"hue": "label", "hue_order": list(colors), "style": "label", "style_order": list(colors)}
    return by_label | {"palette": colors, "markers": marks, "dashes": False, "markersize": 5}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, `path` given without a suffix; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix))
