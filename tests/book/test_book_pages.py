"""The site's pages: which a plan gives, and what is on them."""

import json
import shutil

import pandas as pd
import pytest
from helpers import ROOT
from helpers.plans import write_notebook, write_plan
from helpers.sites import HEAD, executed, two_seeds

from adautomix.book import front
from adautomix.book.front import FOLDED, STUDY_FIGURES, front_page, key_figures
from adautomix.book.pages import notebook_pages
from adautomix.book.transforms import Draft, page_texts
from adautomix.plans.tasks import load_plan
from adautomix.utils.files import write_json


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return two_seeds(tmp_path)


def pages_of(plan):
    return {path: json.loads(text) for path, text in notebook_pages(plan).items() if path != "runs.md"}


def sources_of(page):
    return ["".join(cell["source"]) for cell in page["cells"]]


def test_the_first_task_takes_the_notebooks_name_and_further_ones_their_own(plan):
    executed(plan, *plan.tasks)
    assert list(pages_of(plan)) == ["notebooks/10_train.ipynb", "notebooks/20_other.ipynb", "tasks/train.seed-1.ipynb"]


def test_a_page_says_which_task_made_it_and_when(plan):
    executed(plan, *plan.tasks)
    pages = pages_of(plan)
    first, second = (sources_of(pages[p])[0] for p in ("notebooks/10_train.ipynb", "tasks/train.seed-1.ipynb"))
    assert first.startswith(
        "# 10 · How?\n\n> Executed by plan `tiny` as `train.seed=0` on 2026-03-01: **done** (12.3 s)"
    )
    assert second.startswith("# 10 · How? (seed 1)\n")
    assert "**Goal** to know" in first


def test_further_tasks_are_neither_in_the_side_bar_nor_in_the_search(plan):
    executed(plan, *plan.tasks)
    pages = pages_of(plan)
    assert pages["tasks/train.seed-1.ipynb"]["metadata"]["nosearch"]
    assert "nosearch" not in pages["notebooks/10_train.ipynb"]["metadata"]
    assert "tasks/" not in front_page(plan, list(pages))


def test_a_notebook_that_the_plan_did_not_run_is_shown_without_results(plan):
    executed(plan, "train.seed=0")
    assert "without results" in sources_of(pages_of(plan)["notebooks/20_other.ipynb"])[0]


def test_a_task_whose_notebook_changed_since_is_shown_with_a_remark(plan):
    executed(plan, "train.seed=0")
    write_json(plan.tasks["train.seed=0"].folder / "DONE", {"key": "old", "upstream": {}, "run": "r", "seconds": 1.0})
    assert "**stale**" in sources_of(pages_of(plan)["notebooks/10_train.ipynb"])[0]


def test_imports_are_folded_and_parameters_are_not(plan):
    executed(plan, "train.seed=0")
    tags = [cell["metadata"].get("tags", []) for cell in pages_of(plan)["notebooks/10_train.ipynb"]["cells"]]
    assert tags == [[], ["parameters"], ["hide-input"], []]


