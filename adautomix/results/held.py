"""Which Runs hold an evaluator's result, of which of their networks, and a number in it. Needs no torch.

A published Run has a teacher alone, and whoever evaluates may ask for one role: a result of either is a result.
"""

from collections.abc import Collection, Mapping
from typing import Any

from adautomix.evaluate import VALUES
from adautomix.runs.run import ROLES, Run
from adautomix.utils.errors import UserError, unknown


def holding(runs: Collection[Run], evaluator: str, roles: Collection[str] = ROLES) -> list[Run]:
    """Return the runs in which a network of one of these roles has a result."""
    return [run for run in runs if any(run.metrics(evaluator, role) for role in roles)]


def lacking(runs: Collection[Run], evaluator: str) -> list[str]:
    """Return a line for every role that some of these runs have no result of; no line where all have both."""
    lines = []
    for role in ROLES:
        without = len(runs) - len(holding(runs, evaluator, (role,)))
        alone = any(role not in run.roles for run in runs)
        why = f": published ones have no {role}" if alone else ""
        lines += [f"no {role} with {evaluator} in {without} of {len(runs)} runs{why}"] if without else []
    return lines


def number_in(run: Run, evaluator: str, result: Mapping[str, Any], value: str) -> float:
    """Return a number of a run's result.

    Raises: UserError if the evaluator gives no such value, did not yet when this was stored, or gives no number there.
    """
    values = result["value"]
    if value not in values and value in VALUES.get(evaluator, ()):
        raise UserError(
            f"{evaluator} of {run.id} has no {value}: an older version stored it, with {', '.join(values)}. Evaluate "
            f"it again: adautomix evaluate {run.path} --evaluators {evaluator}"
        )
    if value not in values:
        raise unknown(f"value of {evaluator}", value, values)
    if not isinstance(values[value], int | float):
        numbers = [name for name, number in values.items() if isinstance(number, int | float)]
        raise UserError(f"{value} of {evaluator} is no number, and has no mean; take {', '.join(numbers)}")
    return values[value]
