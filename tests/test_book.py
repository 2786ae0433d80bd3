"""The site's sources: which pages a plan gives, what is on them, and what happens when something is missing."""

import json

import pytest
from plans import write_notebook, write_plan

from adautomix import book
from adautomix.book import build
from adautomix.book.docstrings import for_sphinx, process
from adautomix.book.front import front_page
from adautomix.book.pages import notebook_pages, runs_page
from adautomix.book.reference import reference_pages
from adautomix.book.sources import Sources
from adautomix.errors import UserError
from adautomix.files import write_json
from adautomix.runner.tasks import load_plan

HEAD = "# 10 · How?\n\n**Goal** to know\n\n**Time** 1 s · **GPU** no · **Reads** nothing · **Writes** nothing\n"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a plan of one notebook over two seeds, in a workbook that has another notebook besides."""
    monkeypatch.chdir(tmp_path)
    for name in ("10_train", "20_other"):
        path = write_notebook(tmp_path, name, "outputs: str = 'x'\nseed: int = 0", "import math", "1 + 1")
        notebook = json.loads(path.read_text())
        notebook["cells"].insert(0, {"cell_type": "markdown", "id": "head", "metadata": {}, "source": HEAD})
        path.write_text(json.dumps(notebook))
    write_plan(tmp_path, {"train": {"notebook": "10_train", "grid": {"seed": [0, 1]}}}, description="two seeds")
    return load_plan("tiny")


def executed(plan, *ids, html="<b>2</b>"):
    """Leave what an executed task leaves, with one HTML output."""
    for task in (plan.tasks[id_] for id_ in ids):
        notebook = json.loads(task.notebook.read_text())
        notebook["cells"][-1]["outputs"] = [
            {"output_type": "display_data", "data": {"text/html": html}, "metadata": {}}
        ]
        notebook["metadata"]["papermill"] = {"end_time": "2026-03-01T10:00:00"}
        write_json(task.folder / "notebook.ipynb", notebook)
        write_json(task.folder / "DONE", {"key": task.key, "upstream": {}, "run": "r", "seconds": 12.3})


def pages_of(plan):
    return {page.path: json.loads(page.text) for page in notebook_pages(plan)}


def sources_of(page):
    return ["".join(cell["source"]) for cell in page["cells"]]


def test_the_first_task_takes_the_notebooks_name_and_further_ones_their_own(plan):
    executed(plan, *plan.tasks)
    assert list(pages_of(plan)) == ["notebooks/10_train.ipynb", "notebooks/20_other.ipynb", "tasks/train.seed-1.ipynb"]


def test_a_page_says_which_task_made_it_and_when(plan):
    executed(plan, *plan.tasks)
    pages = pages_of(plan)
    first, second = (sources_of(pages[p])[0] for p in ("notebooks/10_train.ipynb", "tasks/train.seed-1.ipynb"))
    assert first.startswith("# 10 · How?\n\n> Executed by plan `tiny` as `train.seed=0` in 12 s, 1 March 2026.")
    assert second.startswith("# 10 · How? (seed 1)\n")
    assert "**Goal** to know" in first


def test_further_tasks_are_neither_in_the_side_bar_nor_in_the_search(plan):
    executed(plan, *plan.tasks)
    pages = pages_of(plan)
    assert pages["tasks/train.seed-1.ipynb"]["metadata"]["nosearch"]
    assert "nosearch" not in pages["notebooks/10_train.ipynb"]["metadata"]
    assert "tasks/" not in front_page(plan, notebook_pages(plan))[0]


def test_a_notebook_that_the_plan_did_not_run_is_shown_without_results(plan):
    executed(plan, "train.seed=0")
    assert "did not run this notebook" in sources_of(pages_of(plan)["notebooks/20_other.ipynb"])[0]


def test_a_task_whose_notebook_changed_since_is_shown_with_a_remark(plan, tmp_path):
    executed(plan, "train.seed=0")
    write_json(plan.tasks["train.seed=0"].folder / "DONE", {"key": "old", "upstream": {}, "run": "r", "seconds": 1.0})
    assert "changed since" in sources_of(pages_of(plan)["notebooks/10_train.ipynb"])[0]


def test_imports_are_folded_and_parameters_are_not(plan):
    executed(plan, "train.seed=0")
    tags = [cell["metadata"].get("tags", []) for cell in pages_of(plan)["notebooks/10_train.ipynb"]["cells"]]
    assert tags == [[], ["parameters"], ["hide-input"], []]


def test_links_of_tables_to_notebooks_lead_to_their_pages(plan):
    executed(plan, "train.seed=0", html='<a href="20_other.ipynb">20</a> <a href="data.csv">data</a>')
    output = pages_of(plan)["notebooks/10_train.ipynb"]["cells"][-1]["outputs"][0]
    assert output["data"]["text/html"] == '<a href="20_other.html">20</a> <a href="data.csv">data</a>'


def test_somebodys_own_notebook_without_a_title_gets_one(plan, tmp_path):
    write_notebook(tmp_path, "mine", "seed: int = 0", "1 + 1")
    write_plan(tmp_path, {"mine": {"notebook": "mine"}}, name="own")
    own = load_plan("own")
    executed(own, "mine")
    assert sources_of(pages_of(own)["notebooks/mine.ipynb"])[0].startswith("# mine\n\n> Executed")
    assert "notebooks/mine\n" in front_page(own, notebook_pages(own))[0]


def test_the_page_of_runs_lists_every_task_with_its_state(plan):
    executed(plan, "train.seed=0")
    text = runs_page(plan, notebook_pages(plan))
    assert "| [train.seed=0](notebooks/10_train.ipynb) | 10_train | done | 12.3 |" in text
    assert "| train.seed=1 | 10_train | waiting |  |" in text


def test_the_front_page_shows_figures_that_are_there(plan):
    executed(plan, "train.seed=0")
    (plan.outputs / "figures").mkdir()
    (plan.outputs / "figures" / "20_unknown.png").touch()
    assert front_page(plan, notebook_pages(plan))[1] == []


def test_the_package_has_a_page_for_every_module():
    pages = reference_pages()
    assert ".. automodule:: adautomix.methods.cutmix\n" in pages["api/methods.md"]
    assert "| [`mixing`](mixing.md) | Mixing N shuffled copies of a batch" in pages["api/index.md"]
    assert not any("conf" in line for line in pages["api/book.md"].splitlines())


def test_a_source_is_written_only_if_it_changed_and_removed_if_it_is_gone(tmp_path):
    first = Sources(tmp_path)
    first.write("a.md", "one")
    first.write("b/c.md", "two")
    before = (tmp_path / "a.md").stat().st_mtime_ns
    second = Sources(tmp_path)
    second.write("a.md", "one")
    second.remove_others()
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert not (tmp_path / "b/c.md").exists()
    assert first.digest() != second.digest()


def test_sections_on_one_line_are_spread_for_sphinx():
    lines = [
        "Return |x|.",
        "",
        "Args:",
        "    x: [B, *shape].",
        "Returns: a number.",
        "Raises: UserError for none,",
        "    or two.",
    ]
    assert for_sphinx(lines) == [
        r"Return \|x\|.",
        "",
        "Args:",
        r"    x: [B, \*shape].",
        "",
        "Returns:",
        "    a number.",
        "",
        "Raises:",
        "    UserError: for none,",
        "        or two.",
    ]


def test_an_indented_example_is_shown_as_it_is():
    assert for_sphinx(["Plans.", "", "    a: *b", "    c: `d`", "", "More."]) == [
        "Plans.", "", "::", "", "    a: *b", "    c: `d`", "", "More.",
    ]  # fmt: skip


def test_the_colon_of_a_constants_docstring_makes_no_type():
    from sphinx.ext.napoleon import GoogleDocstring

    lines = ["By this much: rounding."]
    process(None, "data", "TOLERANCE", None, None, lines)
    assert ":type:" not in str(GoogleDocstring(lines, what="data"))
    assert "By this much: rounding." in str(GoogleDocstring(lines, what="data"))


def test_a_plan_of_which_nothing_was_run_has_no_site(plan):
    with pytest.raises(UserError, match="nothing of plan tiny was run yet; run it first: adautomix run tiny"):
        build(plan)
    assert not (plan.outputs / "site").exists()


def test_without_sphinx_the_message_names_the_extra(plan, monkeypatch):
    monkeypatch.setattr(book, "NEEDED", ("no_such_sphinx",))
    with pytest.raises(UserError, match=r"needs no_such_sphinx; install .*\[book\]"):
        build(plan)


@pytest.mark.slow
def test_a_site_is_built_once_and_a_failure_leaves_it_as_it_was(plan, monkeypatch):
    monkeypatch.setattr(book, "reference_pages", lambda: {"api/index.md": "# The package\n"})
    executed(plan, *plan.tasks)
    front, built = build(plan)
    assert built
    assert "Executed by plan" in (front.parent / "notebooks" / "10_train.html").read_text()
    assert (front.parent / "_static" / "mathjax" / "tex-chtml.js").exists()
    assert build(plan) == (front, False)
    executed(plan, "train.seed=0", html="<b>3</b>")
    monkeypatch.setattr(book.sys, "executable", "false")
    with pytest.raises(UserError, match="Sphinx could not build the site"):
        build(plan)
    assert "<b>2</b>" in (front.parent / "notebooks" / "10_train.html").read_text()
