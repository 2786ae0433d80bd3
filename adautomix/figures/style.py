"""One look for every figure: style, and one colour a method. Reads no torch."""

import html
import itertools
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from adautomix.figures.description import describe_outputs, told
from adautomix.methods import METHODS

ROLE_COLORS = {"student": "#0072B2", "teacher": "#D55E00"}
"""Where colour is free to tell the roles apart."""
MARKERS = "os^DvP<X>*hpd"
BESIDE = {"title": None, "frameon": False, "loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
"""Of a legend to the right of its axes."""
DARKER = {"resizemix": to_rgb("#7a1f5c"), "automix": to_rgb("#7040d8")}
"""Farther from every other colour, for the colour-blind too, than seaborn's, at four times the contrast on white."""

MOST_COLUMNS = 7
"""Of a paper's table; a wider one is set closer, so that a page holds it."""
LEADING, MOST_COLORS, GREY = ("vanilla", "automix", "adautomix"), 6, "0.75"
"""Methods whose lines keep their colour where there are more labels than that; the colour of the other lines."""


def set_style() -> None:
    """Set the look of every figure: seaborn's white grid, readable sizes; in a notebook, a description."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 200, "savefig.bbox": "tight", "axes.titlelocation": "left"})
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


def line_colors(named: pd.DataFrame) -> dict[str, Any]:
    """Return `label_colors`, but of more than six labels only the LEADING methods have a colour; the others are grey.

    Thirteen colours cannot be followed. Grey labels come first, so that coloured lines are drawn over them. Of several
    labels of a method the first one of each data set and network is coloured: those stand in panels of their own.
    AdAutoMix's other objectives keep their shade as well; their lines are dashed (`line_style`).
    """
    colors = label_colors(named)
    if len(colors) <= MOST_COLORS:
        return colors
    own, kept = method_colors(), {}
    for _, part in named.groupby([key for key in ("data", "backbone") if key in named] or (lambda row: 0)):
        methods = part.drop_duplicates("label").set_index("label")["method"]
        first = {methods[label]: label for label in reversed(colors) if label in methods}
        kept |= {first[name]: own[name] for name in LEADING if name in first}
        kept |= {k: colors[k] for k, name in methods.items() if name in first and k not in kept and _other_objective(k)}
    return {label: GREY for label in colors if label not in kept} | {k: kept[k] for k in colors if k in kept}


def name_lines(axis: Axes, named: pd.DataFrame) -> None:
    """Write the legend beside the axes: every coloured line by its label, all grey ones in one entry.

    A label that names the released objective stands for the method without a word as well: it is the default.
    """
    colors = line_colors(named)
    entries = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    shown = {label: handle for label, handle in entries.items() if colors.get(label) != GREY}
    shown = {label: handle for label, handle in shown.items() if f"{label}, objective released" not in shown}
    grey = [label for label in entries if colors.get(label) == GREY]
    if grey:
        shown[f"{len(grey)} others"] = entries[grey[0]]
    axis.legend(shown.values(), shown.keys(), **BESIDE)


def name_top_grey(axis: Axes, part: pd.DataFrame, x: str, y: str, colors: dict[str, Any]) -> None:
    """Darken the grey line that is above all others at the middle of the axis, and write its label beside it.

    Nothing is done where the highest line there has a colour, or is not alone.
    """
    means = part.pivot_table(index=x, columns="label", values=y)
    middle = min(means.index, key=lambda place: abs(2 * place - means.index[0] - means.index[-1]))
    ordered = means.loc[middle].sort_values(ascending=False)
    top = ordered.index[0]
    if colors.get(top) != GREY or (ordered == ordered.iloc[0]).sum() > 1:
        return
    axis.plot(means.index, means[top], color="0.4", linewidth=1.5, label="_top")
    place = {"xytext": (5, 5), "textcoords": "offset points", "ha": "left", "va": "bottom"}
    axis.annotate(plain(top), (middle, means.at[middle, top]), color="0.25", fontsize=9, **place)


def line_style(named: pd.DataFrame) -> dict[str, Any]:
    """Return seaborn's options for lines by `label`: a colour and a marker each, bands the range over seeds.

    Lines are solid, those of another objective than the released one dashed.
    """
    colors = line_colors(named)
    marks = dict(zip(colors, itertools.cycle(MARKERS), strict=False))
    dashes = {label: (3, 1.5) if _other_objective(label) else "" for label in colors}
    by_label = {"hue": "label", "hue_order": list(colors), "style": "label", "style_order": list(colors)}
    return by_label | {"palette": colors, "markers": marks, "dashes": dashes, "markersize": 5, "errorbar": ("pi", 100)}


def _other_objective(label: str) -> bool:
    return ", objective " in label and ", objective released" not in label


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


def format_table(
    frame: pd.DataFrame,
    *,
    digits: int | dict[str, int] = 2,
    empty: str = "–",
    caption: str | None = None,
    once: Collection[str] = (),
) -> Any:
    """Return a table for a notebook (a pandas Styler): text to the left, numbers to the right with a true minus.

    The index is hidden: `reset_index` what a reader needs.

    Args:
        digits: decimals of fractions, of all columns or by column (2 where a column is not named).
        empty: what stands for nan and None.
        caption: above the table.
        once: columns that stand in the caption instead, if they hold the same in every row.
    """
    frame = frame.infer_objects()
    alike = [name for name in once if name in frame and frame[name].nunique(dropna=False) == 1]
    if alike:
        first = [(name, frame[name].iloc[0]) for name in alike]
        told = ", ".join(value if isinstance(value, str) else f"{name} {value}" for name, value in first)
        caption = told if caption is None else f"{caption}: {told}"
        frame = frame.drop(columns=alike)
    places = {name: digits if isinstance(digits, int) else digits.get(name, 2) for name in frame}
    look = frame.style.hide(axis="index")
    for name, values in frame.items():
        side = "right" if pd.api.types.is_numeric_dtype(values) else "left"
        wrap = "normal" if values.astype(str).str.len().max() > 32 else "nowrap"
        head = {"selector": "th", "props": f"text-align: {side}"}
        cell = {"selector": "td", "props": f"text-align: {side}; white-space: {wrap}"}
        look = look.set_table_styles({name: [head, cell]}, overwrite=False)
        look = look.format(lambda value, p=places[name]: _cell(value, p), na_rep=empty, subset=[name])
    look = look.format_index(escape="html", axis=1)
    return look if caption is None else look.set_caption(html.escape(caption))


def plain(text: object) -> str:
    """Return a name for a figure: its dollar signs are no formula."""
    return str(text).replace("$", r"\$")


def paper_table(block: pd.DataFrame, best: pd.DataFrame, *, caption: str | None = None) -> Any:
    """Return a block of the paper's tables for a notebook (a pandas Styler): best bold, gain signed, nothing for nan.

    Args:
        block: what `results.paper_block` or `results.our_block` returns, methods in the index.
        best: which cells are bold, as `results.best_of` returns it.
        caption: above the table.
    """
    signed = [f"{{:{'+' if name == 'gain' else ''}.2f}}" for name in block.index]
    texts = [
        [cell if isinstance(cell, str) else "" if pd.isna(cell) else form.format(cell) for cell in row]
        for form, row in zip(signed, block.to_numpy(dtype=object), strict=True)
    ]
    shown = pd.DataFrame(texts, index=block.index, columns=block.columns).replace("(?<!\\w)-(?=\\d)", "−", regex=True)
    look = format_table(shown.reset_index(), caption=caption)
    if len(block.columns) > MOST_COLUMNS:
        narrow = [("th", "font-size: 0.8em; padding: 0.3em 0.35em"), ("td", "padding: 0.3em 0.35em")]
        look = look.set_table_styles([{"selector": k, "props": v} for k, v in narrow], overwrite=False)
    bold = best.to_numpy()

    def weights(frame: pd.DataFrame) -> np.ndarray:
        marked = np.full(frame.shape, "", dtype=object)
        marked[:, 1:][bold] = "font-weight: bold"
        marked[[name == "gain" for name in block.index]] = "border-top: 1px solid"
        return marked

    return look.apply(weights, axis=None)


def _cell(value: Any, places: int) -> str:
    text = f"{value:.{places}f}" if isinstance(value, (float, np.floating)) else str(value)
    return html.escape(re.sub(r"(?<!\w)-(?=\d)", "−", text))  # not the hyphen of CIFAR-100


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, `path` given without a suffix, with its description inside; folders are made.

    Its layout is settled by that: what is added later moves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), metadata={"Description": told(figure)})
        figure.set_layout_engine("none")  # else it is worked out again for the SVG and in the notebook
