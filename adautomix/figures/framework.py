"""The paper's Figure 2, from one real step: what flows where in AdAutoMix, in which shapes, and who learns from what.

The student's loss trains the generator in the paper's Eq. 4, but not in `released`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from adautomix.figures.board import Board
from adautomix.figures.framework_generator import HEIGHT, WIDTH, Step, generator_module
from adautomix.figures.framework_target import TERMS, target_height, target_module
from adautomix.utils.errors import UserError

SHAPES = ("x", "lam", "index", "tap", "z", "query", "key", "value", "attention", "P", "mask", "x_mix", "y_mix")
HEADS = ("one", "mix", "teacher_mix")
PICTURES = ("slots", "mask", "x_mix", "x_mix_student", "x")
NETWORKS = ("student", "teacher", "generator")
LEGEND, GUTTER, TITLE = 0.72, 0.5, 0.4
"""Heights in inches: below the modules, between them, above them."""
WORDS = (
    "▼ w  the loss is minimised, with weight w      ▲ w (filled)  maximised      ·  it does not reach the network",
    "‖  no gradient comes back      ×−1  it comes back reversed      dashed: gradients      dotted: average",
    "frozen: its weights get no gradient, which passes through it to the masks      beside a mask: its largest and "
    "least value",
)


def framework(
    shapes: Mapping[str, Sequence[int]],
    pictures: Mapping[str, Any],
    weights: pd.DataFrame,
    *,
    sizes: Mapping[str, int],
    shares: Sequence[float],
    tap: str = "its tap",
    title: str = "",
) -> Figure:
    """Draw the framework of AdAutoMix as it was in one step: generator module above, target module below.

    Args:
        shapes: of the step's tensors, by name: SHAPES and HEADS, and `x_plain` where there is the term student_plain.
        pictures: of one example: `slots` (N images [3,H,W]), `mask` (N maps [H,W]), and the images `x`, `x_mix` (of
            the generator's batch), `x_mix_student` and, with its term, `x_plain`.
        weights: a row a loss term of the step, a column a (network, objective, steps), network student or generator:
            the weight with which it minimises the term; negative where it maximises it, 0 where it does not see it.
        sizes: number of weights of student, teacher and generator.
        shares: lam of the example, one a slot.
        tap: name of the teacher's layer that is read.
        title: above the diagram; say which run it shows.
    Raises: UserError naming what is missing.
    """
    rows = [term for term in TERMS if term in weights.index]
    _require(shapes, pictures, sizes, rows)
    step = Step(shapes, pictures, weights.loc[rows], sizes, shares, tap)
    top = LEGEND + target_height(rows)
    board = Board(WIDTH, top + GUTTER + HEIGHT + TITLE)
    board.text("", (0.12, board.height - TITLE / 2), title, fontsize=12, weight="bold", width=WIDTH - 0.24)
    generator_module(board, top + GUTTER, step)
    target_module(board, LEGEND, step, lane=top + 0.33, floor=top + GUTTER)
    for i, words in enumerate(WORDS):
        board.text("", (0.25, LEGEND - 0.16 - 0.2 * i), words, width=WIDTH - 0.5)
    board.finish()
    return board.figure


def _require(shapes: Mapping, pictures: Mapping, sizes: Mapping, rows: Sequence[str]) -> None:
    plain = ("x_plain",) if "student_plain" in rows else ()
    needed = {"shapes": (shapes, SHAPES + HEADS + plain), "pictures": (pictures, PICTURES + plain)}
    for what, (given, names) in (needed | {"sizes": (sizes, NETWORKS)}).items():
        if missing := [name for name in names if name not in given]:
            raise UserError(f"the diagram needs the {what} of {', '.join(missing)}; got {', '.join(given) or 'none'}")
    if missing := [term for term in TERMS if term not in rows and term != "student_plain"]:
        raise UserError(f"the diagram needs the weights of {', '.join(missing)}; got {', '.join(rows) or 'none'}")
