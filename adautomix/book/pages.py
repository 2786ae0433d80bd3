"""The site's pages but for the front: executed notebooks, everything that was run, a guide, the package's docstrings.

The first task of a notebook takes the notebook's own name, so that links from one notebook to another hold; further
tasks are pages below `tasks/`. A notebook that the plan did not execute is shown as it is.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from adautomix.book.front import LINK
from adautomix.book.transforms import Draft, page_texts
from adautomix.plans.notebook import parameters_of
from adautomix.plans.report import state_of
from adautomix.plans.tasks import Plan, Task
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json
from adautomix.utils.paths import workbook_root

PACKAGE = Path(__file__).resolve().parents[1]
GUIDES = ("your_code.md", "cluster.md", "teach.md", "references.md")
"""Pages written by hand, beside this file."""
ROOMS = (
    "utils",
    "paper",
    "config",
    "models",
    "methods",
    "runs",
    "recipes",
    "data",
    "imported",
    "figures",
    "evaluate",
    "results",
)
ROOMS += ("lessons", "training", "plans", "book", "cli")  # ground first


def notebook_pages(plan: Plan) -> dict[str, str]:
    """Return, by path, a page for every notebook of plan and workbook, one for every further task, and `runs.md`.

    Raises: UserError if nothing of the plan was run yet.
    """
    states = {task.id: state_of(task) for task in plan.tasks.values()}
    drafts, paths = {}, {}
    for task in sorted(plan.tasks.values(), key=_changed):
        names = ("notebook.failed.ipynb",) * (states[task.id][0] == "failed") + ("notebook.ipynb",)
        # A worker that was killed leaves none of its failure: what was executed before is shown then.
        if file := next((task.folder / name for name in names if (task.folder / name).exists()), None):
            own = _path("notebooks", task.notebook.stem)
            paths[task.id] = path = _path("tasks", task.id) if own in drafts else own
            drafts[path] = _executed(plan, task, read_json(file), *states[task.id], further=path != own)
    if not drafts:
        raise UserError(f"nothing of plan {plan.name} was run yet; run it first: adautomix run {plan.call}")
    return page_texts(_plain(plan) | drafts) | {"runs.md": _runs_page(plan, states, paths)}


def guide_pages(notebooks: Collection[str] | None = None) -> dict[str, str]:
    """Return, by path, the pages written by hand: one's own code, clusters, teaching, and what is cited.

    Args:
        notebooks: paths of the notebooks' pages; links to others become words. All links stay if not given.
    """
    texts = {name: Path(__file__).with_name(name).read_text(encoding="utf-8") for name in GUIDES}
    texts = {name: text.replace("](../../", "](") for name, text in texts.items()}  # as links of the file they hold too
    if notebooks is None:
        return texts
    return {k: LINK.sub(lambda link: link[0] if link[2] in notebooks else link[1], text) for k, text in texts.items()}


def reference_pages() -> dict[str, str]:
    """Return, by path, a page of docstrings for every room of the package, and `api/index.md` that lists them."""
    summary = "\n   ".join(f"~adautomix.{room}" for room in ROOMS)
    index = (
        "# The package\n\nThe packages of `adautomix`, most basic first: each imports only from itself and those above "
        f"it.\n\n```{{eval-rst}}\n.. autosummary::\n\n   {summary}\n```\n\n"
        "```{toctree}\n:hidden:\n\n" + "\n".join(ROOMS) + "\n```\n"
    )
    return {"api/index.md": index} | {f"api/{room}.md": _room_page(room) for room in ROOMS}


def _room_page(room: str) -> str:
    files = [path.relative_to(PACKAGE).with_suffix("").parts for path in (PACKAGE / room).rglob("*.py")]
    names = sorted(".".join(parts).removesuffix(".__init__") for parts in files if parts[-1] != "__main__") or [room]
    block = "{} {}\n\n```{{eval-rst}}\n.. automodule:: adautomix.{}\n```\n"
    return "\n".join(block.format("#" if n == room else "##", n.removeprefix(f"{room}."), n) for n in names)


def _changed(task: Task) -> int:
    """Return how many of its notebook's parameters a task does not leave at their defaults."""
    known = parameters_of(task.notebook)
    return sum(known[name].default != value for name, value in task.parameters.items() if name != "outputs")


def _path(folder: str, name: str) -> str:
    """Return a page's path: no spaces in it, and no signs that mean something in an address."""
    slug = re.sub(r"[^\w.-]+", "-", name)
    return f"{folder}/{slug}.ipynb"


def _executed(plan: Plan, task: Task, notebook: dict[str, Any], state: str, remark: str, *, further: bool) -> Draft:
    end = notebook["metadata"].get("papermill", {}).get("end_time")
    day = f" on {end[:10]}" if end else ""
    told = f" ({remark})" if remark and state != "failed" else ""  # the page itself shows why
    note = f"Executed by plan `{plan.call}` as `{task.id}`{day}: **{state}**{told}. All tasks: [runs](../runs.md)."
    if not further:
        return Draft(notebook, task.notebook.stem, note)
    notebook["metadata"] |= {"orphan": True, "nosearch": True}  # thirty alike would bury side bar and search
    point = task.id.removeprefix(task.step).strip(".").replace(".", ", ").replace("=", " ")
    return Draft(notebook, task.notebook.stem, note, suffix=f" ({point or task.step})")


def _plain(plan: Plan) -> dict[str, Draft]:
    """Return a page without results for every notebook; of two with one name, the plan's own."""
    workbook = sorted((workbook_root() / "notebooks").glob("[0-9]*.ipynb"))
    note = "This plan did not run this notebook so far: text and code, without results."
    paths = [*workbook, *(task.notebook for task in plan.tasks.values())]
    return {_path("notebooks", path.stem): Draft(read_json(path), path.stem, note) for path in paths}


def _runs_page(plan: Plan, states: dict[str, tuple[str, str]], paths: dict[str, str]) -> str:
    rows = []
    for id_, (state, remark) in states.items():
        name = f"[{id_}]({paths[id_]})" if id_ in paths else id_
        reason = remark.replace("`", "'").replace("|", "\\|")
        why = {"done": remark, "failed": f"`{reason}`"}.get(state, "")
        rows.append(f"| {name} | {plan.tasks[id_].notebook.stem} | {state} | {why} |")
    table = "| task | notebook | state | time, or why |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"# Everything plan `{plan.call}` ran\n\n{plan.description.strip()}\n\n{table}\n"
