"""What a plan was last run with: `status`, `book` and a further `run` under the same `--name` go by it.

outputs/<name>/settings.json   {"plan": "cifar10", "set": {"epochs": 10}}
"""

from pathlib import Path
from typing import Any

from adautomix.plans.tasks import Plan
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json
from adautomix.utils.paths import workbook_root

FILE = "settings.json"


def remember(plan: Plan) -> None:
    """Write down which plan this is, and its `--set`; nothing is written where that stands there already."""
    path, told = plan.outputs / FILE, {"plan": plan.source, "set": dict(plan.settings)}
    if not path.exists() or read_json(path) != told:
        write_json(path, told)


def recall(plan: Plan) -> dict[str, Any] | None:
    """Return the `--set` of the last run into these outputs, or None if there was none.

    Raises: UserError if it was another plan's.
    """
    if not (plan.outputs / FILE).exists():
        return None
    last = read_json(plan.outputs / FILE)
    if not _is_of(plan, last.get("plan", plan.source)):
        raise UserError(
            f"the name {plan.name!r} belongs to plan {last['plan']}, not to {plan.source}; choose another --name"
            f" (if the plan's file was moved: write {plan.source!r} into {plan.outputs / FILE})"
        )
    return last.get("set", {})


def _is_of(plan: Plan, told: str) -> bool:
    """Return whether a record is of this plan; until paths were told it said a file's name alone."""
    named = workbook_root() / "notebooks" / "plans" / f"{told}.yaml"
    return told == plan.source or (told == Path(plan.source).stem and not named.exists())
