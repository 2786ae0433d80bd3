"""Building the site: its sources, the docstrings, and what happens when something is missing or fails."""

import re

import pytest
from filelock import FileLock
from helpers import ROOT
from helpers.rooms import rooms_of
from helpers.sites import executed, two_seeds

from adautomix import book
from adautomix.book import Site, build
from adautomix.book.conf import docstring
from adautomix.book.front import BESIDE
from adautomix.book.pages import PACKAGE, ROOMS, guide_pages, reference_pages
from adautomix.utils.errors import UserError


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return two_seeds(tmp_path)


def edited(what, *lines):
    lines = list(lines)
    docstring(None, what, "name", None, None, lines)
    return lines


def test_the_reference_has_a_page_for_every_room_and_shows_every_module_once():
    pages = reference_pages()
    assert list(ROOMS) == rooms_of((ROOT / "CONTRIBUTING.md").read_text())
    assert pages.keys() == {"api/index.md", *(f"api/{room}.md" for room in ROOMS)}
    shown = re.findall(r"automodule:: (\S+)", "".join(pages.values()))
    files = {path.relative_to(PACKAGE.parent).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    modules = {name.removesuffix("/__init__").replace("/", ".") for name in files if "__main__" not in name}
    assert sorted(shown) == sorted(modules - {"adautomix"})


@pytest.mark.parametrize(
    ("page", "title"), [("your_code", "In your own training code"), ("cluster", "On many devices and on a cluster")]
)
def test_a_guide_is_a_page_in_the_side_bar_and_named_by_front_page_and_readme(page, title):
    assert guide_pages()[f"{page}.md"].startswith(f"# {title}\n")
    assert page in BESIDE["Train"]
    assert f"({page}.md)" in (PACKAGE / "book" / "index.md").read_text()
    assert f"[{title}](adautomix/book/{page}.md)" in " ".join((ROOT / "README.md").read_text().split())


def test_the_front_page_links_to_notebooks_that_exist():
    text = (PACKAGE / "book" / "index.md").read_text()
    links = re.findall(r"\]\((notebooks/.+?)\)", text)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_sections_on_one_line_are_spread_for_sphinx():
    lines = ["Return |x|.", "", "Args:", "    x: [B, *shape] `*`.", "Raises: Error for a,", "    or b."]
    assert edited("function", *lines) == [
        r"Return \|x\|.", "", "Args:", r"    x: [B, \*shape] `*`.", "", "Raises:", "    Error for a,", "    or b.",
    ]  # fmt: skip


def test_an_indented_example_is_shown_as_it_is():
    assert edited("module", "Plans.", "", "    a: *b", "", "    c: `d`", "", "More *.") == [
        "Plans.", "", "::", "", "    a: *b", "", "    c: `d`", "", r"More \*.",
    ]  # fmt: skip


def test_the_colon_of_a_constants_docstring_makes_no_type():
    from sphinx.ext.napoleon import Config, GoogleDocstring

    lines = edited("data", "By this much: rounding.")
    shown = str(GoogleDocstring(lines, Config(), what="data", name="TOLERANCE"))
    assert "By this much: rounding." in shown
    assert ":type:" not in shown


def test_a_source_is_written_only_if_it_changed_and_removed_if_it_is_gone(tmp_path):
    book._write({"a.md": b"one", "b/c.md": b"two"}, tmp_path)
    before = (tmp_path / "a.md").stat().st_mtime_ns
    book._write({"a.md": b"one", "d.md": b"three"}, tmp_path)
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.rglob("*.md")) == ["a.md", "d.md"]


def test_a_plan_of_which_nothing_was_run_has_no_site(plan):
    with pytest.raises(UserError, match="adautomix run tiny"):
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
