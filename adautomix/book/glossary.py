"""The glossary: a page of terms, and the first use of each on every page as a link to it. Source: `glossary.yaml`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from adautomix.book.prose import edit_prose
from adautomix.book.sections import Sections, link_sections

INTRODUCTION = """# Glossary

What the workbook's words mean, with the paper's symbol and equation and the name in the package where there is one. On
every page of a notebook the first use of a word leads here.
"""
CITED = re.compile(r"[A-Z][a-z]\w* (?:et al\.|and [A-Z][a-z]\w*) \d{4}")
"""A work as it is cited, and as `references.md` lists it."""


@dataclass(frozen=True)
class Term:
    """A term: how it stands in prose, what it means in two sentences, and where it comes from."""

    term: str
    says: str
    also: Sequence[str] = ()
    """Other names in prose."""
    symbol: str = ""
    """Markdown, as the notebooks write it."""
    code: str = ""
    """Its names in the package, separated by commas."""
    source: str = ""
    """The equation of Adversarial AutoMixup, or another paper's."""
    unless: Sequence[str] = ()
    """Phrases with that name in them which mean something else."""
    shown: str = ""
    """Notebooks and sections, as in "notebook 03, sections 2 and 4"."""


@cache
def terms() -> tuple[Term, ...]:
    """Return all terms, in the order of the file."""
    rows = yaml.safe_load(Path(__file__).with_name("glossary.yaml").read_text(encoding="utf-8"))
    return tuple(Term(**row) for row in rows)


def glossary_page(notebooks: Sections) -> str:
    """Return the page's Markdown, terms in alphabetical order; what names a notebook's section links to it."""
    ordered = sorted(terms(), key=lambda term: (term.term.lower(), term.term))
    entries = "\n\n".join(_entry(term, notebooks) for term in ordered)
    return f"{INTRODUCTION}\n```{{glossary}}\n{entries}\n```\n"


def _entry(term: Term, notebooks: Sections) -> str:
    names = ", ".join(f"`{name.strip()}`" for name in term.code.split(",")) if term.code else ""
    shown = link_sections(term.shown, notebooks, folder="notebooks/")
    cited = CITED.sub(r"[\g<0>](references.md)", term.source)
    facts = [term.symbol, names, cited, shown and f"shown in {shown}"]
    lines = [" ".join(term.says.split()), "", " · ".join(fact for fact in facts if fact)]
    return "\n".join([*([term.term, *term.also]), *(f"  {line}".rstrip() for line in lines)])


def link_terms(texts: Iterable[str], known: Sequence[Term]) -> list[str]:
    """Return a page's Markdown texts with the first use of each term in their prose as a link to the glossary.

    Headings, code, formulas and links stay as they are. Whole words count, and of two names at one place the longer. A
    name that begins with two small letters may begin with a capital; otherwise letters are as they are written: MCE is
    neither mce nor mCE. One that ends in a small letter may be followed by an s.
    """
    owner = {name: term for term in known for name in (term.term, *term.also)}
    names = sorted([*owner, *(phrase for term in known for phrase in term.unless)], key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(f'({_form(name)})' for name in names)})(?![\w-])")
    seen = set()

    def link(found: re.Match[str]) -> str:
        term = owner.get(names[found.lastindex - 1])
        if term is None or term.term in seen:
            return found[0]
        seen.add(term.term)
        return f"{{term}}`{' '.join(found[0].split())} <{term.term}>`"

    return [edit_prose(text, lambda piece: pattern.sub(link, piece)) for text in texts]


def _form(name: str) -> str:
    first = f"[{name[0].upper()}{name[0]}]" if name[:2].islower() and len(name) > 1 else re.escape(name[0])
    plural = "s?" if "a" <= name[-1] <= "z" and name[-1] != "s" else ""
    return first + re.escape(name[1:]).replace(r"\ ", r"\s+") + plural
