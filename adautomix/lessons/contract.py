"""The contract of a mixing method, as checks that say "right" or what is off: for methods that a reader wrote.

Whatever keeps it can be trained, replayed and resumed by the trainer. The package's own methods keep it too (a test).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch

from adautomix.lessons import contract_conduct as conduct
from adautomix.lessons import contract_mixes as mixed
from adautomix.lessons.telling import NOTHING, raised
from adautomix.lessons.trial import batch, start
from adautomix.methods.base import Draws, MixMethod, StepOutput
from adautomix.methods.ops.mixing import Mixed

NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Verdict:
    """What one clause of the contract says of a method: `said` is "right", or what is off."""

    clause: str
    said: str

    @property
    def right(self) -> bool:
        """Whether the clause is kept."""
        return self.said == "right"


def verdicts_on(kind: type[MixMethod]) -> list[Verdict]:
    """Return what every clause says of a method's class; of one that cannot make a step the others are not tried."""
    verdicts: list[Verdict] = []
    for clause, check in CLAUSES.items():
        first = any(not verdict.right for verdict in verdicts[:2])  # all others need a method that makes a step
        try:
            said = NOT_TRIED if first else check(kind) or "right"
        except Exception as error:
            said = raised(error)
        verdicts.append(Verdict(clause, said))
    return verdicts


def check_method(kind: type[MixMethod]) -> str:
    """Return "right" if a method's class keeps the whole contract, or the first clause it does not, and why."""
    broken = [verdict for verdict in verdicts_on(kind) if not verdict.right]
    return f"{broken[0].clause}: {broken[0].said}" if broken else "right"


def _built(kind: type[MixMethod]) -> str | None:
    if not (isinstance(kind, type) and issubclass(kind, MixMethod)):
        return f"a method is a class of its own, class Mine(MixMethod), got {kind!r}"
    named = [p for p in inspect.signature(kind).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if kind.init_args.__func__ is MixMethod.init_args.__func__ and named:
        return f"options come after a star, each with a default: def __init__(self, *, {named[0].name}=...)"
    start(kind)
    return None


def _steps(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    x, y = batch()
    draws = method.draw(len(x), ctx)
    if draws is None:
        return NOTHING
    if not isinstance(draws, Draws):
        return f"draw should return a Draws, got {type(draws).__name__}"
    made = method.mix(x, y, ctx, draws) if kind.step is MixMethod.step else None
    if kind.step is MixMethod.step and not isinstance(made, Mixed):
        return f"mix should return a Mixed (mixed_from_mask and mixed_from_lam make one), got {type(made).__name__}"
    out = method.step(x, y, ctx)
    if not isinstance(out, StepOutput) or "student" not in out.losses or not out.mixed:
        return 'step should return a StepOutput with the loss "student" and what was mixed'
    if stray := set(out.losses) - {"student", *method.trainable_modules()}:
        return f"there is nothing to train with the loss {sorted(stray)[0]!r}: trainable_modules does not name it"
    for name, loss in out.losses.items():
        if loss.shape != () or not torch.isfinite(loss):
            return f"the loss {name!r} should be one finite number, got {loss.detach().flatten()[:3].tolist()}"
    return None


CLAUSES: dict[str, Callable[[type[MixMethod]], str | None]] = {
    "it is built with its defaults": _built,
    "a step runs": _steps,
    "shapes and types are as promised": mixed.shapes,
    "images, labels and masks lie in [0,1]": mixed.numbers,
    "labels follow lam": mixed.labels,
    "lam follows the mask": mixed.areas,
    "images follow the mask": mixed.contents,
    "a seed fixes what is drawn": conduct.seeds,
    "a step can be replayed": conduct.replays,
    "the gradient reaches the student": conduct.gradients,
    "what is given is left alone": conduct.leaves_alone,
    "a run that was cut off resumes": conduct.resumes,
}
"""Every clause, and the check that returns what is off, or None."""
