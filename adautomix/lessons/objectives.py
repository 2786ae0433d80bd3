"""Checks of what a reader lets a generator aim at: Eq. 4, an adversary that collapses, and one that does not.

Each returns "right", or one sentence that says what is off.
"""

from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor

from adautomix.lessons.game import Aim, Terms
from adautomix.lessons.telling import NOTHING, tells

Play = Callable[[Mapping[str, Aim]], pd.DataFrame]
"""A game of some aims, by name, that returns the log of `frozen_game`."""

TERMS = {"student": "the student's loss", "teacher": "the teacher's loss", "cosine": "the cosine"}
COLLAPSED, MIXED = 1 / 3, 1 / 2
"""Mask entropy over its greatest value: below the first hardly anything is mixed, above the second a good deal is."""


@tells
def check_objective(eq4: Callable[[Terms, float], Tensor]) -> str:
    """Return "right" if `eq4(v, beta)` is what the generator makes as large as it can in Eq. 4, or what is off.

    Args:
        eq4: of v.student, v.teacher (losses) and v.cosine, and beta.
    """
    for beta in (0.3, 0.8):
        given = [torch.tensor(value, requires_grad=True) for value in (1.7, 1.2, 0.4)]
        value = eq4(Terms(*given, penalty=torch.zeros(()), odd=False), beta)
        if value is None:
            return NOTHING
        found = [0.0 if grad is None else float(grad) for grad in torch.autograd.grad(value, given, allow_unused=True)]
        wanted = [1.0, -beta, 1 - beta]
        if all(abs(a + b) < 1e-5 for a, b in zip(found, wanted, strict=True)):
            return "every sign is turned: Eq. 4 is made large by the generator, not small"
        for (name, words), got, want in zip(TERMS.items(), found, wanted, strict=True):
            if abs(got - want) > 1e-5:
                why = {"student": "hard for it", "teacher": "easy for it", "cosine": "a high cosine"}[name]
                return f"at beta {beta:g} {words} has the weight {got:+.2f}, and in Eq. 4 {want:+.2f} ({why})"
    return "right"


@tells
def check_collapse(play: Play, aim: Aim) -> str:
    """Return "right" if a generator that plays for an aim ends by showing single images, or how it ends."""
    entropy = _end(play, aim)
    if entropy is None or entropy < COLLAPSED:
        return NOTHING if entropy is None else "right"
    return f"the masks still mix: their entropy ends at {entropy:.2f} of its maximum, collapse is below {COLLAPSED:.2f}"


@tells
def check_repair(play: Play, aim: Aim) -> str:
    """Return "right" if an adversary with the teacher as its anchor ends by mixing, or how it ends."""
    given = [torch.tensor(value, requires_grad=True) for value in (1.7, 1.2, 0.4)]
    if isinstance(value := aim(Terms(*given, penalty=torch.zeros(()), odd=False)), Tensor):
        hard, easy, _ = torch.autograd.grad(value + 0 * sum(given), given)
        if hard <= 0 or easy >= 0:
            words = "the aim should grow with the student's loss, and fall as the teacher's grows"
            return f"{words}; yours changes by {float(hard):+.2f} and {float(easy):+.2f} with them"
    entropy = _end(play, aim)
    if entropy is None or entropy > MIXED:
        return NOTHING if entropy is None else "right"
    return f"not repaired: the masks' entropy ends at {entropy:.2f} of its maximum, not above {MIXED:.2f}"


def _end(play: Play, aim: Aim) -> float | None:
    """Return the mask entropy over its maximum, mean of the last fifth of the steps; None of an aim without a value."""
    tried = aim(Terms(*(torch.ones(()) for _ in range(4)), odd=False))
    if tried is None:
        return None
    log = play({"yours": aim})
    return float(log[log["step"] >= 0.8 * log["step"].max()]["entropy"].mean())
