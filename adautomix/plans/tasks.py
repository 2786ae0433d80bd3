"""Tasks: every notebook of a plan with its parameters, checked against the notebook before anything starts.

A task is DONE for given parameters, notebook, upstream and (not for training) package and published results: its key.
"""

import hashlib
import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adautomix.plans.notebook import Parameter, content_hash, parameters_of
from adautomix.plans.plan import Step, find_plan, raise_all, read_plan
from adautomix.plans.replacing import of_all, regrid
from adautomix.runs.identity import NUMERICS_VERSION
from adautomix.utils.errors import UserError, unknown
from adautomix.utils.paths import in_workbook, shipped, workbook_root

LONGEST_ID = 200
"""Bytes; file systems allow 255 a name."""
TAKEN = {"reference": "where measured results are published", "runs": "where single runs go"}


@dataclass(frozen=True)
class Task:
    """One notebook to run with given parameters.

    Attributes:
        id: the step's name and the grid values; its folder's name below `tasks`.
        key: hash of what makes it another task.
        folder: where its notebook and DONE go.
        needs: ids of the tasks that must be done first.
    """

    id: str
    step: str
    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    key: str
    needs: tuple[str, ...] = ()
    gpu: bool = False
    gpus: int = 0
    timeout_minutes: float | None = None


@dataclass(frozen=True)
class Plan:
    """A checked plan: its tasks, each after those it needs.

    Attributes:
        name: of its outputs' folder.
        source: the plan's own name, or the file's path below the workbook where it is not one of `notebooks/plans`.
        call: what follows `adautomix run` to mean this plan and these outputs.
        settings: what replaced its parameters.
        gpu_share: tasks at a time on one GPU.
    """

    name: str
    description: str
    outputs: Path
    tasks: dict[str, Task]
    steps: tuple[str, ...]
    source: str
    call: str
    settings: dict[str, Any]
    gpu_share: int = 1


def load_plan(plan: str | Path, *, settings: Mapping[str, Any] | None = None, name: str | None = None) -> Plan:
    """Return a plan, checked against its notebooks.

    Args:
        plan: a name in notebooks/plans, or the path of a YAML file.
        settings: values that replace those under the plan's `parameters`, or add to them; one that names a grid
            replaces it, with one value or a list. A step's own value stays where one of these has that name; but what
            is no training and picks a value that the grids no longer have picks the first of the new ones.
        name: outputs go to outputs/<name>; by default the plan's own name.
    Raises: UserError that lists everything that is wrong.
    """
    path = find_plan(plan)
    file = read_plan(path)
    shared = file.parameters
    settings = dict(settings or {})
    if "outputs" in settings:
        raise UserError("outputs cannot be set: the plan's name says where they go, choose one with --name")
    gridded = {name for step in file.steps for name in step.grid}
    steps = [regrid(step, settings, shared, gridded) for step in file.steps]
    shared = shared | of_all(settings, shared, {name for step in steps for name in step.grid})
    name = name or path.stem
    if not re.fullmatch(r"[\w.-]*\w[\w.-]*", name):
        raise UserError(f"--name is a folder in outputs, made of letters, digits and . _ -; got {name!r}")
    if not re.fullmatch(r"[\w .+-]+", path.stem):  # it stands in pages and in what to type
        raise UserError(f"a plan's file is named with letters, digits, blanks and . _ + -; got {path.stem!r}")
    if name in TAKEN:
        raise UserError(f"outputs/{name} is {TAKEN[name]}; choose another --name")
    outputs = in_workbook("outputs") / name
    notebooks = {step.name: _notebook(step, path) for step in steps}
    accepted = _accepted(steps, notebooks, shared, path)
    tasks: dict[str, Task] = {}
    for step in steps:
        given = {k: v for k, v in shared.items() if k in accepted[step.name]} | step.parameters
        if "outputs" in accepted[step.name]:
            given = {"outputs": str(outputs)} | given
        for values in itertools.product(*step.grid.values()):
            point = dict(zip(step.grid, values, strict=True))
            task = _task(step, given | point, point, notebooks[step.name], outputs, tasks)
            tasks[task.id] = task
    order = tuple(step.name for step in steps)
    source = _source(path)
    call = shlex.quote(source) + (f" --name {name}" if name != path.stem else "")
    return Plan(name, file.description, outputs, tasks, order, source, call, settings, file.gpu_share)


