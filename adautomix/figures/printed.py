"""Tables of a notebook: aligned, rounded, with a true minus; and those of the paper as it prints them."""

import html
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

MOST_COLUMNS = 7
"""Of a paper's table; a wider one is set closer, so that a page holds it."""


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
