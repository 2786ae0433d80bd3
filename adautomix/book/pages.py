"""Notebooks as pages: what a plan executed where it did, and the plain notebook where it did not.

The first task of a notebook takes the notebook's own name, so that links from one notebook to another hold; further
tasks are pages below `tasks/`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from adautomix.errors import UserError
from adautomix.files import read_json
from adautomix.notebooks import header
from adautomix.paths import workbook_root
from adautomix.runner.report import state_of
from adautomix.runner.tasks import Plan, Task

SHOWN = ("done", "stale")
"""States of a task that leave an executed notebook."""


@dataclass(frozen=True)
class Page:
    """A notebook's page: its path among the sources, its text (JSON), and the task that executed it, if any."""

    path: str
    text: str
    notebook: Path
    task: Task | None = None


def notebook_pages(plan: Plan) -> list[Page]:
    """Return a page for every notebook of the workbook and of the plan, and one for every further task."""
    pages, seen = [], set()
    for task in _executed(plan):
        first = task.notebook not in seen
        seen.add(task.notebook)
        pages.append(_executed_page(plan, task, first))
    rest = [path for path in _notebooks(plan) if path not in seen]
    return sorted([*pages, *map(_plain_page, rest)], key=lambda page: (page.path.startswith("tasks/"), page.path))


def runs_page(plan: Plan, pages: list[Page]) -> str:
    """Return the page that lists every task with its state, its time and a link."""
    paths = {page.task.id: page for page in pages if page.task}
    rows = []
    for task in plan.tasks.values():
        state, remark = state_of(task)
        page = paths.get(task.id)
        name = f"[{task.id}]({page.path})" if page else task.id
        rows.append(f"| {name} | {task.notebook.stem} | {state} | {remark.removesuffix(' s').replace('|', ' ')} |")
    table = "| task | notebook | state | seconds, or why |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"# Everything plan `{plan.name}` ran\n\n{plan.description.strip()}\n\n{table}\n"


def _executed(plan: Plan) -> Iterator[Task]:
    for task in plan.tasks.values():
        if (task.folder / "notebook.ipynb").exists() and state_of(task)[0] in SHOWN:
            yield task


def _notebooks(plan: Plan) -> list[Path]:
    own = {task.notebook for task in plan.tasks.values()}
    return sorted(own | {p.resolve() for p in (workbook_root() / "notebooks").glob("[0-9]*.ipynb")})


def _executed_page(plan: Plan, task: Task, first: bool) -> Page:
    notebook, seconds = read_json(task.folder / "notebook.ipynb"), read_json(task.folder / "DONE")["seconds"]
    note = f"> Executed by plan `{plan.name}` as `{task.id}` in {seconds:.0f} s, {_day(notebook)}."
    if state_of(task)[0] == "stale":
        note += " The code or what it reads changed since."
    note += " All tasks: [runs](../runs.md)."
    if first:
        return Page(f"notebooks/{task.notebook.name}", _page_text(notebook, task.notebook, note), task.notebook, task)
    point = task.id.removeprefix(task.step).strip(".").replace(".", ", ").replace("=", " ")
    notebook["metadata"] |= {"orphan": True, "nosearch": True}  # thirty alike would bury side bar and search
    text = _page_text(notebook, task.notebook, note, f" ({point or task.step})")
    return Page(f"tasks/{task.id.replace('=', '-')}.ipynb", text, task.notebook, task)


def _plain_page(path: Path) -> Page:
    note = "> This plan did not run this notebook: text and code, without results."
    return Page(f"notebooks/{path.name}", _page_text(read_json(path), path, note), path)


def _page_text(notebook: dict[str, Any], path: Path, note: str, suffix: str = "") -> str:
    """Return the notebook for the site: a note under the title, imports folded, links that lead to pages."""
    notebook["metadata"].pop("widgets", None)
    cells = notebook["cells"]
    if not cells or cells[0]["cell_type"] != "markdown":  # somebody's own notebook
        cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": f"# {path.stem}"})
    title, _, rest = "".join(cells[0]["source"]).partition("\n")
    cells[0]["source"] = f"{title}{suffix}\n\n{note}\n{rest}"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    _fold_imports(code)
    for data in (output.get("data", {}) for cell in code for output in cell.get("outputs", [])):
        if "text/html" in data:
            data["text/html"] = re.sub(r'href="(\d\d_\w+)\.ipynb"', r'href="\1.html"', "".join(data["text/html"]))
    return json.dumps(notebook, ensure_ascii=False)


def _fold_imports(code: list[dict[str, Any]]) -> None:
    """Hide the first cell after the parameters if it imports: thirty lines that a reader of the site skips."""
    tags = [cell["metadata"].setdefault("tags", []) for cell in code]
    first = next((i for i, t in enumerate(tags) if not {"parameters", "injected-parameters"} & set(t)), None)
    if first is not None and re.search(r"^(import|from) ", "".join(code[first]["source"]), re.MULTILINE):
        tags[first].append("hide-input")


def _day(notebook: dict[str, Any]) -> str:
    """Return the day a notebook was executed."""
    stamp = notebook["metadata"].get("papermill", {}).get("end_time")
    end = datetime.fromisoformat(stamp) if stamp else None
    return f"{end.day} {end:%B %Y}" if end else "on an unknown day"


def question(page: Page) -> str:
    """Return the question a page's notebook answers, or its name if its first cell asks none."""
    try:
        return header(page.notebook)["question"]
    except UserError:  # somebody's own notebook
        return page.notebook.stem
