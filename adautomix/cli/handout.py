"""The subcommand `handout`: the learning notebooks without the solutions of their exercises, or with them.

An exercise in the workbook is a question, a cell tagged `stub` that ends with a check, and a cell tagged `solution`
that ends with the same check (or an answer in words: a text cell tagged `solution`). A handout leaves the solutions
out, that for who teaches the stubs. No other cell may use what either defines.
"""

import json
import re
from pathlib import Path
from typing import Any

from adautomix.cli.arguments import Handout
from adautomix.plans.headers import LEARNING, OPEN_ELSEWHERE
from adautomix.plans.notebook import read_notebook
from adautomix.utils.errors import UserError, first_five
from adautomix.utils.files import write_atomic
from adautomix.utils.paths import shipped

SOLUTION, STUB = "solution", "stub"
FOR_STUDENTS = """> **Handout.** Run the notebook once from the top, then fill in the stubs of the exercises: the check
> below each that is code says "right" or what is off. The package never overwrites this file."""
FOR_TEACHERS = "> **With solutions**, in the places of the stubs."
BLANK = "*Your answer:*"
LINK = re.compile(r"\[([^\]]+)\]\((\d\d_\w+)\.ipynb(#[^)]*)?\)")


def write_handout(args: Handout) -> int:
    """Write the learning notebooks without the solutions of their exercises, one file each; or with them."""
    if unknown := sorted(set(args.only) - set(LEARNING)):
        raise UserError(f"there are exercises in {', '.join(LEARNING)}, not in {', '.join(unknown)}")
    folder = Path(args.folder or ("solutions" if args.solutions else "handout")).expanduser()
    chosen = args.only or LEARNING
    sources = [path for path in sorted(shipped("notebooks").glob("[0-9]*.ipynb")) if path.name[:2] in chosen]
    if not sources:
        raise UserError("there are no notebooks here; get them with: adautomix notebooks DIR")
    made = {path.name: handout_of(read_notebook(path), solutions=args.solutions) for path in sources}
    texts = {
        folder / name: json.dumps(notebook, indent=1, ensure_ascii=False) + "\n" for name, notebook in made.items()
    }
    others = [path.name for path, text in texts.items() if path.exists() and path.read_text(encoding="utf-8") != text]
    if others:
        why = "somebody worked in it, or it is another version's"
        raise UserError(f"{folder} holds {first_five(others)}: {why}. Nothing was written; give another folder")
    for path, text in texts.items():
        write_atomic(path, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
    print(f"{len(texts)} notebooks {'with' if args.solutions else 'without'} solutions: {folder}")
    return 0


def handout_of(notebook: dict[str, Any], *, solutions: bool) -> dict[str, Any]:
    """Return a notebook without its solutions, or with them in the places of the stubs and unfolded.

    Nothing that was executed stays in it. Links to notebooks that are no handouts become words.
    """
    left_out = STUB if solutions else SOLUTION
    cells = [_shown(cell) for cell in notebook["cells"] if not _is(cell, left_out) or _in_words(cell)]
    first = OPEN_ELSEWHERE.sub("", "".join(cells[0]["source"]))  # Colab and Binder would open it with its solutions
    title, _, rest = first.partition("\n")
    cells[0]["source"] = _lines(f"{title}\n\n{FOR_TEACHERS if solutions else FOR_STUDENTS}\n{rest}")
    if not solutions:
        cells = [cell | {"source": [BLANK], "metadata": {}} if _in_words(cell) else cell for cell in cells]
    return notebook | {"cells": cells}


def _shown(cell: dict[str, Any]) -> dict[str, Any]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "code":
        cell = cell | {"outputs": [], "execution_count": None}
    if cell["cell_type"] == "markdown":
        text = LINK.sub(lambda link: link[0] if link[2][:2] in LEARNING else link[1], text)
    metadata = {name: value for name, value in cell["metadata"].items() if name != "jupyter" or not _is(cell, SOLUTION)}
    if _is(cell, SOLUTION):
        metadata["tags"] = [tag for tag in metadata["tags"] if tag != "hide-cell"]
    return cell | {"source": _lines(text), "metadata": metadata}


def _is(cell: dict[str, Any], tag: str) -> bool:
    return tag in cell["metadata"].get("tags", [])


def _in_words(cell: dict[str, Any]) -> bool:
    return _is(cell, SOLUTION) and cell["cell_type"] == "markdown"


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
