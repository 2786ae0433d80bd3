"""What a plan was last run with: `status`, `book` and a further `run` under the same `--name` go by it.

outputs/<name>/settings.json   {"plan": "cifar10", "set": {"epochs": 10}}
"""

from typing import Any

from adautomix.plans.tasks import Plan
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json

FILE = "settings.json"


def remember(plan: Plan) -> None:
    """Write down which plan this is, and its `--set`."""
    write_json(plan.outputs / FILE, {"plan": plan.source, "set": dict(plan.settings)})


def recall(plan: Plan) -> dict[str, Any] | None:
    """Return the `--set` of the last run into these outputs, or None if there was none.

    Raises: UserError if it was another plan's.
    """
    if not (plan.outputs / FILE).exists():
        return None
    last = read_json(plan.outputs / FILE)
    if last.get("plan", plan.source) != plan.source:
        raise UserError(
            f"the name {plan.name!r} belongs to plan {last['plan']}, not to {plan.source}; choose another --name"
            f" (if the plan's file was moved: write {plan.source!r} into {plan.outputs / FILE})"
        )
    return last.get("set", {})
