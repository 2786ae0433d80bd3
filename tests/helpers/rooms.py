"""The map of the package in CONTRIBUTING, and what in a package disagrees with it."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

LOOSE = {"__init__", "__main__", "config"}
"""The only files that lie in the package's own folder."""


def rooms_of(contributing: str) -> list[str]:
    """Return the rooms in the order of the table under "## The rooms", ground first."""
    table = contributing.split("## The rooms")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)(?:\.py|/)` \|", table, re.MULTILINE)


def faults(package: Path, contributing: str) -> list[str]:
    """Return every disagreement: loose files, rooms missing on either side, arrows that run up, circles."""
    rooms = rooms_of(contributing)
    files = {module_of(path, package): path for path in sorted(package.rglob("*.py"))}
    return [
        *(f"{p.name} lies loose" for p in sorted(package.glob("*.py")) if p.stem not in LOOSE),
        *_missing(package, rooms),
        *_upward(files, rooms, package.name),
        *_circles(files, package.name),
    ]


def module_of(path: Path, package: Path) -> str:
    """Return the dotted name of a file of the package."""
    return ".".join([package.name, *path.relative_to(package).with_suffix("").parts]).removesuffix(".__init__")


def imported(path: Path, package: str = "adautomix") -> set[str]:
    """Return the modules of the package that a file imports, at its top or inside functions, but not for types only."""
    found = set()
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith(f"{package}.")}


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _nodes(node)


def _missing(package: Path, rooms: list[str]) -> list[str]:
    there = {p.name for p in package.iterdir() if (p / "__init__.py").exists()} | {"config"}
    return [
        *(f"{room} is not in the table" for room in sorted(there - set(rooms))),
        *(f"the table's {room} does not exist" for room in rooms if room not in there),
    ]


def _upward(files: dict[str, Path], rooms: list[str], package: str) -> list[str]:
    height = {room: place for place, room in enumerate(rooms)}
    found = []
    for module, path in files.items():
        own = module.split(".")[1] if "." in module else None
        for room in sorted({name.split(".")[1] for name in imported(path, package)}):
            if own in height and room in height and height[room] > height[own]:
                found.append(f"{module} imports {room}, which lies above it")
    return found


def _circles(files: dict[str, Path], package: str) -> list[str]:
    arrows = {module: imported(path, package) & set(files) - {module} for module, path in files.items()}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return [f"circle: {' -> '.join(error.args[1])}"]
    return []
