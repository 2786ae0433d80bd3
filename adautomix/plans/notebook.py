"""What the runner must know of a notebook before it runs: its parameters, their types and choices, its content.

A parameter is one line of the cell tagged `parameters`: `name: type = literal  # help`. A type that may be None is
written "Optional[int]", with the quotes: that is what papermill's own inspection understands. A help that says
"one of METHODS" (or RECIPE_METHODS, COLUMNS, DATASETS, EVALUATORS) or "one of: a, b" limits the choices; "any of" does
so for lists.
"""

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from adautomix.utils.errors import UserError, unknown
from adautomix.utils.typecheck import hint_text, matches_hint

_TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "Optional": Optional}
PLAIN = (ast.Expression, ast.Name, ast.Load, ast.Subscript, ast.Tuple, ast.Constant, ast.BinOp, ast.BitOr)
"""What a type hint is made of; nothing that could be called."""
_CHOICE = re.compile(r"\b(?:one|any) of(?:: (?P<listed>[\w\-., ]+)| (?P<table>[A-Z_]+))")


@dataclass(frozen=True)
class Parameter:
    """A notebook's parameter: its type (a type hint), default, help and, if limited, choices."""

    name: str
    hint: Any
    default: Any
    help: str
    choices: tuple[str, ...] | None

    def check(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None."""
        if not matches_hint(value, self.hint):
            return f"{self.name} must be {hint_text(self.hint)}, got {value!r}"
        for item in value if isinstance(value, list) else [value]:
            if self.choices is not None and item is not None and str(item) not in self.choices:
                return f"{self.name}: {unknown('choice', str(item), self.choices)}"
        return None


def read_notebook(path: Path) -> dict[str, Any]:
    """Return a notebook's JSON; raises UserError if it is missing or not a notebook."""
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.ipynb")) if path.parent.is_dir() else []
        raise unknown("notebook", path.stem, known)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["cells"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a notebook ({error})") from error
    return content


def parameters_of(path: Path) -> dict[str, Parameter]:
    """Return a notebook's parameters by name; raises UserError if it has no cell tagged `parameters`."""
    for cell in read_notebook(path)["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            return {p.name: p for p in _parameters(source, path.name)}
    raise UserError(f"{path.name} has no cell tagged 'parameters'; tag the one with its parameters")


def content_hash(path: Path) -> str:
    """Return a hash of the cells' types and sources: outputs and metadata do not count."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in read_notebook(path)["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def _parameters(source: str, notebook: str) -> list[Parameter]:
    lines = source.splitlines()
    found = []
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise UserError(f"{notebook}: the parameters cell is not Python: {error}") from error
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            raise UserError(
                f"{notebook}: every line of the parameters cell must read `name: type = value  # help`, "
                f"line {node.lineno} is {lines[node.lineno - 1]!r}"
            )
        name, help_ = node.target.id, lines[node.end_lineno - 1][node.end_col_offset :].strip(" #")
        try:
            default, hint = ast.literal_eval(node.value), _hint(node.annotation)
        except (ValueError, NameError, TypeError, SyntaxError) as error:
            raise UserError(
                f"{notebook}: parameter {name} needs a literal value and a type made of {', '.join(_TYPES)} ({error})"
            ) from error
        if not matches_hint(default, hint):
            raise UserError(f"{notebook}: the default of {name} must be {hint_text(hint)}, got {default!r}")
        found.append(Parameter(name, hint, default, help_, _choices(help_)))
    return found


def _hint(annotation: ast.expr) -> Any:
    source = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    if not all(isinstance(node, PLAIN) for node in ast.walk(ast.parse(source, mode="eval"))):
        raise NameError(f"no type: {source}")  # looking at a plan must not run what a notebook says
    return eval(source, {"__builtins__": _TYPES})  # only the names in _TYPES exist


def _choices(help_: str) -> tuple[str, ...] | None:
    match = _CHOICE.search(help_)
    if match is None:
        return None
    if match["listed"]:
        return tuple(word.strip(" .") for word in match["listed"].split(","))
    return tuple(_table(match["table"]))


def _table(name: str) -> Any:
    from adautomix.data import DATASETS
    from adautomix.evaluate import ALL_EVALUATORS
    from adautomix.methods import METHODS
    from adautomix.recipes import COLUMNS
    from adautomix.recipes import METHODS as RECIPE_METHODS

    tables = {"METHODS": METHODS, "DATASETS": DATASETS, "EVALUATORS": ALL_EVALUATORS, "COLUMNS": COLUMNS}
    tables["RECIPE_METHODS"] = RECIPE_METHODS
    if name not in tables:
        raise unknown("table of choices", name, tables)
    return tables[name]
