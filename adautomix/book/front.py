"""The site's front page: what the plan found, in one table and a few figures, and where to go on."""

from pathlib import Path

import pandas as pd

from adautomix.book.pages import Page, question
from adautomix.methods import METHODS
from adautomix.plans.report import runs_of
from adautomix.plans.tasks import Plan
from adautomix.results.tables import table, wide_table
from adautomix.runs.run import ROLES, Run

KEY_FIGURES = (
    ("33_mixed_images_*", "33"),
    ("34_framework*", "34"),
    ("38_accuracy_*", "38"),
    ("35_figure3_occlusion_*", "35"),
    ("32_corruptions_*", "32"),
    ("36_reliability_*_teacher", "36"),
)
"""Files below the plan's `figures/`, and the number of the notebook that drew them; of several the first is shown."""

KEPT = ("method", "seeds", "student", "teacher")
"""Columns of the result table that stay even if they say the same in every row."""

PARTS = {"Learn": "0", "Train": "1", "Evaluate": "2", "Reproduce": "3", "More": "456789"}
"""The side bar's headings, and how the names of their notebooks begin."""

INTRODUCTION = """\
# The AdAutoMix workbook

Mixup methods train an image classifier on mixtures of images, whose labels are mixed in the same proportion.
**Adversarial AutoMixup** (AdAutoMix, ICLR 2024) lets a small network, the *generator*, decide how to mix: it makes what
is hard for the classifier, while a moving average of the classifier, the *teacher*, keeps it honest. This workbook
derives the method, trains it beside nine others of the mixup family, tests them all, and redraws the paper's figures
and tables with the paper's numbers beside its own. Every method is trained by the same loop, and every run reports
both the *student* and its teacher."""

STARTS = {
    "understand the method, step by step": "01 02 03",
    "see one network being trained": "10",
    "use AdAutoMix on your own images": "11",
    "train a cell of the paper's tables on a GPU": "12",
    "see the paper's tables beside these runs": "30 31 32",
    "see the paper's figures drawn from these runs": "33 34 35",
    "know which objective, teacher and settings matter": "03 37 39",
}
"""What a reader may want, and the numbers of the notebooks for it."""


def front_page(plan: Plan, pages: list[Page]) -> tuple[str, list[Path]]:
    """Return the front page's text and the figures it shows (they are expected below `figures/`)."""
    runs = runs_of(plan)
    shown = _figures(plan, pages)
    parts = [INTRODUCTION, _result(plan, runs), _starts(pages), _figures_text(shown), _machine(runs)]
    return "\n\n".join(filter(None, [*parts, _side_bar(pages)])) + "\n", [path for path, _ in shown]


def _result(plan: Plan, runs: list[Run]) -> str:
    """Return what was run, and an accuracy table for every data set, the one with the most rows first."""
    told = f"## What plan `{plan.call}` found\n\n{plan.description.strip()}"
    if plan.settings:
        told += "\n\n**Run with " + ", ".join(f"`{k}={v}`" for k, v in plan.settings.items()) + "**, whatever it says."
    stats = table(runs)
    if stats.empty:
        return f"{told}\n\nNo network was evaluated in it yet; here is [all it ran](runs.md)."
    wide = wide_table(stats)
    tables = [_result_table(wide[wide["data"] == data], data) for data in wide["data"].value_counts().index]
    return "\n\n".join([told, *tables, "Notebook by notebook: [everything that was run](runs.md)."])


def _result_table(rows: pd.DataFrame, data: str) -> str:
    """Return the rows in the methods' order, most used backbone first; what is alike in all rows stands above them."""
    rows = rows.drop(columns="data").rename(columns=lambda name: name.removeprefix("options."))
    usual = rows["backbone"].map(rows["backbone"].value_counts())
    order = pd.DataFrame({"backbone": -usual, "method": rows["method"].map(list(METHODS).index)})
    rows = rows.loc[order.sort_values(["backbone", "method"], kind="stable").index]
    alike = [name for name in rows if name not in KEPT and rows[name].nunique(dropna=False) == 1]
    common = ", ".join(f"{name} {rows[name].iloc[0]}" for name in alike)
    roles = [role for role in ROLES if role in rows]
    last = ["seeds", "backbone", "epochs"]
    first = [name for name in rows if name not in (*roles, *last)]
    shown = rows[[name for name in (*first, *roles, *last) if name in rows and name not in alike]]
    text = shown.fillna("").to_html(index=False, border=0)
    return (
        f"Top-1 accuracy on the test images of `{data}` in %, last epoch; mean ± standard deviation over seeds"
        f"{f' ({common})' if common else ''}.\n\n<div class='results'>\n{text}\n</div>"
    )


def _figures(plan: Plan, pages: list[Page]) -> list[tuple[Path, Page]]:
    drawn = []
    for pattern, number in KEY_FIGURES:
        files = sorted((plan.outputs / "figures").glob(f"{pattern}.png"))
        page = _page_of(pages, number)
        if files and page is not None:
            drawn.append((files[0], page))
    return drawn


def _figures_text(shown: list[tuple[Path, Page]]) -> str:
    blocks = [
        f"```{{figure}} figures/{path.name}\n:alt: {question(page)}\n:width: 100%\n\n"
        f"[{question(page)}]({page.path}) `{path.stem}`\n```"
        for path, page in shown
    ]
    return "\n\n".join(["## Figures of this plan", *blocks]) if blocks else ""


def _page_of(pages: list[Page], number: str) -> Page | None:
    return next((page for page in pages if page.path.startswith(f"notebooks/{number}_")), None)


def _starts(pages: list[Page]) -> str:
    rows = []
    for wish, numbers in STARTS.items():
        found = filter(None, (_page_of(pages, number) for number in numbers.split()))
        rows.append(f"| {wish} | {', '.join(f'[{page.notebook.stem}]({page.path})' for page in found)} |")
    rows.append("| look a function up | [the package](api/index.md) |")
    return "## Where to start\n\n| you want to | read |\n|---|---|\n" + "\n".join(rows)


def _machine(runs: list[Run]) -> str:
    """Return on what the runs were trained."""
    if not runs:
        return ""
    sessions = [run.info["sessions"][-1] for run in runs]
    last = max(sessions, key=lambda session: session["started"])
    devices = ", ".join(sorted({session["device"] for session in sessions}))
    versions = ", ".join(f"{name} {number}" for name, number in {"Python": last["python"], **last["versions"]}.items())
    return f"## How it was made\n\n{len(runs)} finished runs on {devices}, the last with {versions}."


def _side_bar(pages: list[Page]) -> str:
    own = [page for page in pages if page.path.startswith("notebooks/")]
    blocks = []
    for caption, digits in PARTS.items():
        listed = [page.path.removesuffix(".ipynb") for page in own if page.notebook.stem[0] in digits]
        if listed:
            blocks.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(listed) + "\n```")
    other = [page.path.removesuffix(".ipynb") for page in own if not page.notebook.stem[0].isdigit()]
    blocks.append(
        "```{toctree}\n:hidden:\n:caption: Behind it\n\n" + "\n".join([*other, "runs", "api/index"]) + "\n```"
    )
    return "\n\n".join(blocks)
