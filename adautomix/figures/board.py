"""A board for diagrams, in inches, y downwards: boxes of text, pictures and wires.

Tests find what is drawn by its gid: `box:NAME`, the `text:NAME` in it, `picture:NAME`, `wire`.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

BODY, LEADING, INK = 9.0, 0.18, "0.15"
"""Size of letters in points (8 on a board of 11.6 in that is shown 1000 px wide), distance of lines, colour."""
Point = tuple[float, float]
Place = tuple[float, float, float, float]
"""x and y of the upper left corner, width, height."""


def tint(color: str, share: float) -> tuple[float, ...]:
    """Return a colour thinned with white."""
    return tuple(1 - share * (1 - part) for part in to_rgb(color))


class Board:
    """One axes that fills a figure, 1 unit an inch."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = plt.figure(figsize=(width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def frame(self, place: Place, color: str, share: float) -> None:
        """Draw a background for other things."""
        self._patch("frame", place, "round,pad=0,rounding_size=0.1", fc=tint(color, share), ec=tint(color, 0.4))

    def box(self, name: str, place: Place, words: str, edge: str, share: float = 0.15, **look: Any) -> None:
        """Draw a box around `text`, its first line bold; `share` of its edge's colour fills it."""
        self._patch(f"box:{name}", place, "round,pad=0,rounding_size=0.05", fc=tint(edge, share), ec=edge, zorder=3)
        x, y, width, height = place
        self.text((x + width / 2, y + height / 2), words, width - 0.05, name, **({"weight": "bold"} | look))

    def text(self, at: Point, words: str, width: float, name: str = "", leading: float = LEADING, **look: Any) -> None:
        """Write lines, separated by |, around a point, the first with the `weight`; one wider than `width` shrinks."""
        look = {"ha": "center", "va": "center", "fontsize": BODY, "color": INK, "zorder": 5} | look
        lines = words.split("|")
        for i, line in enumerate(lines):
            y = at[1] + leading * (i - (len(lines) - 1) / 2)
            text = self.axes.text(at[0], y, line, gid=f"text:{name}", **look)
            wide = text.get_window_extent().width / self.figure.dpi
            text.set_fontsize(look["fontsize"] * min(1, 0.99 * width / max(wide, 1e-9)))
            look["weight"] = "normal"

    def picture(self, name: str, array: Any, at: Point, side: float) -> None:
        """Draw an image [3,H,W] in [0,1] or a map [H,W] in [0,1] around a point."""
        array = np.asarray(array)
        array = array if array.ndim == 2 else np.clip(array, 0, 1).transpose(1, 2, 0)
        x, y = at[0] - side / 2, at[1] - side / 2
        look = {"cmap": "viridis", "vmin": 0, "vmax": 1, "interpolation": "nearest", "zorder": 3, "aspect": "auto"}
        self.axes.imshow(array, extent=(x, x + side, y + side, y), gid=f"picture:{name}", **look)
        self._patch(f"edge:{name}", (x, y, side, side), "square,pad=0", fc="none", ec=INK, lw=0.6, zorder=4)

    def wire(self, points: tuple[Point, ...], color: str = INK, head: str = "-|>", **look: Any) -> None:
        """Draw a line through points, with an arrow head at its end, or none if `head` is "-"."""
        look = {"lw": 1.2, "zorder": 2, "mutation_scale": 9, "joinstyle": "round", "shrinkA": 0, "shrinkB": 0} | look
        arrow = FancyArrowPatch(path=Path(points), arrowstyle=head, color=color, fill=head != "-", gid="wire", **look)
        self.axes.add_patch(arrow)

    def _patch(self, gid: str, place: Place, style: str, **look: Any) -> None:
        x, y, width, height = place
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, style, gid=gid, **({"lw": 1, "zorder": 1} | look)))
