"""Slides of the learning notebooks: reveal.js, through nbconvert, without the network.

A text cell tagged `slide` gives its heading, its first paragraph and its equations; a code cell tagged `slide` the
figures and tables that it showed when a plan executed it, without the code. What is left of a text, and the paragraph
that reads a figure, are the speaker's notes (key S).

    outputs/<plan>/slides/01_mixing_family.html   open this
"""

import copy
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

from adautomix.plans.headers import LEARNING
from adautomix.plans.notebook import read_notebook
from adautomix.plans.tasks import Plan
from adautomix.utils.errors import UserError
from adautomix.utils.extras import installing
from adautomix.utils.files import write_atomic
from adautomix.utils.paths import shipped

NEEDED = {"nbconvert": ".", "sphinx_revealjs": "_static/revealjs", "sphinx-mathjax-offline": "static/mathjax"}
"""Packages, and where in them the slides' programs are."""
TAG = "slide"
EQUATION = re.compile(r"\$\$.*?\$\$", re.DOTALL)
READING = re.compile(r"\*\*Reading (?:the|them|it)")
MATHJAX = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions")


def build_slides(plan: Plan) -> dict[Path, bool]:
    """Return the files of slides, one a learning notebook, and whether each shows what the plan executed.

    Raises: UserError if a package of the extra `book` is missing, or the workbook has none of the notebooks.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"slides need {', '.join(missing)}; install them: {installing('book')}")
    executed = {task.notebook.stem: task.folder / "notebook.ipynb" for task in plan.tasks.values()}
    sources = [path for path in sorted(shipped("notebooks").glob("[0-9]*.ipynb")) if path.name[:2] in LEARNING]
    if not sources:
        raise UserError("there are no notebooks here; get them with: adautomix notebooks DIR")
    folder, made = plan.outputs / "slides", {}
    _copy_programs(folder)
    for path in sources:
        ran, file = executed.get(path.stem, Path()), folder / f"{path.stem}.html"
        notebook = read_notebook(path)
        if made.setdefault(file, ran.is_file()):
            notebook = with_outputs(notebook, read_notebook(ran))
        text = _html(slides_of(notebook), path.stem)
        write_atomic(file, lambda temporary, text=text: temporary.write_text(text, "utf-8"))
    return made


def with_outputs(notebook: dict[str, Any], executed: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with what its cells showed when they were executed; a cell that changed since shows nothing."""
    shown = {"".join(cell["source"]): cell.get("outputs", []) for cell in executed["cells"]}
    cells = [cell | {"outputs": shown.get("".join(cell["source"]), [])} for cell in notebook["cells"]]
    return notebook | {"cells": cells}


def slides_of(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook of the tagged cells alone, shortened, with the slide types that nbconvert knows."""
    shown = [_title(notebook["cells"][0])]
    for cell, following in zip(notebook["cells"], [*notebook["cells"][1:], None], strict=True):
        if TAG not in cell["metadata"].get("tags", []):
            continue
        if cell["cell_type"] == "markdown":
            shown += _text_slide("".join(cell["source"]))
        elif pictures := _pictures(cell):
            shown += [_typed(cell, "slide", outputs=[picture], source="") for picture in pictures]  # one fits
            if following is not None and READING.search(text := "".join(following["source"])):
                shown.append(_text(text.partition("\n## ")[0], "notes"))
    for number, cell in enumerate(shown):
        cell["id"] = f"slide-{number}"
    return notebook | {"cells": shown, "metadata": {}}


def _title(cell: dict[str, Any]) -> dict[str, Any]:
    head, *rest = "".join(cell["source"]).split("\n\n")
    goal = next((part for part in rest if part.startswith("**Goal**")), "")
    goal = goal.removeprefix("**Goal** ")
    return _text(f"{head}\n\n{goal[:1].upper()}{goal[1:]}", "slide")


def _text_slide(text: str) -> list[dict[str, Any]]:
    """Return a slide of the last section that begins in a text (or of all of it), and its notes."""
    text = text[text.index("## ") :] if "## " in text else text
    parts = [part for part in text.split("\n\n") if part.strip()]
    head = parts[0] if parts[0].startswith("#") else ""
    words = [part for part in parts if part != head and not EQUATION.search(part)]
    kept = [part for part in parts if part == head or part in words[:1] or EQUATION.search(part)]
    notes = [part for part in parts if part not in kept]
    return [_text("\n\n".join(kept), "slide"), *([_text("\n\n".join(notes), "notes")] if notes else [])]


def _pictures(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures and tables among a cell's outputs."""
    kinds = ("image/png", "text/html")
    found = [out for out in cell.get("outputs", []) if any(kind in out.get("data", {}) for kind in kinds)]
    return [out | {"data": {k: v for k, v in out["data"].items() if k in kinds}} for out in found]


def _text(text: str, kind: str) -> dict[str, Any]:
    cell = {"cell_type": "markdown", "metadata": {}, "source": re.sub(r"\]\(\d\d_\w+\.ipynb", "](#", text)}
    return _typed(cell, kind)


def _typed(cell: dict[str, Any], kind: str, **changed: Any) -> dict[str, Any]:
    return copy.deepcopy(cell) | {"metadata": {"slideshow": {"slide_type": kind}}} | changed


def _html(notebook: dict[str, Any], name: str) -> str:
    import nbformat
    from nbconvert import SlidesExporter

    exporter = SlidesExporter(
        extra_template_basedirs=[str(Path(__file__).parent)],
        template_name="slide_template",
        reveal_url_prefix="reveal",
        reveal_theme="white",  # its fonts come along
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    given = nbformat.reads(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}), as_version=4)
    return exporter.from_notebook_node(given, {"metadata": {"name": name}})[0]


def _copy_programs(folder: Path) -> None:
    """Copy reveal.js and the part of MathJax that is used beside the slides."""
    reveal, mathjax = (Path(importlib.util.find_spec(name).origin).parent / NEEDED[name] for name in list(NEEDED)[1:])
    for source, target in (
        *((reveal / part, folder / "reveal" / part) for part in ("dist", "plugin/notes")),
        *((mathjax / part, folder / "mathjax" / part) for part in MATHJAX),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
