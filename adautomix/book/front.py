"""The site's front page: what the plan found, in a table and a few figures, filled into `index.md`."""

import fnmatch
import re
from pathlib import Path
from string import Template

import pandas as pd

from adautomix.methods import METHODS
from adautomix.plans.report import runs_of
from adautomix.plans.tasks import Plan
from adautomix.results.tables import table, wide_table
from adautomix.runs.run import Run

KEY_FIGURES = ("33_mixed_*", "34_framework*", "38_accuracy_*", "35_figure3_*", "32_corruptions_*", "36_*_teacher")
"""Files below the plan's `figures/`, after the number of the notebook that drew them; of several the first is shown."""
SIDE_BAR = {"Learn": "0", "Train": "1", "Evaluate": "2", "Reproduce": "3", "More": "[4-9]", "Behind it": "[!0-9]"}
"""The side bar's headings, and how the names of their notebooks begin."""
LINK = re.compile(r"\[(\w+)\]\((notebooks/\w+\.ipynb)\)")


def key_figures(plan: Plan) -> list[Path]:
    """Return the files of the plan's figures that its front page shows."""
    found = [sorted((plan.outputs / "figures").glob(f"{pattern}.png")) for pattern in KEY_FIGURES]
    return [files[0] for files in found if files]


def front_page(plan: Plan, pages: list[str]) -> str:
    """Return the front page's text, given the paths of all pages; it shows `key_figures` from below `figures/`."""
    runs, figures = runs_of(plan), [_figure(file, pages) for file in key_figures(plan)]
    settings = ", ".join(f"`{name}={value}`" for name, value in plan.settings.items())
    settings = f"**Run with {settings}**, whatever it says." if settings else ""
    bar = [_toctree(caption, fnmatch.filter(pages, f"notebooks/{names}*")) for caption, names in SIDE_BAR.items()]
    text = Template(Path(__file__).with_name("index.md").read_text(encoding="utf-8")).substitute(
        call=plan.call,
        found="\n\n".join([plan.description.strip(), settings, _result_table(runs)]),
        figures="\n\n".join(["## Figures of this plan", *figures] if figures else []),
        machine=_machine(runs),
        side_bar="\n\n".join(bar),
    )
    return LINK.sub(lambda link: link[0] if link[2] in pages else link[1], text)  # a workbook may have other notebooks


def _result_table(runs: list[Run]) -> str:
    """Return the accuracies as a table that scrolls on its own, by data set and backbone, methods in their order."""
    stats = table(runs)
    if stats.empty:
        return "No network was evaluated in it yet."
    wide = wide_table(stats).rename(columns=lambda name: name.removeprefix("options.")).fillna("")
    wide["method"] = pd.Categorical(wide["method"], list(METHODS))
    last = ["seeds", "backbone", "epochs"]
    rows = wide.sort_values(["data", "backbone", "method"])[[*wide.columns.drop(last), *last]]
    told = "Top-1 accuracy on test images in %, last epoch; mean ± standard deviation over seeds."
    return f"{told}\n\n<div class='results'>\n{rows.to_html(index=False, border=0)}\n</div>"


def _figure(file: Path, pages: list[str]) -> str:
    links = [f"[]({page})" for page in pages if page.startswith(f"notebooks/{file.name[:2]}_")]
    caption = " ".join([*links, f"`{file.stem}`"])
    return f"```{{figure}} figures/{file.name}\n:alt: {file.stem}\n:width: 100%\n\n{caption}\n```"


def _toctree(caption: str, pages: list[str]) -> str:
    pages = [*pages, "runs", "api/index"] if caption == "Behind it" else pages
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```"


def _machine(runs: list[Run]) -> str:
    """Return on what the runs were trained."""
    if not runs:
        return ""
    sessions = [run.info["sessions"][-1] for run in runs]
    last = max(sessions, key=lambda session: session["started"])
    devices = ", ".join(sorted({session["device"] for session in sessions}))
    versions = ", ".join(f"{name} {number}" for name, number in {"Python": last["python"], **last["versions"]}.items())
    return f"## How it was made\n\n{len(runs)} finished runs on {devices}, the last with {versions}."
