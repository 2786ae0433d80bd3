"""The page "Teach with this workbook": its method is right, its timetable is two hours, and what it names is there."""

import re
import shlex

import pytest
from helpers import ROOT
from helpers.commands import call

from adautomix.book.front import BESIDE
from adautomix.book.pages import guide_pages
from adautomix.cli.grade import CLAUSE, TRAINING
from adautomix.lessons import check_method, method_in
from adautomix.lessons.contract import CLAUSES

PAGE = guide_pages()["teach.md"]
COMMANDS = re.findall(r"^    adautomix (.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)


def test_the_page_is_in_the_side_bar():
    assert "teach" in BESIDE["Learn"]
    assert PAGE.startswith("# ")


def test_the_method_to_begin_with_keeps_the_contract(tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "band.py").write_text(snippet)
    assert check_method(method_in(tmp_path / "band.py")) == "right"


def test_the_timetable_is_two_hours():
    rows = re.findall(r"^\| (\d):(\d\d) \| (\d+) \|", PAGE, re.MULTILINE)
    starts = [60 * int(hours) + int(minutes) for hours, minutes, _ in rows]
    lengths = [int(length) for *_, length in rows]
    assert starts == [sum(lengths[:i]) for i in range(len(rows))]
    assert sum(lengths) == 120


def test_its_links_hold_in_the_checkout_too():
    file = ROOT / "adautomix" / "book" / "teach.md"
    links = re.findall(r"\]\(([^)#:]+)\)", file.read_text())
    assert len(links) > 5
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_notebooks_and_sections_that_it_names_exist():
    for path in re.findall(r"\]\((notebooks/[^)]+)\)", PAGE):
        assert (ROOT / path).exists()
    for number, listed in re.findall(r"\b(0[123]|41)\]?(?:\([^)]*\))?, sections? ([\d, and to]+)", PAGE):
        (file,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        known = {int(n) for n in re.findall(r'"## (\d+) ·', file.read_text())}
        assert known
        assert {int(n) for n in re.findall(r"\d+", listed)} <= known, (number, listed)


def test_it_tells_every_clause_and_its_points():
    told = re.findall(r"^\| ([^|]+?) \| [^|]+ \|$", PAGE.split("clause by clause")[1], re.MULTILINE)
    assert [clause for clause in told if clause not in ("clause", "---")] == list(CLAUSES)
    assert f"{CLAUSE * len(CLAUSES)} for the contract" in PAGE
    assert f"({len(CLAUSES)} clauses, {CLAUSE} points each), {TRAINING} for its accuracy" in " ".join(PAGE.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_commands(command, monkeypatch, tmp_path):
    """They are parsed; what they would do is tested elsewhere."""
    monkeypatch.chdir(tmp_path)
    flags = shlex.split(command)
    done = []
    for name in ("show", "give_points", "write_handout", "copy_notebooks", "plans.slides"):
        monkeypatch.setattr(f"adautomix.cli.{name}", lambda args: done.append(args) or 0)
    assert call(*flags) == 0
    assert len(done) == 1
