"""Plans: YAML files that name notebooks, grids of parameters and what each step needs.

    parameters: {data: digits, epochs: 10}        # given to every notebook that has them
    steps:
      train:
        notebook: 10_train
        training: true                            # its results do not depend on the package's source
        grid: {method: [mixup, cutmix], seed: [0, 1]}
      evaluate:
        notebook: 20_evaluate
        needs: train                              # those with the same values of the grid parameters both have
        grid: {method: [mixup, cutmix]}

Everything is checked before anything starts, and all mistakes are reported at once.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from adautomix.config import NUMERICS_VERSION
from adautomix.errors import UserError, unknown
from adautomix.paths import in_workbook, workbook_root
from adautomix.runner.notebook import Parameter, content_hash, parameters_of

PLACE = ("outputs", "root")
"""Parameters that say where files lie: not part of what identifies a task."""


@dataclass(frozen=True)
class Step:
    """One entry under `steps`: a notebook, run once for every point of its grid."""

    name: str
    notebook: str
    grid: dict[str, list[Any]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    training: bool = False
    gpu: bool = False
    timeout_minutes: float | None = None


@dataclass(frozen=True)
class Task:
    """One notebook to run with given parameters.

    Attributes:
        id: the step's name and the grid values; its folder's name below `tasks`.
        key: hash of parameters, notebook, upstream keys and (not for training) package source.
        folder: where its notebook and DONE go.
        needs: ids of the tasks that must be done first.
    """

    id: str
    step: str
    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    key: str = ""
    needs: tuple[str, ...] = ()
    gpu: bool = False
    timeout_minutes: float | None = None


@dataclass(frozen=True)
class Plan:
    """A checked plan: its tasks in an order in which each comes after what it needs."""

    name: str
    description: str
    outputs: Path
    tasks: dict[str, Task]
    steps: tuple[str, ...]


def load_plan(plan: str | Path, *, settings: Mapping[str, Any] | None = None, name: str | None = None) -> Plan:
    """Return a plan, checked against its notebooks.

    Args:
        plan: a name in notebooks/plans, or the path of a YAML file.
        settings: values that replace those under the plan's `parameters`, or add to them.
        name: outputs go to outputs/<name>; by default the plan's own name.
    Raises: UserError that lists everything that is wrong.
    """
    path = _find(plan)
    content = _read_yaml(path)
    steps, shared = _steps(content, path), _mapping(content, "parameters", path) | dict(settings or {})
    order = _order(steps)
    notebooks = {step.name: _notebook(step, path) for step in steps}
    outputs = in_workbook("outputs") / (name or path.stem)
    tasks = _tasks(steps, order, shared, notebooks, outputs)
    return Plan(name or path.stem, str(content.get("description", "")).strip(), outputs, tasks, tuple(order))


def _find(plan: str | Path) -> Path:
    if Path(plan).suffix in (".yaml", ".yml"):
        if not Path(plan).exists():
            raise UserError(f"there is no plan {plan}")
        return Path(plan)
    folder = workbook_root() / "notebooks" / "plans"
    if not (folder / f"{plan}.yaml").exists():
        raise unknown("plan", str(plan), [p.stem for p in folder.glob("*.yaml")])
    return folder / f"{plan}.yaml"


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; a plan must not lose a step that way."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise UserError(f"{key!r} appears twice, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(), _UniqueKeyLoader)
    except (yaml.YAMLError, UserError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("steps"), dict) or not content["steps"]:
        raise UserError(f"{path} must have a mapping `steps` with at least one step")
    for key in content:
        if key not in ("description", "parameters", "steps"):
            raise unknown("key of the plan", key, ("description", "parameters", "steps"))
    return content


def _mapping(content: Mapping[str, Any], key: str, where: object) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise UserError(f"{where}: {key} must be a mapping, got {value!r}")
    return value


def _steps(content: Mapping[str, Any], path: Path) -> list[Step]:
    problems, steps = [], []
    known = [f.name for f in fields(Step) if f.name != "name"]
    for name, entry in content["steps"].items():
        try:
            steps.append(_step(name, entry, known))
        except UserError as error:
            problems.append(f"step {name}: {error}")
    _raise(problems, path)
    return steps


def _step(name: str, entry: Any, known: list[str]) -> Step:
    if not isinstance(entry, dict) or "notebook" not in entry:
        raise UserError("must be a mapping with a `notebook`")
    for key in entry:
        if key not in known:
            raise unknown("key", key, known)
    grid = _mapping(entry, "grid", "here")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"grid of {key} must be a list of values, got {values!r}")
    needs = entry.get("needs") or []
    needs = tuple([needs] if isinstance(needs, str) else needs)
    for key in ("training", "gpu"):
        if not isinstance(entry.get(key, False), bool):
            raise UserError(f"{key} must be true or false, got {entry[key]!r}")
    minutes = entry.get("timeout_minutes")
    if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or minutes <= 0):
        raise UserError(f"timeout_minutes must be a positive number, got {minutes!r}")
    return Step(
        **entry | {"name": name, "grid": grid, "needs": needs, "parameters": _mapping(entry, "parameters", name)}
    )


def _order(steps: list[Step]) -> list[str]:
    names = [step.name for step in steps]
    for step in steps:
        for need in step.needs:
            if need not in names:
                raise UserError(f"step {step.name} needs: {unknown('step', need, names)}")
    try:
        return list(TopologicalSorter({step.name: step.needs for step in steps}).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UserError(f"the steps' `needs` go in a circle: {circle}; remove one of them") from error


def _notebook(step: Step, plan: Path) -> Path:
    path = Path(step.notebook if step.notebook.endswith(".ipynb") else f"{step.notebook}.ipynb")
    beside = plan.parent / path
    return beside if beside.exists() else workbook_root() / "notebooks" / path


def _tasks(
    steps: list[Step], order: list[str], shared: dict[str, Any], notebooks: dict[str, Path], outputs: Path
) -> dict[str, Task]:
    problems, by_step, unused = [], {}, set(shared)
    for step in sorted(steps, key=lambda s: order.index(s.name)):
        try:
            accepted = parameters_of(notebooks[step.name])
        except UserError as error:
            problems.append(f"step {step.name}: {error}")
            continue
        unused -= set(accepted)
        given = {k: v for k, v in shared.items() if k in accepted} | step.parameters
        problems += [f"step {step.name}: {p}" for p in _problems(accepted, given, step.grid)]
        by_step[step.name] = (step, given, accepted)
    problems += [f"parameters: no notebook of this plan has a parameter {name!r}" for name in sorted(unused)]
    _raise(problems, "the plan")
    tasks: dict[str, Task] = {}
    for step, given, accepted in by_step.values():
        for point in _grid(step.grid):
            task = _task(step, point, given, accepted, notebooks[step.name], outputs, tasks, by_step)
            tasks[task.id] = task
    return tasks


def _problems(
    accepted: Mapping[str, Parameter], given: Mapping[str, Any], grid: Mapping[str, list[Any]]
) -> Iterator[str]:
    for name, values in [*((k, [v]) for k, v in given.items()), *grid.items()]:
        if name not in accepted:
            yield str(unknown("parameter", name, accepted))
        else:
            yield from filter(None, map(accepted[name].check, values))
        if name in grid and len({json.dumps(v, sort_keys=True) for v in grid[name]}) < len(grid[name]):
            yield f"grid of {name} has a value twice: {grid[name]}"


def _grid(grid: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _task(step, point, given, accepted, notebook, outputs, tasks, by_step) -> Task:
    parameters = given | point
    if "outputs" in accepted:
        parameters = {"outputs": str(outputs)} | parameters
    needs = tuple(
        task.id
        for task in tasks.values()
        if task.step in step.needs and _agree(task, point, by_step[task.step][0].grid)
    )
    id_ = ".".join([step.name, *(f"{k}={_slug(v)}" for k, v in point.items())])
    identity = {k: v for k, v in parameters.items() if k not in PLACE}
    source = NUMERICS_VERSION if step.training else package_hash()
    parts = [content_hash(notebook), identity, sorted(tasks[n].key for n in needs), source]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return Task(
        id_,
        step.name,
        notebook,
        parameters,
        outputs / "tasks" / id_,
        key,
        needs,
        step.gpu,
        step.timeout_minutes,
    )


def _agree(task: Task, point: Mapping[str, Any], grid: Mapping[str, list[Any]]) -> bool:
    return all(task.parameters[name] == value for name, value in point.items() if name in grid)


def _slug(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(c if c.isalnum() or c in "-_+" else "_" for c in text)


@cache
def package_hash() -> str:
    """Return a hash of every source file of the package."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _raise(problems: list[str], where: object) -> None:
    if problems:
        raise UserError(f"{where} has {len(problems)} mistake(s), nothing was started:\n  " + "\n  ".join(problems))
