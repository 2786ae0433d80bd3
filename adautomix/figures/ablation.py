"""Ablations as a figure: what each setting changes, measured against the base."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from adautomix.figures.style import MARKERS, ROLE_COLORS, panels
from adautomix.utils.errors import UserError

NAMES = {
    "objective": "objective of the generator",
    "alpha": "α of Beta(α, α), the draw of λ",
    "beta": "β of Eq. 4",
    "n_mix": "N, images mixed",
    "lam_channel": "λ channel",
    "alpha_loss": "weight of L_mce (α of Eq. 3)",
    "ema_base": "momentum of the teacher",
    "generator_lr": "learning rate of the generator",
}
"""Factors in words; others keep their own name."""


def ablation_panels(table: pd.DataFrame, *, columns: int = 4) -> Figure:
    """Draw the difference to the base in accuracy, one panel per factor, with its interval where there is one.

    Points without an interval, of fewer than three seeds, are open. Panels share their y axis, and the value of the
    base stands in its place as a diamond on the zero line.

    Args:
        table: what `results.ablation_table` returns, of one setting.
        columns: most panels side by side.
    Raises: UserError if the table holds nothing but the base.
    """
    table = table[table["factor"] != "base"]
    factors = list(dict.fromkeys(table["factor"]))
    if not factors:
        raise UserError("there is nothing to draw: no run differs from the base in one setting")
    columns = -(-len(factors) // -(-len(factors) // columns))  # five panels as three and two, not as four and one
    more = (max(0.6, 7.2 - 3.1 * columns), 0.7)  # room for the legend
    figure, axes = panels(len(factors), columns, (3.1, 3.0), more, sharey=True)
    for axis, factor in zip(axes.flat, factors, strict=False):
        _panel(axis, factor, table[table["factor"] == factor])
    for axis in axes[:, 0]:
        axis.set_ylabel("difference to base (points)")
    _legend(figure, bool(table["low"].isna().any()))
    return figure


def _panel(axis: Axes, factor: str, part: pd.DataFrame) -> None:
    base = part["base_value"].iloc[0]
    values = list(dict.fromkeys(part["value"]))
    numbers = not any(isinstance(value, (str, bool, np.bool_)) for value in (base, *values))
    values = sorted([base, *values]) if numbers else [base, *values]
    axis.axhline(0, color="0.35", linewidth=1, linestyle="--", zorder=1)
    axis.plot(values.index(base), 0, "D", color="0.35", markersize=6, zorder=2)
    for shift, role, mark in zip((-0.13, 0.13), ROLE_COLORS, MARKERS, strict=False):
        for row in part[part["role"] == role].itertuples():
            place, color, fill = values.index(row.value) + shift, ROLE_COLORS[role], "none"
            if not np.isnan(row.low):
                axis.vlines(place, row.low, row.high, color=color, linewidth=1.6)
                fill = "full"
            axis.plot(place, row.difference, mark, color=color, markersize=6, fillstyle=fill)
    axis.set_xticks(range(len(values)), [_text(v) + ("\n(base)" if v == base else "") for v in values])
    axis.set_xlim(-0.5, len(values) - 0.5)
    axis.set_title(textwrap.fill(NAMES.get(factor, factor), 30), fontsize=10)
    axis.grid(visible=False, axis="x")


def _legend(figure: Figure, some_open: bool) -> None:
    marks = zip(ROLE_COLORS.items(), MARKERS, strict=False)
    looks = [{"color": color, "marker": mark, "label": role} for (role, color), mark in marks]
    looks += [{"color": "0.35", "marker": "D", "linestyle": "--", "label": "base"}]
    if some_open:
        hollow = {"color": "0.35", "marker": "o", "fillstyle": "none", "linestyle": ""}
        looks += [hollow | {"label": "open: fewer than three seeds, no interval"}]
    handles = [Line2D([], [], **look) for look in looks]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False)


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)
