"""Every command that README and the site's pages show is understood, to its last flag."""

import re
import shlex

import pytest
from helpers import ROOT
from helpers.commands import call

from adautomix import cli

PAGES = {
    "README.md": 20,
    "adautomix/book/cluster.md": 8,
    "adautomix/book/teach.md": 8,
    "adautomix/book/your_code.md": 3,
}
"""Pages, and how many commands are on them at least."""
CALL = re.compile(r"(?:^|.*[ /])(?<!from )adautomix (?=[a-z])")
"""What starts a command: nothing, a folder, or torchrun's `-m`."""


def commands(page: str) -> list[str]:
    """Return what follows `adautomix` in the blocks of a page, and in its words if it is more than a command's name."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    blocks = [line.split(" # ")[0] for line in re.findall(r"^ {4}(.*)$", text, re.MULTILINE)]
    words = [code for code in re.findall(r"`([^`\n]+)`", text) if len(code.split()) > 2]
    shown = [CALL.sub("", line) for line in (*blocks, *words) if CALL.match(line)]
    return [line for line in shown if "..." not in line]


@pytest.fixture
def understood(monkeypatch):
    """Let commands be parsed only, and return what they were understood as."""
    seen, command = [], cli._command
    monkeypatch.setattr(cli, "_command", lambda what, act, *more, **kw: command(what, note, *more, **kw))

    def note(args):
        seen.append(args)
        return 0

    return seen


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_is_understood(page, understood, capsys):
    shown = commands(page)
    assert len(shown) >= PAGES[page]
    assert {line: capsys.readouterr().err for line in shown if call(*shlex.split(line)) != 0} == {}
    assert len(understood) == len(shown)
