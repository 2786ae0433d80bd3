"""Building the site: its sources, the docstrings, and what happens when something is missing or fails."""

import pytest
from filelock import FileLock
from helpers.sites import executed, two_seeds

from adautomix import book
from adautomix.book import Site, build
from adautomix.book.docstrings import for_sphinx, process
from adautomix.book.reference import reference_pages
from adautomix.book.sources import Sources
from adautomix.utils.errors import UserError


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return two_seeds(tmp_path)


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


def test_two_do_not_build_one_site(plan):
    executed(plan, "train.seed=0")
    (plan.outputs / ".site").mkdir()
    with FileLock(plan.outputs / ".site" / ".lock"), pytest.raises(UserError, match="another process is building"):
        build(plan)


@pytest.mark.slow
def test_a_site_is_built_once_and_a_failure_leaves_it_as_it_was(plan, monkeypatch):
    monkeypatch.setattr(book, "reference_pages", lambda: {"api/index.md": "# The package\n"})
    executed(plan, *plan.tasks)
    first = build(plan)
    front = first.front
    assert first == Site(front, built=True)  # without warnings
    assert "Executed by plan" in (front.parent / "notebooks" / "10_train.html").read_text()
    assert (front.parent / "_static" / "mathjax" / "tex-chtml.js").exists()
    assert build(plan) == Site(front, built=False)
    executed(plan, "train.seed=0", html="<b>3</b>")
    monkeypatch.setattr(book.sys, "executable", "false")
    with pytest.raises(UserError, match="Sphinx could not build the site"):
        build(plan)
    assert "<b>2</b>" in (front.parent / "notebooks" / "10_train.html").read_text()
