"""The paper's Figure 2, from one real step: what flows where in AdAutoMix, in which shapes, and who learns from what.

The student's loss trains the generator in the paper's Eq. 4, but not in `released`. The layout is data: places in
inches, y downwards, and lines of text, with | between them, into which the step's shapes and sizes are filled.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from adautomix.figures.board import Board
from adautomix.figures.style import ROLE_COLORS
from adautomix.utils.errors import UserError

Named = Mapping[str, Any]
STUDENT, TEACHER, GENERATOR, DATA = ROLE_COLORS["student"], ROLE_COLORS["teacher"], "#007A5A", "0.35"
TERMS = {
    "student_clean": (5.26, r"$L_{ace}(\psi_w)$|label $y$", "clean images", "x", "one"),
    "student_plain": (5.88, r"$L_{mce}(\psi_w)$|label $\Sigma_n\lambda_n y_n$", "plain blend", "x_plain", "mix"),
    "student_mixed": (6.5, r"$L_{amce}(\psi_w)$|label $y_{mix}$", "generator's mix", "x_mix_student", "mix"),
    "teacher_mixed": (7.37, r"$L_{amce}(\psi_{\hat{w}})$|label $y_{mix}$", "generator's mix", "x_mix", "teacher_mix"),
    "cosine": (7.99, r"$L_{cosine}(\psi_{\hat{w}})$|mix and its parts", "clean images", "x", "teacher_mix"),
}
"""Losses by the name a step gives them: y, symbol and target, what the network is shown, its picture, its head."""
NEEDED = {
    "shapes": "x lam index tap z query key value attention P mask x_mix y_mix one mix teacher_mix",
    "pictures": "slots mask x x_mix x_mix_student",
    "sizes": "student teacher generator",
    "weights": "student_clean student_mixed teacher_mixed cosine",
}
HEAD, LEFT = {"weight": "bold", "fontsize": 10.5}, {"ha": "left"}
SOFTMAX = r"softmax$(q_n\,\Sigma_{i\neq n}k_i\,/\sqrt{d})$"
KEY = (
    "▼ 0.5  the loss is minimised, with this weight      ▲ 0.5 (filled)  maximised      ·  no way to the network|"
    "‖  no gradient comes back      ×−1  it comes back reversed      dashed: gradients      dotted: average|frozen: "
    "its weights get no gradient, which passes through it to the masks      beside a mask: its largest and least value"
)
BOXES = (
    ((1.62, 1.5, 1.2, 1.1), r"teacher $\hat{w}$|frozen copy,|up to %(layer)s|features|%(tap)s", TEACHER, 0.15),
    ((1.62, 2.79, 1.2, 0.62), "draws|index %(index)s|λ %(lam)s", DATA, 0.15),
    ((3.27, 1.65, 1.2, 0.8), "features $z_n$|%(told)s|%(z)s", GENERATOR, 0.15),
    ((4.77, 1.35, 1.15, 0.58), "query $q_n$|%(query)s", GENERATOR, 0.25),
    ((4.77, 2.04, 1.15, 0.58), "key $k_n$|%(key)s", GENERATOR, 0.25),
    ((4.77, 2.73, 1.15, 0.58), "value $v_n$|%(value)s", GENERATOR, 0.25),
    ((6.17, 1.35, 1.65, 1.27), f"cross-attention|{SOFTMAX}|%(attention)s", GENERATOR, 0.15),
    ((6.17, 2.73, 1.65, 0.58), r"$P_n$ = attention $\cdot\,v_n$|%(P)s", GENERATOR, 0.15),
    ((8.04, 1.35, 0.82, 1.96), "enlarge|%(small)s to|%(large)s,|then|softmax|over %(slots)s", GENERATOR, 0.15),
    ((4.08, 5.01, 1.0, 1.74), r"student $w$|trained|%(student)s|weights", STUDENT, 0.15),
    ((5.14, 5.01, 0.62, 0.5), "head|one", STUDENT, 0.3),
    ((5.14, 5.63, 0.62, 1.12), "head|mix", STUDENT, 0.3),
    ((4.08, 7.12, 1.0, 1.12), r"teacher $\hat{w}$|frozen copy|%(teacher)s|weights", TEACHER, 0.15),
    ((5.14, 7.12, 0.62, 1.12), "head|mix", TEACHER, 0.3),
)
TEXTS = (
    ((0.12, 0.2), "%(title)s", 11.36, LEFT | {"weight": "bold", "fontsize": 12}),
    ((0.25, 0.6), "Generator module", 4, LEFT | HEAD),
    ((3.27, 1.15), r"generator $\theta$: MixBlock, %(generator)s weights", 4, LEFT | HEAD | {"color": GENERATOR}),
    ((0.96, 3.14), "%(slots)s slots, $x$[index]|%(x)s", 1.2, {}),
    ((9.58, 3.14), "masks|%(mask)s", 1.0, {}),
    ((10.93, 2.8), r"$\Sigma_n\,$mask$_n\,x_n$|%(x_mix)s|label $y_{mix}$|%(y_mix)s", 0.98, {}),
    ((0.45, 4.25), "Target module", 4, LEFT | HEAD),
    ((6.4, 4.17), "gradients train the student", 3, {"color": STUDENT}),
    ((9.32, 3.92), "gradients train the generator", 2, LEFT | {"color": GENERATOR}),
    ((4.7, 6.935), "moving average, after the step", 3, LEFT | {"color": TEACHER}),
    ((0.25, 8.72), KEY, 11, LEFT | {"leading": 0.2}),
)
ACROSS = ((1.36, 1.62, 2.05), (2.82, 3.27, 2.05), (8.86, 9.2, 2.05), (10.4, 10.6, 2.05), (7.82, 8.04, 3.02))
BACK, STOP = {"linestyle": "--", "lw": 1.6}, {"head": "-", "lw": 1.6, "zorder": 4}
WIRES = (
    *((((start, y), (end, y)), {}) for start, end, y in ACROSS),
    *((((4.47, 2.05), (4.62, 2.05), (4.62, y), (4.77, y)), {}) for y in (1.64, 2.33, 3.02)),  # features to query, ...
    *((((5.92, y), (6.17, y)), {}) for y in (1.64, 2.33, 3.02)),
    (((0.96, 1.03), (0.96, 0.79), (10.93, 0.79), (10.93, 1.72)), {}),  # images to mix
    (((2.82, 3.1), (3.87, 3.1), (3.87, 2.45)), {}),  # draws to features
    (((6.995, 2.62), (6.995, 2.73)), {}),
    (((10.93, 3.19), (10.93, 3.72), (0.32, 3.72), (0.32, 7.37), (0.6, 7.37)), {}),  # mix to teacher
    (((0.32, 6.5), (0.6, 6.5)), {}),  # to student
    (((6.42, 7.37), (6.42, 7.86), (6.6, 7.86)), {}),  # its logits to cosine
    *((((x, 1.03), (x, 2.89)), {"head": "-"}) for x in (1.36, 9.2, 10.4)),  # beside slots and masks
    *((((x, 1.97), (x, 2.13)), STOP) for x in (2.955, 3.005)),  # no gradient goes back to the teacher
    (((8.23, 4.295), (4.58, 4.295), (4.58, 5.01)), BACK | {"color": STUDENT}),
    (((9.2, 4.16), (9.2, 3.91), (8.8, 3.91), (8.8, 3.43)), BACK | {"color": GENERATOR}),
    (((4.58, 6.75), (4.58, 7.12)), BACK | {"color": TEACHER, "linestyle": (0, (1, 1.2))}),
)


def framework(
    shapes: Named, pictures: Named, weights: pd.DataFrame, *, sizes: Named, shares: Sequence, tap: str, title: str
) -> Figure:
    """Draw the framework of AdAutoMix as it was in one step: generator module above, target module below.

    Args:
        shapes: of the step's tensors, by the names in NEEDED, and `x_plain` where there is the term student_plain.
        pictures: of one example: `slots` (N images [3,H,W]), `mask` (N maps [H,W]), and the images `x`, `x_mix` (of
            the generator's batch), `x_mix_student` and, with its term, `x_plain`.
        weights: a row per loss term of the step, a column a (network, objective, steps), network student or generator:
            the weight with which it minimises the term; negative where it maximises it, 0 where it does not see it.
        sizes: number of weights of student, teacher and generator.
        shares: lam of the example, one a slot.
        tap: name of the teacher's layer that is read.
        title: above the diagram; say which run it shows.
    Raises: UserError naming what is missing.
    """
    _require(shapes=shapes, pictures=pictures, sizes=sizes, weights=weights.index)
    weights = weights.loc[[term for term in TERMS if term in weights.index]]
    words = {name: "×".join(map(str, shape)) for name, shape in shapes.items()}
    words |= {name: f"{size:,}" for name, size in sizes.items()}
    words |= {name: words[tensor].split("×", 2)[2] for name, tensor in (("small", "P"), ("large", "mask"))}
    told = "+ channel of λ" if shapes["z"][2] > shapes["tap"][1] else "no λ channel"
    words |= {"told": told, "slots": len(shares), "layer": tap, "title": title}
    board = Board(11.6, 9.08)
    board.frame((0.1, 0.4, 11.4, 3.15), DATA, 0.06)
    board.frame((3.15, 0.97, 5.82, 2.46), GENERATOR, 0.1)
    board.frame((0.1, 4.05, 11.4, 4.31), DATA, 0.06)
    for i, (place, lines, color, share) in enumerate(BOXES):
        board.box(str(i), place, lines % words, color, share)
    for at, lines, width, look in TEXTS:
        board.text(at, lines % words, width, **look)
    for points, look in WIRES:
        board.wire(points, **look)
    _slots(board, pictures, shares)
    _losses(board, pictures, words, weights.index)
    _weights(board, weights)
    board.figure.set_label(
        f"{title}. Above, the generator module: {len(shares)} images, of which {', '.join(f'{s:.2f}' for s in shares)} "
        f"make the label, go through a frozen copy of the teacher up to {tap}; MixBlock ({words['generator']} weights) "
        f"makes of these features ({words['tap']}) a mask for each image, and the masks the mix. Below, the target "
        f"module: student and teacher see the batch and its mixes, and a table says with which weight each of "
        f"{len(weights)} loss terms reaches student and generator."
    )
    return board.figure


def _require(**given: Any) -> None:
    plain = "student_plain" in given["weights"]
    for what, names in NEEDED.items():
        names = names.split() + ["x_plain"] * (plain and what in ("shapes", "pictures"))
        if missing := [name for name in names if name not in given[what]]:
            got = ", ".join(given[what]) or "none"
            raise UserError(f"the diagram needs the {what} of {', '.join(missing)}; got {got}")


def _slots(board: Board, pictures: Named, shares: Sequence[float]) -> None:
    """Draw the images in the slots, their masks with the largest and least value, and the mix."""
    side = min(0.57, 1.92 / len(shares) - 0.06)
    for n, y in enumerate(np.linspace(1.03 + side / 2, 2.89 - side / 2, len(shares))):
        mask = np.asarray(pictures["mask"][n])
        board.picture(f"slot {n + 1}", pictures["slots"][n], (0.96, y), side)
        board.picture(f"mask {n + 1}", mask, (9.58, y), side)
        board.text((0.63, y), rf"$\lambda_{{{n + 1}}}$ {shares[n]:.2f}", 0.5, ha="right")
        if side > 0.4:
            board.text((9.91, y), f"{mask.max():.3f}|{mask.min():.3f}", 0.45, ha="left")
    board.picture("x_mix", pictures["x_mix"], (10.93, 2.05), 0.66)


def _losses(board: Board, pictures: Named, words: Named, terms: Sequence[str]) -> None:
    """Draw what leads to each loss, from left to right."""
    for term in terms:
        y, lines, shown, picture, head = TERMS[term]
        board.picture(term, pictures[picture], (0.86, y), 0.52)
        board.text((1.2, y), f"{shown}|{words[picture.removesuffix('_student')]}", 1.05, leading=0.22, ha="left")
        board.wire(((1.12, y), (4.08, y)))
        board.wire(((5.76, y), (6.6, y)))
        board.text((6.08, y - 0.11), words[head], 0.6)
        board.box(term, (6.6, y - 0.22, 1.5, 0.44), lines, DATA, 0.08, weight="normal")
    if "student_plain" not in terms:
        board.text((1.2, TERMS["student_plain"][0]), "no plain blend of two images", 2.6, ha="left", color="0.4")


def _weights(board: Board, weights: pd.DataFrame) -> None:
    """Draw the table of weights, and for every objective what they say of the way from the mix to the student."""
    reach = weights.loc["student_mixed", "generator"].abs().groupby(level=0, sort=False).max()
    gate = [f"{name}: " + ("same mix, ×−1" if weight else "own draw, ‖") for name, weight in reach.items()]
    height = 0.08 + 0.18 * len(gate)
    board.box("gate", (2.31, 6.5 - height / 2, 1.6, height), "|".join(gate), GENERATOR, 0.2, weight="normal")
    left, pitch = 8.2, 3.2 / weights.shape[1]
    for network, symbol, color in (("student", r"$w$", STUDENT), ("generator", r"$\theta$", GENERATOR)):
        columns = weights.loc[:, [network]]
        width = pitch * columns.shape[1]
        board.box(network, (left + 0.01, 4.16, width - 0.02, 0.27), f"{network} {symbol}", color)
        for i, ((_, objective, steps), values) in enumerate(columns.items()):
            x = left + pitch * (i + 0.5)
            board.text((x, 4.675), f"{objective}|{steps}", pitch - 0.04, weight="bold")
            for term, weight in values.items():
                name, place = f"{term} {network} {objective} {steps}", (x - 0.3, TERMS[term][0] - 0.14, 0.6, 0.28)
                if weight:
                    sign, share, ink = ("▼", 0, color) if weight > 0 else ("▲", 1, "white")
                    board.box(name, place, f"{sign} {abs(weight):.3g}", color, share, color=ink)
                else:
                    board.text((x, TERMS[term][0]), "·", 0.6, color="0.4", fontsize=18)
        left += width
