"""A board for diagrams, measured in inches: boxes with lines of text, pictures and wires. No graphviz, no torch.

Whatever is drawn has a gid: `frame:NAME` holds other things, `box:NAME` holds text only, `text:NAME` lies in the box of
that name (without a name: anywhere on the board), `picture:NAME`, `wire:NAME`. Tests find them by it.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.text import Text

BODY, HEAD = 9.0, 10.5
"""Sizes of letters in points. On a board of 11.6 in, shown 1000 px wide at 96 px an inch, the body is 8 points."""
INK, SOFT, LEADING = "0.15", "0.4", 0.18
Place = tuple[float, float, float, float]
"""x and y of the lower left corner, width, height."""


def tint(color: Any, share: float = 0.15) -> tuple[float, ...]:
    """Return a colour thinned with white."""
    return tuple(1 - share * (1 - part) for part in to_rgb(color))


class Board:
    """One axes that fills a figure, 1 unit an inch, y upwards."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = plt.figure(figsize=(width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")
        self.limits: list[tuple[Text, float]] = []

    def frame(self, name: str, place: Place, color: Any, share: float = 0.06) -> None:
        """Draw a background for other things."""
        self._patch(f"frame:{name}", place, 0.1, fc=tint(color, share), ec=tint(color, 0.4), zorder=1)

    def box(
        self,
        name: str,
        place: Place,
        lines: Sequence[str],
        color: Any,
        *,
        share: float = 0.15,
        ink: Any = INK,
        weight: str = "bold",
    ) -> None:
        """Draw a box with lines of text in its middle, the first with the `weight`; `share` of its colour fills it."""
        self._patch(f"box:{name}", place, 0.05, fc=tint(color, share), ec=color, zorder=3)
        x, y, width, height = place
        step = min(LEADING, height / len(lines))
        for i, line in enumerate(lines):
            at = (x + width / 2, y + height / 2 + step * ((len(lines) - 1) / 2 - i))
            look = {"ha": "center", "color": ink, "weight": "normal" if i else weight}
            self.text(name, at, line, width=width - 0.05, **look)

    def text(self, name: str, at: tuple[float, float], line: str, width: float | None = None, **look: Any) -> None:
        """Write one line; `finish` makes it smaller if it is wider than `width` inches."""
        look = {"fontsize": BODY, "color": INK, "va": "center", "zorder": 5} | look
        text = self.axes.text(*at, line, gid=f"text:{name}", **look)
        if width is not None:
            self.limits.append((text, width))

    def picture(self, name: str, array: Any, at: tuple[float, float], side: float) -> None:
        """Draw an image [3,H,W] in [0,1] or a map [H,W] (its own colour scale), lower left corner at `at`."""
        array = np.asarray(array)
        array = array if array.ndim == 2 else np.clip(array, 0, 1).transpose(1, 2, 0)
        extent = (at[0], at[0] + side, at[1], at[1] + side)
        look = {"cmap": "viridis", "interpolation": "nearest", "zorder": 3, "aspect": "auto"}
        self.axes.imshow(array, extent=extent, gid=f"picture:{name}", **look)
        self._patch(f"edge:{name}", (*at, side, side), 0, fc="none", ec=INK, lw=0.6, zorder=4)

    def wire(self, name: str, *points: tuple[float, float], color: Any = INK, **look: Any) -> None:
        """Draw a line through points, with an arrow head at its end unless `arrowstyle` says otherwise."""
        look = {"arrowstyle": "-|>", "mutation_scale": 9, "lw": 1.2, "zorder": 2, "joinstyle": "round"} | look
        look |= {"shrinkA": 0, "shrinkB": 0, "color": color, "fill": look["arrowstyle"] != "-"}
        self.axes.add_patch(FancyArrowPatch(path=Path(points), gid=f"wire:{name}", **look))

    def stop(self, x: float, y: float, color: Any = INK) -> None:
        """Mark a wire with two strokes: no gradient comes back through here."""
        for shift in (-0.025, 0.025):
            at = x + shift
            self.wire("stop", (at, y - 0.08), (at, y + 0.08), color=color, arrowstyle="-", lw=1.6, zorder=4)

    def finish(self) -> None:
        """Set the limits, and make every text smaller that is wider than its place."""
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height))
        renderer = self.figure.canvas.get_renderer()
        for text, width in self.limits:
            share = width * self.figure.dpi / max(text.get_window_extent(renderer).width, 1e-9)
            if share < 1:
                text.set_fontsize(text.get_fontsize() * share * 0.99)

    def _patch(self, gid: str, place: Place, rounding: float, **look: Any) -> None:
        x, y, width, height = place
        style = f"round,pad=0,rounding_size={rounding}" if rounding else "square,pad=0"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, style, gid=gid, **({"lw": 1} | look)))
