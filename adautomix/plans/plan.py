"""Plans: YAML files that name notebooks, grids of parameters and what each step needs.

    parameters: {data: digits, epochs: 10}        # given to every notebook that has them
    gpu_share: 2                                  # runs at a time on one GPU, for small ones (1 if not given)
    steps:
      train:
        notebook: 10_train
        training: true                            # its results do not depend on the package's source
        gpus: 2                                   # of each of its notebooks; or gpu: true, one where there is one
        grid: {method: [mixup, cutmix], seed: [0, 1]}
      evaluate:
        notebook: 20_evaluate
        needs: train                              # the train tasks with the same method: what both grids name
        grid: {method: [mixup, cutmix]}

This file reads and checks the YAML; `tasks.py` checks it against the notebooks and makes the tasks.
"""

import re
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from adautomix.utils.errors import UserError, unknown
from adautomix.utils.paths import workbook_root
from adautomix.utils.strict_yaml import parse
from adautomix.utils.typecheck import hint_text, matches_hint

KEYS = ("description", "parameters", "gpu_share", "steps")
ENTRY = {
    "notebook": str,
    "grid": dict[str, list],
    "parameters": dict[str, Any],
    "needs": str | list[str],
    "training": bool,
    "gpu": bool,
    "gpus": int,
    "timeout_minutes": float,
}
"""What may stand under a step's name."""
LONGEST_MINUTES = 1e7
"""Twenty years; who wants no limit gives none."""


@dataclass(frozen=True)
class Step:
    """One entry under `steps`: a notebook, run once for every point of its grid.

    Attributes:
        needs: steps whose tasks must be done first; of their tasks, those that agree on the grid values both have.
        training: the result is a trained Run, which an edit of the package's source does not make stale.
        gpu: each task takes a GPU of its own, or its share of one, where there are any.
        gpus: each task needs so many GPUs, for itself; where there are fewer the plan does not start.
        timeout_minutes: longest time one cell may take.
    """

    name: str
    notebook: str
    grid: dict[str, list[Any]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    training: bool = False
    gpu: bool = False
    gpus: int = 0
    timeout_minutes: float | None = None


def find_plan(plan: str | Path) -> Path:
    """Return the file of a plan, given its name in notebooks/plans or its path; raises UserError."""
    if Path(plan).suffix in (".yaml", ".yml"):
        if not Path(plan).exists():
            raise UserError(f"there is no plan {plan}")
        return Path(plan)
    folder = workbook_root() / "notebooks" / "plans"
    if not folder.is_dir():
        raise UserError(f"there is no workbook in {Path.cwd()}; `adautomix notebooks DIR` writes one to run plans in")
    if not (folder / f"{plan}.yaml").exists():
        raise unknown("plan", str(plan), [p.stem for p in folder.glob("*.yaml")])
    return folder / f"{plan}.yaml"


@dataclass(frozen=True)
class PlanFile:
    """What a plan's file says: description, shared parameters, steps, each after those it needs, and `gpu_share`."""

    description: str
    parameters: dict[str, Any]
    steps: list[Step]
    gpu_share: int = 1


def read_plan(path: Path) -> PlanFile:
    """Return what a plan's file says.

    Raises: UserError that lists everything wrong with the file itself.
    """
    content = _read_yaml(path)
    problems, steps = [], []
    for name, entry in content["steps"].items():
        try:
            steps.append(_step(str(name), entry))
        except UserError as error:
            problems.append(f"step {name}: {error}")
    raise_all(problems, path)
    order = _order(steps)
    steps.sort(key=lambda step: order.index(step.name))
    description, parameters = str(content.get("description") or "").strip(), content.get("parameters") or {}
    return PlanFile(description, parameters, steps, content.get("gpu_share", 1))


def raise_all(problems: list[str], where: object) -> None:
    """Raise one UserError for a list of problems; none, no error."""
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise UserError(f"{where} has {count}, nothing was started:\n  " + "\n  ".join(problems))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as YAML in UTF-8: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("steps"), dict) or not content["steps"]:
        raise UserError(f"{path} must have a mapping `steps` with at least one step")
    for key in content:
        if key not in KEYS:
            raise unknown(f"key in {path}", key, KEYS)
    if not isinstance(content.get("parameters"), (dict, type(None))):
        raise UserError(f"parameters must be a mapping, got {content['parameters']!r}")
    share = content.get("gpu_share", 1)
    if not matches_hint(share, int) or share < 1:
        raise UserError(f"gpu_share must be a whole number, 1 or more, got {share!r}")
    return content


def _step(name: str, entry: Any) -> Step:
    if not isinstance(entry, dict) or not isinstance(entry.get("notebook"), str):
        raise UserError("must be a mapping with a `notebook`")
    for key, value in entry.items():
        if key not in ENTRY:
            raise unknown("key", key, ENTRY)
        if value is not None and not matches_hint(value, ENTRY[key]):
            raise UserError(f"{key} must be {hint_text(ENTRY[key])}, got {value!r}")
    if not re.fullmatch(r"(?=.*\w)[\w.-]([\w .-]*[\w.-])?", name):
        raise UserError(f"a step's name is part of a folder's: letters, digits, blanks within and . _ -; got {name!r}")
    given = {key: value for key, value in entry.items() if value is not None}
    grid, needs = given.get("grid", {}), given.get("needs", [])
    if empty := [key for key, values in grid.items() if not values]:
        raise UserError(f"grid of {empty[0]} must be a list of values, got []")
    if both := set(grid) & set(given.get("parameters", {})):
        raise UserError(f"{', '.join(sorted(both))} is both in the grid and in parameters")
    if given.get("gpus", 1) < 1:
        raise UserError(f"gpus must be 1 or more, got {given['gpus']!r}; leave it out for none")
    if given.get("gpu") and "gpus" in given:
        raise UserError("give gpu (a GPU where there is one) or gpus (so many, or the plan does not start), not both")
    if not 0 < given.get("timeout_minutes", 1) < LONGEST_MINUTES:
        raise UserError(
            f"timeout_minutes must be above 0 and below {LONGEST_MINUTES:g}, got {given['timeout_minutes']!r}"
        )
    return Step(**given | {"name": name, "needs": (needs,) if isinstance(needs, str) else tuple(needs)})


def _order(steps: list[Step]) -> list[str]:
    names = [step.name for step in steps]
    for step in steps:
        for need in step.needs:
            if need not in names:
                raise UserError(f"step {step.name} needs: {unknown('step', need, names)}")
    sorter = TopologicalSorter({step.name: step.needs for step in steps})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UserError(f"the steps' `needs` go in a circle: {circle}; remove one of them") from error
    # The file's own order wherever needs allow it: `static_order` would put what needs nothing before all the rest, so
    # that long evaluations came last and left workers idle.
    order: list[str] = []
    ready = list(sorter.get_ready())
    while ready:
        ready.remove(step := min(ready, key=names.index))
        order.append(step)
        sorter.done(step)
        ready += sorter.get_ready()
    return order
