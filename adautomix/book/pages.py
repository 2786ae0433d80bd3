"""Notebooks as pages: what a plan executed where it did, and the plain notebook where it did not.

The first task of a notebook takes the notebook's own name, so that links from one notebook to another hold; further
tasks are pages below `tasks/`.
"""

import html
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from adautomix.plans.headers import header
from adautomix.plans.notebook import parameters_of
from adautomix.plans.report import state_of
from adautomix.plans.tasks import Plan, Task
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json
from adautomix.utils.paths import workbook_root

FILES = {"failed": "notebook.failed.ipynb"}
"""The executed notebook of a task, by its state; in all others it is `notebook.ipynb`, the last that went through."""
REMARKS = {
    "done": "",
    "stale": " The code or what it reads changed since.",
    "running": " It is being run again now.",
    "waiting": " It is to be run again.",
    "failed": " **It failed**, and this is how far it came.",
}
"""What a page's note says besides."""
PLAIN = {
    True: "> This plan has not run this notebook yet: text and code, without results.",
    False: "> This plan does not run this notebook: text and code, without results.",
}
"""The note of a page without results, by whether the plan has the notebook."""


@dataclass(frozen=True)
class Page:
    """A notebook's page: its path among the sources, its text (JSON), and the task that executed it, if any."""

    path: str
    text: str
    notebook: Path
    task: Task | None = None


def notebook_pages(plan: Plan) -> list[Page]:
    """Return a page for every notebook of the workbook and of the plan, and one for every further task."""
    pages: dict[str, Page] = {}
    planned = {task.notebook for task in plan.tasks.values()}
    for task in _plainest_first(plan):
        name = f"notebooks/{_slug(task.notebook.stem)}.ipynb"
        if (task.folder / FILES.get(state_of(task)[0], "notebook.ipynb")).exists():
            page = _executed_page(plan, task, None if name in pages else name)
            pages[page.path] = page
    for path in _notebooks(plan):
        name = f"notebooks/{_slug(path.stem)}.ipynb"
        if name not in pages:
            pages[name] = Page(name, _page_text(read_json(path), path, PLAIN[path in planned]), path)
    return sorted(pages.values(), key=lambda page: (page.path.startswith("tasks/"), page.path))


def runs_page(plan: Plan, pages: list[Page]) -> str:
    """Return the page that lists every task with its state, its time and a link."""
    paths = {page.task.id: page for page in pages if page.task}
    rows = []
    for task in plan.tasks.values():
        state, remark = state_of(task)
        page = paths.get(task.id)
        name = f"[{task.id}]({page.path})" if page else task.id
        why = {"done": remark.removesuffix(" s"), "failed": f"<code>{html.escape(remark)}</code>"}.get(state, "")
        rows.append(f"| {name} | {task.notebook.stem} | {state} | {why.replace('|', '&#124;')} |")
    table = "| task | notebook | state | seconds, or why |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"# Everything plan `{plan.call}` ran\n\n{plan.description.strip()}\n\n{table}\n"


def _plainest_first(plan: Plan) -> list[Task]:
    """Return the tasks, those first that leave most of their notebook's parameters at the defaults."""

    def changed(task: Task) -> int:
        known = parameters_of(task.notebook)
        return sum(known[name].default != value for name, value in task.parameters.items() if name != "outputs")

    return sorted(plan.tasks.values(), key=changed)


def _notebooks(plan: Plan) -> list[Path]:
    """Return the plan's notebooks, then the workbook's."""
    own = dict.fromkeys(task.notebook for task in plan.tasks.values())
    return [*own, *(p.resolve() for p in sorted((workbook_root() / "notebooks").glob("[0-9]*.ipynb")))]


def _executed_page(plan: Plan, task: Task, path: str | None) -> Page:
    """Return a task's page, at `path` or at one of its own below `tasks/`."""
    state, remark = state_of(task)
    notebook = read_json(task.folder / FILES.get(state, "notebook.ipynb"))
    took = f" in {remark.removesuffix(' s')} s" if state == "done" else ""
    note = f"> Executed by plan `{plan.call}` as `{task.id}`{took}, {_day(notebook)}.{REMARKS[state]}"
    note += " All tasks: [runs](../runs.md)."
    if path is not None:
        return Page(path, _page_text(notebook, task.notebook, note), task.notebook, task)
    point = task.id.removeprefix(task.step).strip(".").replace(".", ", ").replace("=", " ")
    notebook["metadata"] |= {"orphan": True, "nosearch": True}  # thirty alike would bury side bar and search
    text = _page_text(notebook, task.notebook, note, f" ({point or task.step})", up="../notebooks/")
    return Page(f"tasks/{_slug(task.id)}.ipynb", text, task.notebook, task)


def _page_text(notebook: dict[str, Any], path: Path, note: str, suffix: str = "", up: str = "") -> str:
    """Return the notebook for the site: a note under the title, imports folded, links that lead to pages.

    Args:
        suffix: what the title says besides.
        up: where the pages of notebooks are, seen from this one.
    """
    notebook["metadata"].pop("widgets", None)
    cells = notebook["cells"]
    if not cells or cells[0]["cell_type"] != "markdown" or not "".join(cells[0]["source"]).startswith("# "):
        cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": f"# {path.stem}"})  # somebody's own
    title, _, rest = "".join(cells[0]["source"]).partition("\n")
    cells[0]["source"] = f"{title}{suffix}\n\n{note}\n{rest}"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    _fold_imports(code)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", rf"]({up}\1.ipynb)", "".join(cell["source"]))
    for data in (output.get("data", {}) for cell in code for output in cell.get("outputs", [])):
        if "text/html" in data:
            pattern, page = r'href="(\d\d_\w+)\.ipynb"', rf'href="{up}\1.html"'
            data["text/html"] = re.sub(pattern, page, "".join(data["text/html"]))
    here = json.dumps(f"{workbook_root()}{os.sep}")[1:-1]
    return json.dumps(notebook, ensure_ascii=False).replace(here, "")  # where it was run is nobody's business


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


def _slug(name: str) -> str:
    """Return a name for an address: no spaces, and no signs that mean something there."""
    return re.sub(r"[^\w.-]+", "-", name)


def question(page: Page) -> str:
    """Return the question a page's notebook answers, or its name if its first cell asks none."""
    try:
        return header(page.notebook)["question"]
    except UserError:  # somebody's own notebook
        return page.notebook.stem
