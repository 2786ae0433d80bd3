"""The site's front page: the evidence first, then what this plan gave on this machine, filled into `index.md`."""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

import pandas as pd

from adautomix.book.alternatives import described
from adautomix.book.study import STUDY, logged, study_table
from adautomix.methods import METHODS
from adautomix.plans.report import runs_of
from adautomix.plans.tasks import Plan
from adautomix.results.tables import table, wide_table
from adautomix.runs.run import Run
from adautomix.utils.paths import shipped

KEY_FIGURES = {
    "34_framework*": "A training step: who makes the mixed images, who sees them, how much each loss weighs.",
    "38_accuracy_*": "Accuracies in this plan: a check of the machinery, no comparison of methods.",
    "35_figure3_*": "The paper's Figure 3, on this plan's data: accuracy while more and more of the image is missing.",
    "32_corruptions_*": "Accuracy on corrupted test images, one row per method.",
    "36_*_teacher": "Calibration: is a network that is 80 % sure right in 80 % of the cases? Where outlined bars"
    " end on the diagonal, it is.",
    "33_mixed_images*": "This plan's own test images, mixed by its own networks.",
}
"""Files below the plan's `figures/`, after the number of the notebook that drew them; of several the first is shown."""
EVIDENCE = {
    "33_five_methods": "The same photographs, mixed by five methods; below each mix the mask of its first image"
    " (yellow: all of it, dark: nothing). The networks are the study's, and part of the workbook.",
    "40_two_hundred_epochs": "The authors' logs. The paper's number for AutoMix and AdAutoMix is the teacher's, for the"
    " others the student's.",
    "40_first_iterations": "This code beside the authors' log, in the first 100 iterations of their recipe: all points"
    " lie within the tolerance that was set before (1 % of the loss, a quarter of an accuracy).",
}
"""Figures of what does not depend on the plan, if it ran the notebooks that draw them."""
STUDY_FIGURES = {
    "41_gain_by_images": "Gain of the student over no mixing with the same seed and precision, by images a class, after"
    " as many steps. Pale dots are seeds, the others means; bars are 95 % intervals, from three seeds on.",
    "41_gain_by_epochs": "The same with 100 images a class, by epochs. Hollow and dashed: float32, else bfloat16. The"
    " lines join seed 0, the only one but for 150 epochs.",
}
"""Figures of the published study, those that are there."""
FOLDED = 8
"""A plan's result table with more rows than that is folded: the evidence above it weighs more."""
SIDE_BAR = {"Learn": "0", "Train": "1", "Evaluate": "2", "Reproduce": "3", "Evidence": "[4-9]", "Behind it": "[!0-9]"}
"""The side bar's headings, and how the names of their notebooks begin."""
BESIDE = {
    "Learn": ("teach", "glossary"),
    "Train": ("your_code", "cluster"),
    "Behind it": ("references", "runs", "api/index"),
}
"""Pages below those headings that are no notebooks."""
LINK = re.compile(r"\[(\w+)\]\((notebooks/\w+\.ipynb)\)")


def key_figures(plan: Plan) -> list[Path]:
    """Return the files of figures that the front page shows: evidence first, then the plan's own."""
    return [*evidence_figures(plan), *_first_of(plan, KEY_FIGURES)]


def evidence_figures(plan: Plan) -> list[Path]:
    """Return the figures of the evidence that are there; the study's come second."""
    first, *others = (_first_of(plan, [name]) for name in EVIDENCE)
    study = [path for name in STUDY_FIGURES if (path := shipped(STUDY / f"{name}.png")).exists()]
    return [*first, *study, *(file for files in others for file in files)]


def _first_of(plan: Plan, patterns: Sequence[str]) -> list[Path]:
    found = [sorted((plan.outputs / "figures").glob(f"{pattern}.png")) for pattern in patterns]
    return [files[0] for files in found if files]


def front_page(plan: Plan, pages: list[str], evening: str = "") -> str:
    """Return the front page's text; it shows `key_figures` from below `figures/`.

    Args:
        pages: the paths of all pages.
        evening: how long the learning notebooks take.
    """
    runs, evidence = runs_of(plan), evidence_figures(plan)
    figures = [_figure(file, pages) for file in key_figures(plan) if file not in evidence]
    settings = ", ".join(code(f"{name}={value}") for name, value in plan.settings.items())
    settings = f"**Run with {settings}**, whatever it says." if settings else ""
    bar = [_toctree(caption, fnmatch.filter(pages, f"notebooks/{names}*")) for caption, names in SIDE_BAR.items()]
    text = Template(Path(__file__).with_name("index.md").read_text(encoding="utf-8")).substitute(
        **logged(),
        evidence="\n\n".join([study_table(), *(_figure(file, pages) for file in evidence)]),
        call=plan.call,
        found="\n\n".join([plan.description.strip(), settings, _result_table(runs)]),
        figures="\n\n".join(["## Figures of this plan", *figures] if figures else []),
        evening=evening,
        machine=_machine(runs),
        side_bar="\n\n".join(bar),
    )
    return LINK.sub(lambda link: link[0] if link[2] in pages else link[1], text)  # a workbook may have other notebooks


def code(text: str) -> str:
    """Return a text as code in a line of Markdown, whatever signs are in it."""
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _result_table(runs: list[Run]) -> str:
    """Return the accuracies as a table that scrolls on its own, by data set and backbone, methods in their order."""
    stats = table(runs)
    if stats.empty:
        return "No network was evaluated in it yet."
    wide = wide_table(stats).rename(columns=lambda name: name.removeprefix("options.")).fillna("")
    gone = sorted(set(wide["method"]) - set(METHODS))  # of Runs of a method that was somebody's own
    wide["method"] = pd.Categorical(wide["method"], [*METHODS, *gone])
    last = ["seeds", "backbone", "epochs"]
    rows = wide.sort_values(["data", "backbone", "method"])[[*wide.columns.drop(last), *last]]
    told = "Top-1 accuracy on test images in %, last epoch; mean ± standard deviation over seeds."
    shown = f"<div class='results'>\n{rows.to_html(index=False, border=0)}\n</div>"
    if len(rows) > FOLDED:
        shown = f"<details><summary>The table of {len(rows)} settings</summary>\n{shown}\n</details>"
    return f"{told}\n\n{shown}"


def _figure(file: Path, pages: list[str]) -> str:
    links = [f"[]({page})" for page in pages if page.startswith(f"notebooks/{file.name[:2]}_")]
    caption = " ".join([_caption(file.stem), *links])
    return f"```{{figure}} figures/{file.name}\n:alt: {described(file) or file.stem}\n:width: 100%\n\n{caption}\n```"


def _caption(stem: str) -> str:
    told = STUDY_FIGURES | EVIDENCE | KEY_FIGURES
    return next(text for pattern, text in told.items() if fnmatch.fnmatch(stem, pattern))


def _toctree(caption: str, pages: list[str]) -> str:
    pages = [*pages, *BESIDE.get(caption, ())]
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
