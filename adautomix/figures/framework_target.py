"""The target module of the framework diagram: what the networks are shown, their losses, and the weights of these.

Lengths are inches.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adautomix.figures.board import HEAD, SOFT, Board
from adautomix.figures.framework_generator import DATA, GENERATOR, TEACHER, WIDTH, Step
from adautomix.figures.style import ROLE_COLORS

STUDENT = ROLE_COLORS["student"]
ROW, BETWEEN, HEADER = 0.62, 0.25, 0.9
"""Of a loss and what leads to it; between the student's rows and the teacher's; above them."""
TERMS = {
    "student_clean": (r"$L_{ace}(\theta)$", "label $y$", "clean images", "x", "one"),
    "student_plain": (r"$L_{mce}(\theta)$", r"label $\Sigma_n\lambda_n y_n$", "plain blend", "x_plain", "mix"),
    "student_mixed": (r"$L_{amce}(\theta)$", r"label $y_{mix}$", "generator's mix", "x_mix_student", "mix"),
    "teacher_mixed": (r"$L_{amce}(\hat{\theta})$", r"label $y_{mix}$", "generator's mix", "x_mix", "teacher_mix"),
    "cosine": (r"$L_{cosine}(\hat{\theta})$", "mix and its parts", "clean images", "x", "teacher_mix"),
}
"""Loss terms by the name a step gives them: symbol, against what, what the network is shown, its picture, its head."""


def target_height(rows: Sequence[str]) -> float:
    """Return the height of the target module with these loss terms."""
    return 0.06 + ROW * len(rows) + BETWEEN + HEADER


def target_module(board: Board, y: float, step: Step, *, lane: float, floor: float) -> None:
    """Draw what the networks are shown -> student and teacher -> losses -> their weights, from the lower edge y up.

    Args:
        lane: height at which the generator's mix comes over from the generator module, whose lower edge is `floor`.
    """
    top = y + target_height(step.weights.index)
    board.frame("target module", (0.1, y, WIDTH - 0.2, top - y), DATA)
    board.text("", (0.45, top - 0.2), "Target module", fontsize=HEAD, weight="bold")
    at = {term: top - HEADER - ROW * (i + 0.5) for i, term in enumerate(step.weights.index)}
    at |= {term: middle - BETWEEN for term, middle in at.items() if not term.startswith("student")}
    for term, middle in at.items():
        _row(board, term, middle, step)
    edge = _networks(board, at, step)
    _gate(board, at["student_mixed"], step)
    _weights(board, top, at, step)
    last, low, high = at["teacher_mixed"], at["cosine"] + 0.13, top - 0.245
    board.wire("mix down", (10.93, floor + 0.36), (10.93, lane), (0.32, lane), (0.32, last), (0.6, last))
    board.wire("mix to student", (0.32, at["student_mixed"]), (0.6, at["student_mixed"]))
    board.wire("mix to cosine", (6.42, last), (6.42, low), (6.6, low))
    back = {"linestyle": "--", "lw": 1.6}
    board.wire("student learns", (8.23, high), (4.58, high), (4.58, edge), color=STUDENT, **back)
    board.text("", (6.4, top - 0.12), "gradients train the student", ha="center", color=STUDENT)
    bend = [(9.2, top - 0.11), (9.2, top + 0.14), (8.8, top + 0.14), (8.8, floor + 0.12)]
    board.wire("generator learns", *bend, color=GENERATOR, **back)
    board.text("", (9.32, top + 0.13), "gradients train the generator", color=GENERATOR)


def _row(board: Board, term: str, y: float, step: Step) -> None:
    symbol, against, shown, picture, head = TERMS[term]
    board.picture(term, step.pictures[picture], (0.6, y - 0.26), 0.52)
    board.text("", (1.2, y + 0.11), shown)
    board.text("", (1.2, y - 0.11), step.text(picture.removesuffix("_student")), width=1.05)
    board.wire(f"{term} in", (1.12, y), (4.08, y))
    board.wire(f"{term} out", (5.76, y), (6.6, y))
    board.text("", (6.08, y + 0.11), step.text(head), ha="center", width=0.6)
    board.box(term, (6.6, y - 0.22, 1.5, 0.44), [symbol, against], DATA, share=0.08)


def _networks(board: Board, at: Mapping[str, float], step: Step) -> float:
    """Draw both networks with their heads, and the average between them; return the student's upper edge."""
    edges = {}
    for name, symbol, color in (("student", r"\theta", STUDENT), ("teacher", r"\hat{\theta}", TEACHER)):
        own = {term: y for term, y in at.items() if term.startswith("student") == (name == "student")}
        low, high = edges[name] = min(own.values()) - 0.25, max(own.values()) + 0.25
        words = "trained" if name == "student" else "frozen copy"
        lines = [rf"{name} ${symbol}$", words, f"{step.sizes[name]:,}", "weights"]
        board.box(name, (4.08, low, 1.0, high - low), lines, color)
        for head in dict.fromkeys(TERMS[term][4] for term in own):
            part = [y for term, y in own.items() if TERMS[term][4] == head]
            place = (5.14, min(part) - 0.25, 0.62, max(part) - min(part) + 0.5)
            board.box(f"{name} {head}", place, ["head", head.removeprefix("teacher_")], color, share=0.3)
    (start, top), (_, end) = edges["student"], edges["teacher"]
    board.wire("average", (4.58, start), (4.58, end), color=TEACHER, linestyle=(0, (1, 1.2)), lw=1.6)
    board.text("", (4.7, (start + end) / 2), "moving average, after the step", color=TEACHER)
    return top


def _gate(board: Board, y: float, step: Step) -> None:
    """Say for every objective what lies between the generator's mix and the student: measured, not assumed."""
    reach = step.weights.loc["student_mixed", "generator"].abs().groupby(level=0, sort=False).max()
    words = [f"{name}: " + ("same mix, ×−1" if weight else "own draw, ‖") for name, weight in reach.items()]
    height = 0.08 + 0.18 * len(words)
    board.box("gate", (2.31, y - height / 2, 1.6, height), words, GENERATOR, share=0.2, weight="normal")


def _weights(board: Board, top: float, at: Mapping[str, float], step: Step) -> None:
    """Draw the table of weights: a column a network, objective and kind of step."""
    left, columns = 8.2, list(step.weights.columns)
    pitch = (WIDTH - 0.2 - left) / len(columns)
    for network, symbol, color in (("student", r"\theta", STUDENT), ("generator", r"\phi", GENERATOR)):
        own = [i for i, column in enumerate(columns) if column[0] == network]
        place = (left + pitch * own[0] + 0.03, top - 0.38, pitch * len(own) - 0.06, 0.27)
        board.box(f"{network} learns", place, [f"{network} ${symbol}$"], color)
        for i in own:
            x, (_, objective, steps) = left + pitch * (i + 0.5), columns[i]
            board.text("", (x, top - 0.54), objective, ha="center", weight="bold", width=pitch)
            board.text("", (x, top - 0.71), steps, ha="center", width=pitch - 0.04)
            for term, y in at.items():
                _pill(board, f"{term} {' '.join(columns[i])}", x, y, step.weights.loc[term, columns[i]], color)


def _pill(board: Board, name: str, x: float, y: float, weight: float, color: Any) -> None:
    if not weight:
        board.text("", (x, y), "·", ha="center", color=SOFT, fontsize=18)
        return
    sign, share, ink = ("▼", 0.0, color) if weight > 0 else ("▲", 1.0, "white")
    board.box(name, (x - 0.3, y - 0.14, 0.6, 0.28), [f"{sign} {abs(weight):.3g}"], color, share=share, ink=ink)
