"""The generator module of the framework diagram: images, teacher, MixBlock, masks, mix. Lengths are inches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from adautomix.figures.board import HEAD, Board
from adautomix.figures.style import ROLE_COLORS

WIDTH, HEIGHT = 11.6, 3.15
"""Of a module and of this one, in inches."""
TEACHER, GENERATOR, DATA = ROLE_COLORS["teacher"], "#007A5A", "0.35"


@dataclass(frozen=True)
class Step:
    """What was recorded of a step; see `framework`."""

    shapes: Mapping[str, Sequence[int]]
    pictures: Mapping[str, Any]
    weights: pd.DataFrame
    sizes: Mapping[str, int]
    shares: Sequence[float]
    tap: str

    def text(self, name: str) -> str:
        """Return a shape as it is written: 48×3×32×32."""
        return "×".join(map(str, self.shapes[name]))


def generator_module(board: Board, y: float, step: Step) -> None:
    """Draw images -> teacher -> MixBlock -> masks -> mix, from the lower edge y upwards."""
    middle = y + 1.5
    board.frame("generator module", (0.1, y, WIDTH - 0.2, HEIGHT), DATA)
    board.text("", (0.25, y + 2.95), "Generator module", fontsize=HEAD, weight="bold")
    _slots(board, y, step)
    lines = [r"teacher $\hat{\theta}$", "frozen copy,", f"up to {step.tap}", "features", step.text("tap")]
    board.box("features", (1.62, middle - 0.55, 1.2, 1.1), lines, TEACHER)
    lines = ["draws", f"index {step.text('index')}", f"λ {step.text('lam')}"]
    board.box("draws", (1.62, y + 0.14, 1.2, 0.62), lines, DATA)
    board.wire("images to teacher", (1.36, middle), (1.62, middle))
    board.frame("mixblock", (3.15, y + 0.12, 5.82, 2.46), GENERATOR, 0.1)
    name = rf"generator $\phi$: MixBlock, {step.sizes['generator']:,} weights"
    board.text("", (3.27, y + 2.4), name, fontsize=HEAD, weight="bold", color=GENERATOR)
    _attention(board, y, middle, step)
    _masks(board, y, middle, step)


def _slots(board: Board, y: float, step: Step) -> None:
    middles, side = _column(board, "slot", step.pictures["slots"], 0.96, y)
    for n, (middle, share) in enumerate(zip(middles, step.shares, strict=True)):
        board.text("", (0.63, middle), rf"$\lambda_{{{n + 1}}}$ {share:.2f}", ha="right")
    board.wire("slots", (1.36, y + 2.52), (1.36, y + 0.66), arrowstyle="-")
    _lines(board, 0.96, y + 0.5, (f"{len(middles)} slots, $x$[index]", step.text("x")), 1.2)
    over = y + 2.76
    board.wire("images to mix", (0.96, middles[0] + side / 2), (0.96, over), (10.93, over), (10.93, y + 1.83))


def _attention(board: Board, y: float, middle: float, step: Step) -> None:
    """Draw the inside of MixBlock: features, query, key and value, attention, what it collects, and the softmax."""
    told = "+ channel of λ" if step.shapes["z"][2] > step.shapes["tap"][1] else "no λ channel"
    board.box("z", (3.27, middle - 0.4, 1.2, 0.8), ["features $z_n$", told, step.text("z")], GENERATOR)
    board.wire("teacher to z", (2.82, middle), (3.27, middle))
    board.stop(2.98, middle)
    board.wire("draws to z", (2.82, y + 0.45), (3.87, y + 0.45), (3.87, middle - 0.4))
    rows = dict(zip(("query", "key", "value"), (y + 1.62, y + 0.93, y + 0.24), strict=True))
    for name, low in rows.items():
        at = low + 0.29
        board.box(name, (4.77, low, 1.15, 0.58), [f"{name} ${name[0]}_n$", step.text(name)], GENERATOR, share=0.25)
        board.wire(f"z to {name}", (4.47, middle), (4.62, middle), (4.62, at), (4.77, at))
        board.wire(f"{name} on", (5.92, at), (6.17, at))
    lines = ["cross-attention", r"softmax$(q_n\,\Sigma_{i\neq n}k_i\,/\sqrt{d})$", step.text("attention")]
    board.box("attention", (6.17, rows["key"], 1.65, 1.27), lines, GENERATOR)
    board.wire("attention on", (6.995, rows["key"]), (6.995, rows["value"] + 0.58))
    lines = [r"$P_n$ = attention $\cdot\,v_n$", step.text("P")]
    board.box("P", (6.17, rows["value"], 1.65, 0.58), lines, GENERATOR)
    board.wire("P on", (7.82, rows["value"] + 0.29), (8.04, rows["value"] + 0.29))
    small, large = ("×".join(map(str, step.shapes[name][-2:])) for name in ("P", "mask"))
    lines = ["enlarge", f"{small} to", f"{large},", "then", "softmax", f"over {step.shapes['P'][1]}"]
    board.box("enlarge", (8.04, rows["value"], 0.82, 1.96), lines, GENERATOR, weight="normal")


def _masks(board: Board, y: float, middle: float, step: Step) -> None:
    """Draw the masks, and the mix at the right."""
    middles, side = _column(board, "mask", step.pictures["mask"], 9.58, y)
    for at, mask in zip(middles, np.asarray(step.pictures["mask"]), strict=True):
        for shift, value in ((0.09, np.max(mask)), (-0.09, np.min(mask))) if side > 0.4 else ():
            board.text("", (9.91, at + shift), f"{value:.3f}")
    for x in (9.2, 10.4):
        board.wire("masks", (x, y + 2.52), (x, y + 0.66), arrowstyle="-")
    board.wire("enlarge on", (8.86, middle), (9.2, middle))
    _lines(board, 9.58, y + 0.5, ("masks", step.text("mask")), 1.0)
    board.picture("x_mix", step.pictures["x_mix"], (10.6, middle - 0.33), 0.66)
    board.wire("masks to mix", (10.4, middle), (10.6, middle), mutation_scale=7)
    words = (r"$\Sigma_n\,$mask$_n\,x_n$", step.text("x_mix"), r"label $y_{mix}$", step.text("y_mix"))
    _lines(board, 10.93, middle - 0.48, words, 0.98)


def _lines(board: Board, x: float, y: float, lines: Iterable[str], width: float) -> None:
    for i, line in enumerate(lines):
        board.text("", (x, y - 0.18 * i), line, ha="center", width=width)


def _column(board: Board, name: str, arrays: Sequence[Any], x: float, y: float) -> tuple[list[float], float]:
    """Draw pictures from the top down, and return their middles and their side."""
    n, height = len(arrays), 1.86
    side = min(0.57, (height - 0.06 * (n - 1)) / n)
    pitch = (height - side) / max(n - 1, 1)
    middles = [y + 2.52 - side / 2 - i * pitch for i in range(n)]
    for i, (array, middle) in enumerate(zip(arrays, middles, strict=True)):
        board.picture(f"{name} {i + 1}", array, (x - side / 2, middle - side / 2), side)
    return middles, side