def _source(path: Path) -> str:
    """Return what names a plan's file among all: two files may have one name, in two folders."""
    root, path = workbook_root().resolve(), path.resolve()
    if path.parent == root / "notebooks" / "plans":
        return path.stem
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _notebook(step: Step, plan: Path) -> Path:
    """Return the notebook's path: beside the plan, or in notebooks/."""
    file = Path(step.notebook if step.notebook.endswith(".ipynb") else f"{step.notebook}.ipynb")
    beside = plan.parent / file
    return (beside if beside.exists() else workbook_root() / "notebooks" / file).resolve()


def _accepted(
    steps: list[Step], notebooks: Mapping[str, Path], shared: Mapping[str, Any], path: Path
) -> dict[str, dict[str, Parameter]]:
    """Return every step's parameters, after checking all that the plan gives them."""
    problems, accepted, unused = [], {}, set(shared)
    for step in steps:
        try:
            accepted[step.name] = known = parameters_of(notebooks[step.name])
        except UserError as error:
            problems.append(f"step {step.name}: {error}")
            continue
        unused -= set(known)
        given = {k: v for k, v in shared.items() if k in known and k not in step.grid} | step.parameters
        problems += [f"step {step.name}: {p}" for p in _problems(known, given, step.grid)]
    if len(accepted) == len(steps):
        problems += [f"parameters: no notebook of this plan has a parameter {name!r}" for name in sorted(unused)]
    raise_all(problems, path)
    return accepted


def _problems(known: Mapping[str, Parameter], given: Mapping[str, Any], grid: Mapping[str, list[Any]]) -> Iterator[str]:
    for name, values in [*((k, [v]) for k, v in given.items()), *grid.items()]:
        if name not in known:
            yield str(unknown("parameter", name, known))
            continue
        yield from filter(None, map(known[name].check, values))
        if len(values) > len({_slug(value) for value in values}):
            yield f"grid of {name} has two values with the same name: {values}"


def _task(
    step: Step,
    parameters: dict[str, Any],
    point: Mapping[str, Any],
    notebook: Path,
    outputs: Path,
    tasks: Mapping[str, Task],
) -> Task:
    needs = tuple(t.id for t in tasks.values() if t.step in step.needs and _agree(t, point))
    if step.needs and not needs:
        raise UserError(f"step {step.name} at {dict(point)} needs {', '.join(step.needs)}, but no task of it agrees")
    id_ = _short(".".join([step.name, *(f"{name}={_slug(value)}" for name, value in point.items())]))
    identity = {k: v for k, v in parameters.items() if k != "outputs"}  # elsewhere, it is the same task
    source = NUMERICS_VERSION if step.training else source_hash(shipped("outputs/reference"))
    parts = [content_hash(notebook), identity, sorted(tasks[n].key for n in needs), source]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    folder = outputs / "tasks" / id_
    return Task(id_, step.name, notebook, parameters, folder, key, needs, step.gpu, step.gpus, step.timeout_minutes)


def _agree(task: Task, point: Mapping[str, Any]) -> bool:
    """Return whether a task has nothing that differs from a point of a later step's grid."""
    return all(task.parameters.get(name, value) == value for name, value in point.items())


def _slug(value: Any) -> str:
    if isinstance(value, Mapping) and value:  # a method's options: {objective: paper} becomes objective-paper
        return "+".join(f"{key}-{_slug(item)}" for key, item in value.items())
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(c if c.isalnum() or c in "-_+." else "_" for c in text)


def _short(id_: str) -> str:
    """Return an id as it is if it can be a folder's name; else its beginning, and a hash of the whole."""
    name = id_.encode()
    if len(name) <= LONGEST_ID:
        return id_
    return name[: LONGEST_ID - 9].decode(errors="ignore") + "-" + hashlib.sha256(name).hexdigest()[:8]


@cache
def source_hash(published: Path) -> str:
    """Return a hash of all that a notebook may read beside its Runs: the package and the folder of published results.

    The package's code and the paper's tables and logs in it; the site's files, and text for readers, are left out.
    """
    package, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for folder in (package, published):
        for path in sorted(folder.rglob("*.*")):
            name = path.relative_to(folder)
            if name.parts[0] != "book" and "__pycache__" not in name.parts and path.suffix != ".md" and path.is_file():
                digest.update(name.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
