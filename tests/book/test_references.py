"""The page of references: it lists whatever is cited, and is linked."""

import re

from helpers import ROOT

from adautomix.book.front import BESIDE
from adautomix.book.glossary import CITED, glossary_page
from adautomix.book.pages import guide_pages

PAGE = guide_pages()["references.md"]
LISTED = re.findall(r"^\| ([A-Z][^|]+ \d{4}) \|", PAGE, re.MULTILINE)
LINK = re.compile(r"https://(?:arxiv\.org/abs|doi\.org|openaccess\.thecvf\.com)/[^\s)\"\\]+")


def texts():
    """Yield every file that cites: docstrings, notebooks, the glossary and the Markdown pages."""
    for pattern in ("adautomix/**/*.py", "adautomix/**/*.md", "adautomix/**/*.yaml", "notebooks/*.ipynb", "README.md"):
        for path in ROOT.glob(pattern):
            if path.name != "references.md":
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_every_work_that_is_cited_is_listed_once():
    cited = {(name, str(path)) for path, text in texts() for name in CITED.findall(" ".join(text.split()))}
    assert len({name for name, _ in cited}) > 15
    assert {name for name in cited if name[0] not in LISTED} == set()
    assert len(LISTED) == len(set(LISTED))


def test_every_link_to_a_paper_is_on_the_page():
    links = {link for _, text in texts() for link in LINK.findall(text)}
    assert len(links) > 10
    assert {link for link in links if link not in PAGE} == set()


def test_the_page_is_in_the_side_bar_and_the_glossary_leads_to_it():
    assert "references" in BESIDE["Behind it"]
    assert "[Guo et al. 2017](references.md), Eq. 3" in glossary_page({})
