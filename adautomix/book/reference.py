"""The pages of the package's docstrings: one a room, rendered by Sphinx's autodoc."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def reference_pages() -> dict[str, str]:
    """Return the text of every page by its name: `api/index.md`, and `api/<room>.md` for every room of the package."""
    rooms = [p for p in sorted(PACKAGE.iterdir()) if p.suffix == ".py" or (p / "__init__.py").exists()]
    rooms = [room for room in rooms if room.stem != "__init__"]
    return {"api/index.md": _index(rooms)} | {f"api/{room.stem}.md": _room_page(room) for room in rooms}


def _index(rooms: list[Path]) -> str:
    rows = [f"| [`{room.stem}`]({room.stem}.md) | {_first_sentence(_files(room)[0])} |" for room in rooms]
    listed = "\n".join(room.stem for room in rooms)
    return (
        "# The package\n\nEvery module of `adautomix`, by what it answers. Imports point one way: mixing, losses and "
        "generator, then methods, then the trainer, then the runner.\n\n| module | answers |\n|---|---|\n"
        + "\n".join(rows)
        + f"\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )


def _room_page(room: Path) -> str:
    blocks = [f"# {room.stem}\n"]
    for file in _files(room):
        module = ".".join(["adautomix", *file.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        if file.name != "__init__.py" and room.is_dir():
            blocks.append(f"## {file.relative_to(room).with_suffix('').as_posix().replace('/', '.')}\n")
        blocks.append(f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n   :ignore-module-all:\n```\n")
    return "\n".join(blocks)


def _files(room: Path) -> list[Path]:
    """Return the room's modules, its `__init__` first; Sphinx's own settings and a script are no modules to import."""
    if room.is_file():
        return [room]
    inner = sorted(p for p in room.rglob("*.py") if p.name not in ("conf.py", "__main__.py"))
    return sorted(inner, key=lambda p: (p.relative_to(room).parent.parts, p.name != "__init__.py", p.name))


def _first_sentence(file: Path) -> str:
    doc = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return " ".join(doc.split()).replace("|", "\\|")
