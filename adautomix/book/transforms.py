"""What a notebook's Markdown becomes on the site: references and terms as links, reading times, folded code."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adautomix.book.glossary import link_terms, terms
from adautomix.book.reading import (
    EVENING,
    FOLDED,
    Reading,
    duration,
    evening,
    notebook_reading,
    section_readings,
    with_times,
)
from adautomix.book.sections import Sections, link_sections, sections_of
from adautomix.utils.paths import workbook_root

Cells = list[dict[str, Any]]


@dataclass(frozen=True)
class Draft:
    """A notebook that is to be a page: its content, its file's name without a suffix, a note, what the title adds."""

    notebook: dict[str, Any]
    name: str
    note: str
    suffix: str = ""

    @property
    def number(self) -> str:
        """The first two digits of its name, if it has them."""
        return self.name[:2] if re.match(r"\d\d_", self.name) else ""


def page_texts(drafts: Mapping[str, Draft]) -> dict[str, str]:
    """Return every draft as a page, by path."""
    ours = {path.stem for path in (workbook_root() / "notebooks").glob("*.ipynb")}
    own = [draft for path, draft in drafts.items() if path == f"notebooks/{draft.name}.ipynb" and draft.number]
    own.sort(key=lambda draft: draft.name in ours)  # where somebody's notebook has one of our numbers, links mean ours
    known = {draft.number: (draft.name, sections_of(_prose(draft.notebook["cells"]))) for draft in own}
    readings = {draft.number: notebook_reading(draft.notebook) for draft in own}
    return {path: _page(draft, known, evening(readings)) for path, draft in drafts.items()}


def known_sections(pages: Mapping[str, str]) -> Sections:
    """Return which notebooks and sections the site has, given all pages by path; for pages that are no notebooks."""
    names = {path: re.fullmatch(r"notebooks/((\d\d)_\w+)\.ipynb", path) for path in pages}
    cells = {found: json.loads(pages[path])["cells"] for path, found in names.items() if found}
    return {found[2]: (found[1], sections_of(_prose(notebook))) for found, notebook in cells.items()}


def told_evening(pages: Mapping[str, str]) -> str:
    """Return `evening` of all pages by path: what the notebooks say that are read from beginning to end."""
    found = {path[10:12]: json.loads(text)["metadata"] for path, text in pages.items() if path.startswith("notebooks/")}
    return evening({number: Reading(*data["reading"]) for number, data in found.items()})


def _page(draft: Draft, known: Sections, evening_told: str) -> str:
    """Return the notebook for the site, as JSON."""
    notebook, cells = draft.notebook, draft.notebook["cells"]
    notebook["metadata"].pop("widgets", None)
    _fold(cells, long=12 if draft.number >= "20" and draft.number not in EVENING else None)
    sections, total = section_readings(cells), notebook_reading(notebook)
    notebook["metadata"]["reading"] = list(vars(total).values())
    markdown = [cell for cell in cells if cell["cell_type"] == "markdown"]
    texts = _prose(cells)
    texts = link_terms([link_sections(text, known, sections_of(texts)) for text in texts], terms())
    if draft.number in EVENING:
        texts = with_times(texts, sections)
    for cell, text in zip(markdown, texts, strict=True):
        cell["source"] = text
    if not cells or not (markdown and cells[0] is markdown[0] and texts[0].startswith("# ")):
        cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": f"# {draft.name}"})  # somebody's own
    title, _, rest = cells[0]["source"].partition("\n")
    more = f" {evening_told}" if draft.number == EVENING[0] else ""
    time = f"To read: {duration(total.minutes)} ({total.counts}).{more}"
    cells[0]["source"] = f"{title}{draft.suffix}\n\n> {draft.note}\n>\n> {time}\n{rest}"
    text = json.dumps(notebook, ensure_ascii=False)
    text = re.sub(r"\]\((\d\d_\w+\.ipynb(?:#[\w-]+)?)\)", r"](../notebooks/\1)", text)
    text = re.sub(r'href=\\"(\d\d_\w+)\.ipynb\\"', r'href=\\"../notebooks/\1.html\\"', text)
    return text.replace(json.dumps(f"{workbook_root()}{os.sep}")[1:-1], "")  # where it was run is nobody's business


def _prose(cells: Cells) -> list[str]:
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def _fold(cells: Cells, long: int | None) -> None:
    """Fold the imports and what a plan gave, which stands below the defaults, in place.

    Args:
        long: cells of more lines are folded too: where figures are redrawn, they are what is read. None: no others.
    """
    code = [(cell, "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    imports = [cell for cell, text in code if re.match("(import|from) ", text)]
    injected = [cell for cell in cells if "injected-parameters" in cell["metadata"].get("tags", [])]
    longer = [cell for cell, text in code[1:] if long is not None and len(text.splitlines()) > long]
    for cell in [*imports[:1], *injected, *longer]:
        tags = cell["metadata"].setdefault("tags", [])
        tags += ["hide-input"] if not (FOLDED - {"injected-parameters"}).intersection(tags) else []