@pytest.mark.parametrize(
    ("number", "folded"), [("10", False), ("03", False), ("41", False), ("20", True), ("34", True)]
)
def test_long_cells_are_folded_where_figures_are_redrawn(number, folded):
    def code(source, *tags):
        return {"cell_type": "code", "metadata": {"tags": [*tags]}, "source": source, "outputs": [], "id": source[:3]}

    texts = ["n = 1", "import a", "\n".join("b" * 13), "\n".join("c" * 12), "\n".join("d" * 40)]
    cells = [code(text, *["hide-cell"] * text.startswith("d")) for text in texts]
    title = {"cell_type": "markdown", "metadata": {}, "source": f"# {number} · A?\n", "id": "0"}
    notebook = {"cells": [title, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (text,) = page_texts({f"notebooks/{number}_a.ipynb": Draft(notebook, f"{number}_a", "a note")}).values()
    tags = [cell["metadata"]["tags"] for cell in json.loads(text)["cells"][1:]]
    assert tags == [[], ["hide-input"], ["hide-input"] * folded, [], ["hide-cell"]]


def test_the_parameters_that_a_plan_gave_are_folded(plan):
    executed(plan, "train.seed=0")
    path = plan.tasks["train.seed=0"].folder / "notebook.ipynb"
    notebook = json.loads(path.read_text())
    given = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": "# Parameters\nseed = 0\n"}
    notebook["cells"].insert(2, given | {"outputs": [], "execution_count": 1, "id": "given"})
    write_json(path, notebook)
    tags = [cell["metadata"].get("tags", []) for cell in pages_of(plan)["notebooks/10_train.ipynb"]["cells"]]
    assert tags[2] == ["injected-parameters", "hide-input"]


def test_somebodys_own_notebook_without_a_title_gets_one(plan, tmp_path):
    write_notebook(tmp_path, "mine", "seed: int = 0", "1 + 1")
    write_plan(tmp_path, {"mine": {"notebook": "mine"}}, name="own")
    own = load_plan("own")
    executed(own, "mine")
    assert sources_of(pages_of(own)["notebooks/mine.ipynb"])[0].startswith("# mine\n\n> Executed")
    assert "notebooks/mine.ipynb\n" in front_page(own, list(pages_of(own)))


def test_a_long_table_of_results_is_folded_under_the_evidence(plan, monkeypatch):
    shown = pd.DataFrame({"method": ["mixup"] * FOLDED, "data": "digits", "backbone": "b", "seeds": 1, "epochs": 8})
    monkeypatch.setattr(front, "table", lambda _: shown)
    monkeypatch.setattr(front, "wide_table", lambda stats: stats)
    assert "<details>" not in front_page(plan, [])
    shown = pd.concat([shown, shown[:1]])
    assert f"<details><summary>The table of {FOLDED + 1} settings</summary>\n<div class='results'>" in front_page(
        plan, []
    )


def test_the_page_of_runs_lists_every_task_with_its_state(plan):
    executed(plan, "train.seed=0")
    text = notebook_pages(plan)["runs.md"]
    assert "| [train.seed=0](notebooks/10_train.ipynb) | 10_train | done | 12.3 s |" in text
    assert "| train.seed=1 | 10_train | waiting |  |" in text


def test_the_reason_of_a_failure_is_shown_as_it_is(plan):
    executed(plan, "train.seed=0")
    task = plan.tasks["train.seed=1"]
    write_json(task.folder / "FAILED", {"key": task.key, "reason": "cell 2: __init__() got <module> | $a$\nmore"})
    assert r"failed | `cell 2: __init__() got <module> \| $a$` |" in notebook_pages(plan)["runs.md"]


def test_a_failed_notebook_is_shown_as_far_as_it_came(plan):
    executed(plan, "train.seed=1")
    task = plan.tasks["train.seed=1"]
    (task.folder / "notebook.ipynb").rename(task.folder / "notebook.failed.ipynb")
    (task.folder / "DONE").unlink()
    write_json(task.folder / "FAILED", {"key": task.key, "reason": "why"})
    assert "**failed**" in sources_of(pages_of(plan)["notebooks/10_train.ipynb"])[0]


def test_the_task_nearest_to_the_defaults_takes_the_notebooks_name(plan, tmp_path):
    write_plan(tmp_path, {"train": {"notebook": "10_train", "grid": {"seed": [1, 0]}}}, name="other")
    other = load_plan("other")
    executed(other, *other.tasks)
    assert "train.seed=0" in sources_of(pages_of(other)["notebooks/10_train.ipynb"])[0]


def test_a_plans_own_notebook_of_the_same_name_is_not_replaced_by_the_workbooks(tmp_path, plan):
    own = write_notebook(tmp_path / "mine", "10_train", "seed: int = 0", "2 + 2")
    path = tmp_path / "mine" / "mine.yaml"
    path.write_text("steps: {a: {notebook: notebooks/10_train}, b: {notebook: 10_train}}")
    both = load_plan(path)
    assert {task.notebook for task in both.tasks.values()} == {own, plan.tasks["train.seed=0"].notebook}
    executed(both, "a", "b")
    pages = pages_of(both)
    assert list(pages) == ["notebooks/10_train.ipynb", "notebooks/20_other.ipynb", "tasks/b.ipynb"]
    assert "2 + 2" in sources_of(pages["notebooks/10_train.ipynb"])


def test_links_lead_to_the_pages_of_notebooks_and_paths_of_this_machine_are_gone(plan, tmp_path):
    notebook = json.loads(plan.tasks["train.seed=0"].notebook.read_text())
    notebook["cells"][0]["source"] = HEAD + "\nSee [20](20_other.ipynb)."
    plan.tasks["train.seed=0"].notebook.write_text(json.dumps(notebook))
    html = f'<a href="20_other.ipynb">20</a> <a href="data.csv">data</a> {tmp_path}/outputs/tiny'
    executed(plan, *plan.tasks, html=html)
    pages = pages_of(plan)
    for page in (pages["notebooks/10_train.ipynb"], pages["tasks/train.seed-1.ipynb"]):
        assert "[20](../notebooks/20_other.ipynb)" in sources_of(page)[0]
        shown = page["cells"][-1]["outputs"][0]["data"]["text/html"]
        assert shown == '<a href="../notebooks/20_other.html">20</a> <a href="data.csv">data</a> outputs/tiny'


def test_names_with_spaces_become_addresses(tmp_path, plan):
    write_notebook(tmp_path, "my notes", "seed: int = 0", "1")
    write_plan(tmp_path, {"my step": {"notebook": "my notes", "grid": {"seed": [0, 1]}}}, name="spaced")
    spaced = load_plan("spaced")
    executed(spaced, *spaced.tasks)
    assert {"notebooks/my-notes.ipynb", "tasks/my-step.seed-1.ipynb"} <= set(pages_of(spaced))


def test_the_front_page_says_what_replaced_the_plans_own_settings(plan):
    other = load_plan("tiny", settings={"seed": 3}, name="small")
    executed(other, *other.tasks)
    text = front_page(other, list(pages_of(other)))
    assert "## Plan `tiny --name small` on this machine" in text
    assert "`seed=3`" in text


def test_the_front_page_shows_one_of_each_key_figure_and_links_only_to_notebooks_that_are_there(plan):
    executed(plan, "train.seed=0")
    (plan.outputs / "figures").mkdir()
    for name in ("20_unknown", "38_accuracy_b", "38_accuracy_a"):
        (plan.outputs / "figures" / f"{name}.png").touch()
    assert [path.stem for path in key_figures(plan)] == ["38_accuracy_a"]  # this folder holds no study
    text = front_page(plan, list(pages_of(plan)))
    assert "figures/38_accuracy_a.png" in text
    assert "[10_train](notebooks/10_train.ipynb)" in text
    assert "02_generator" in text
    assert "[02_generator]" not in text


def test_the_front_page_leads_with_the_study_and_the_logs_and_calls_the_plan_a_check(plan):
    study = plan.outputs.parent / "reference" / "small_data"
    study.mkdir(parents=True)
    shutil.copy(ROOT / "outputs" / "reference" / "small_data" / "scores.csv", study)
    for name in STUDY_FIGURES:
        (study / f"{name}.png").touch()
    executed(plan, "train.seed=0")
    (plan.outputs / "figures").mkdir()
    for name in ("38_accuracy_a", "40_two_hundred_epochs"):
        (plan.outputs / "figures" / f"{name}.png").touch()
    names = [path.stem for path in key_figures(plan)]
    assert names == ["41_gain_by_images", "41_gain_by_epochs", "40_two_hundred_epochs", "38_accuracy_a"]
    text = front_page(plan, list(pages_of(plan)))
    order = ["42.9 against 33.9 %", "<td>adautomix</td>", *names[:3], "81.5 %", "on this machine", names[3]]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "PuzzleMix's student, the best of the others, at 79.9 %" in " ".join(text.split())
    assert "$" not in text.replace("${", "")
