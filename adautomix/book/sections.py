"""References to sections and notebooks become links: "notebook 03, section 5", "section 7", `33_figure1_mixed_images`.

A section is a heading such as "## 7 · The teacher"; its anchor is `section-7`, on every page (`slug`, for Sphinx).
"""

import re
from collections.abc import Iterable, Mapping, Set

from adautomix.book.prose import edit_prose

Sections = Mapping[str, tuple[str, Set[str]]]
"""By the number of a notebook, as "03": its file's name without a suffix, and the numbers of its sections."""

_HEADING = re.compile(r"^## (\d+) · ", re.MULTILINE)
_NUMBERS = (
    r"(?P<numbers>\d{1,2}(?:(?:,\s|\sand\s|\sto\s|\sor\s)\d{1,2}\b)*)"
    r"(?!\d|[.,]\d|\s(?:of|in)\sthe\s(?:paper|poster))"
)
_REFERENCE = re.compile(
    rf"\b(?=[NnSs])(?:(?P<book>[Nn]otebook\s(?P<nb>\d\d))(?P<gap>,?\s|\b))?(?:(?P<word>[Ss]ections?\s){_NUMBERS})?"
)
_LINKED = re.compile(r"\[(?P<text>(?:[Nn]otebook\s)?(?P<nb>\d\d),?\s[Ss]ections?\s[^\[\]]*)\]\((?P=nb)_\w+\.ipynb\)")
_BEHIND = re.compile(rf"(\]\((?:notebooks/)?(?P<nb>\d\d)_\w+\.ipynb\)[*_]*,?\s(?:\()?)(?P<word>sections?\s){_NUMBERS}")
_NAME = re.compile(r"`(?P<nb>\d\d)(?P<rest>_\w+)?`")


def slug(title: str) -> str:
    """Return the anchor of a heading: `section-7` of "7 · The teacher", GitHub's of any other."""
    from myst_parser.slugs import github_slugify  # the extra `book`: `build` says what is missing

    number = re.match(r"([1-9]\d?) · ", title)
    return f"section-{number[1]}" if number else github_slugify(title)


def sections_of(texts: Iterable[str]) -> set[str]:
    """Return the numbers of a notebook's sections, as they are written, given its Markdown."""
    return {number for text in texts for number in _HEADING.findall(text)}


def link_sections(text: str, known: Sections, own: Set[str] = frozenset(), folder: str = "") -> str:
    """Return a page's Markdown in which prose that names a section or a notebook links to it.

    What does not exist stays as it is. A link to a notebook whose text names sections leads to these instead.

    Args:
        known: every notebook that there is.
        own: the numbers of the page's own sections.
        folder: where the notebooks are, seen from the page: "" or ends in a slash.
    """

    def anchor(nb: str | None, number: str) -> str | None:
        if nb is None:
            return f"#section-{number}" if number in own else None
        name, sections = known.get(nb, ("", ()))
        return f"{folder}{name}.ipynb#section-{number}" if number in sections else None

    def numbers(found: re.Match[str], nb: str | None, before: str) -> str | None:
        """Return the numbers, each a link; the first one's text begins with `before`."""
        parts = re.split(r"(\d+)", found["numbers"])
        targets = [anchor(nb, part) for part in parts[1::2]]
        if None in targets:
            return None
        parts[1::2] = [f"[{part}]({target})" for part, target in zip(parts[1::2], targets, strict=True)]
        return f"[{before}{''.join(parts)[1:]}"

    def reference(found: re.Match[str]) -> str:
        nb = found["nb"]
        if nb and nb not in known:
            return found[0]
        if found["word"]:
            linked = numbers(found, nb, f"{found['book'] or ''}{found['gap'] or ''}{found['word']}")
            if linked:
                return linked
        if not nb:
            return found[0]
        return f"[{found['book']}]({folder}{known[nb][0]}.ipynb)" + found[0].removeprefix(found["book"])

    def behind(found: re.Match[str]) -> str:
        linked = numbers(found, found["nb"], found["word"])
        return found[1] + linked if linked else found[0]

    def code(span: str) -> str:
        found = _NAME.fullmatch(span)
        name = known.get(found["nb"], ("", ()))[0] if found else ""
        fits = name and found["rest"] in (None, name[2:])
        return f"[{span}]({folder}{name}.ipynb)" if fits else span

    plain = _LINKED.sub(lambda found: found["text"] if found["text"][0] in "nN" else f"notebook {found['text']}", text)
    return edit_prose(_BEHIND.sub(behind, plain), lambda piece: _REFERENCE.sub(reference, piece), code)
