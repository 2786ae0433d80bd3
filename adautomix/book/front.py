"""The site's front page: the evidence first, then what this plan gave on this machine, filled into `index.md`."""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

import pandas as pd

from adautomix.book.alternatives import described
from adautomix.methods import METHODS
from adautomix.plans.report import runs_of
from adautomix.plans.tasks import Plan
from adautomix.results import gains, log_scores, main_regime
from adautomix.results.tables import table, wide_table
from adautomix.runs.run import Run
from adautomix.utils.paths import shipped

KEY_FIGURES = ("34_framework*", "38_accuracy_*", "35_figure3_*", "32_corruptions_*", "36_*_teacher", "33_mixed_images*")
"""Files below the plan's `figures/`, after the number of the notebook that drew them; of several the first is shown."""
EVIDENCE = ("33_five_methods", "40_two_hundred_epochs", "40_first_iterations")
"""Figures of what does not depend on the plan, if it ran the notebooks that draw them."""
STUDY = Path("outputs/reference/small_data")
"""The workbook's published study: scores.csv, and a figure of it."""
SEEDS = 3
"""As many seeds give an interval."""
STUDY_FIGURE = "41_gain_by_epochs.png"
FOLDED = 8
"""A plan's result table with more rows than that is folded: the evidence above it weighs more."""
SIDE_BAR = {"Learn": "0", "Train": "1", "Evaluate": "2", "Reproduce": "3", "Evidence": "[4-9]", "Behind it": "[!0-9]"}
"""The side bar's headings, and how the names of their notebooks begin."""
BESIDE = {"Learn": ("teach", "glossary"), "Train": ("your_code",), "Behind it": ("runs", "api/index")}
"""Pages below those headings that are no notebooks."""
LINK = re.compile(r"\[(\w+)\]\((notebooks/\w+\.ipynb)\)")


def key_figures(plan: Plan) -> list[Path]:
    """Return the files of figures that the front page shows: evidence first, then the plan's own."""
    return [*evidence_figures(plan), *_first_of(plan, KEY_FIGURES)]


def evidence_figures(plan: Plan) -> list[Path]:
    """Return the figures of the evidence that are there; the study's comes second."""
    first, *others = (_first_of(plan, [name]) for name in EVIDENCE)
    study = shipped(STUDY / STUDY_FIGURE)
    return [*first, *([study] if study.exists() else []), *(file for files in others for file in files)]


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
        **_logged(),
        evidence="\n\n".join([_study_table(), *(_figure(file, pages) for file in evidence)]),
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


def _logged() -> dict[str, str]:
    """Return what the authors' 200 epochs of CIFAR-100, ResNet-18 gave, by the paper's rule, in percent."""
    median = log_scores().query("column == 'cifar100_resnet18' and epochs == 200 and rule == 'median'")
    top1 = median.pivot(index="method", columns="role", values="top1")
    plain = top1.loc[top1["teacher"].isna(), "student"]
    numbers = {"teacher": top1.at["adautomix", "teacher"], "student": top1.at["adautomix", "student"]}
    numbers |= {"plain": plain.max(), "automix": top1.at["automix", "teacher"]}
    return {name: f"{number:.1f}" for name, number in numbers.items()} | {"plain_method": plain.idxmax()}


def _study_table() -> str:
    """Return the published study's longest regime, a row a method; empty where the study is not there."""
    path = shipped(STUDY / "scores.csv")
    if not path.exists():
        return ""
    values = pd.read_csv(path)
    values = main_regime(values)
    median = values[values["rule"] == "median"]
    wide = median.pivot_table(index="method", columns="role", values="top1").round(1)
    gain = gains(values).set_index("method")["difference"]
    wide["gain of the student"] = gain.reindex(wide.index).map("{:+.1f}".format, na_action="ignore").fillna("")
    wide.insert(0, "seeds", median.groupby("method")["seed"].nunique())
    rows = wide.loc[[name for name in METHODS if name in wide.index]].reset_index().rename_axis(columns=None)
    row, few = median.iloc[0], wide["seeds"].min() < SEEDS
    regime = f"{row['data']}, {row['per_class']} images a class, {row['epochs']} epochs"
    luck = f" With fewer than {SEEDS} seeds, luck cannot be told from merit." if few else ""
    told = f"**Our own study**, {regime}: top-1 in %, median of the last ten epochs.{luck}"
    return f"{told}\n\n<div class='results'>\n{rows.to_html(index=False, border=0)}\n</div>"


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
    shown = f"<div class='results'>\n{rows.to_html(index=False, border=0)}\n</div>"
    if len(rows) > FOLDED:
        shown = f"<details><summary>The table of {len(rows)} settings</summary>\n{shown}\n</details>"
    return f"{told}\n\n{shown}"


def _figure(file: Path, pages: list[str]) -> str:
    links = [f"[]({page})" for page in pages if page.startswith(f"notebooks/{file.name[:2]}_")]
    caption = " ".join([*links, f"`{file.stem}`"])
    return f"```{{figure}} figures/{file.name}\n:alt: {described(file) or file.stem}\n:width: 100%\n\n{caption}\n```"


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
