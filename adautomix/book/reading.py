"""How long a notebook takes to read: its words, lines of code and figures, counted when the site is built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adautomix.plans.headers import LEARNING

WORDS_A_MINUTE, SECONDS_A_LINE, SECONDS_A_FIGURE = 200, 5, 30
"""A time is the sum of the three. So 01 to 03 take 2.6 hours; a first reader of them had needed 2.5 to 3."""
EVENING = ("00", *LEARNING)
"""Numbers of the notebooks that are read from beginning to end; their pages give a time for every section."""
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell", "injected-parameters"}
"""Tags of cells whose code nobody reads who does not unfold it."""

_SECTION = re.compile(r"^(?=## )", re.MULTILINE)


@dataclass(frozen=True)
class Reading:
    """What there is to read, and how many seconds the notebook ran."""

    words: int = 0
    lines: int = 0
    figures: int = 0
    ran: float = 0.0

    def __add__(self, other: Reading) -> Reading:
        return Reading(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def minutes(self) -> float:
        """Minutes to read, by the formula of this module."""
        seconds = SECONDS_A_LINE * self.lines + SECONDS_A_FIGURE * self.figures
        return self.words / WORDS_A_MINUTE + seconds / 60

    @property
    def counts(self) -> str:
        """The three counts, in words."""
        figures = "1 figure" if self.figures == 1 else f"{self.figures} figures"
        return f"{self.words:,} words, {self.lines:,} lines of code, {figures}"


def notebook_reading(notebook: Mapping[str, Any]) -> Reading:
    """Return what a whole notebook gives to read; the time it ran is what papermill noted."""
    ran = notebook["metadata"].get("papermill", {}).get("duration") or 0.0
    return sum(section_readings(notebook["cells"]), Reading(ran=ran))


def section_readings(cells: Iterable[Mapping[str, Any]]) -> list[Reading]:
    """Return what every section gives to read, in their order; the first is what stands above the first heading (##).

    A word is what stands between spaces, a line of code one that is not empty and not folded, a figure a picture that
    a cell gave.
    """
    sections = [Reading()]
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            first, *others = _SECTION.split(text)
            sections[-1] += Reading(words=len(first.split()))
            sections += [Reading(words=len(part.split())) for part in others]
        elif cell["cell_type"] == "code":
            folded = FOLDED & set(cell["metadata"].get("tags", []))
            lines = 0 if folded else sum(bool(line.strip()) for line in text.splitlines())
            shown = [output.get("data", {}) for output in cell.get("outputs", [])]
            figures = sum(any(kind.startswith("image/") for kind in data) for data in shown)
            sections[-1] += Reading(lines=lines, figures=figures)
    return sections


def with_times(texts: list[str], sections: list[Reading]) -> list[str]:
    """Return a page's Markdown texts with a line below each heading (##) that says how long its section takes."""
    times = iter(sections[1:])

    def line(heading: re.Match[str]) -> str:
        return f'{heading[0]}\n\n<p class="reading">{duration(next(times).minutes)} to read</p>\n'

    return [re.sub(r"^## .*$", line, text, flags=re.MULTILINE) for text in texts]


def duration(minutes: float) -> str:
    """Return minutes in words: "1 min" at least, "2 h 40 min" from two hours on, rounded to tens there."""
    if minutes < 120:
        return f"{max(1, round(minutes))} min"
    tens = 10 * round(minutes / 10)
    return f"{tens // 60} h {tens % 60} min" if tens % 60 else f"{tens // 60} h"


def evening(readings: Mapping[str, Reading]) -> str:
    """Return a sentence on what the notebooks of the EVENING take to read and to run, given all by their numbers."""
    there = [number for number in EVENING if number in readings]
    total = sum((readings[number] for number in there), Reading())
    if not there:
        return ""
    ran = f"; they ran {duration(total.ran / 60)}" if total.ran else ""
    formula = f"{WORDS_A_MINUTE} words a minute, {SECONDS_A_LINE} s a line of code, {SECONDS_A_FIGURE} s a figure"
    names = f"{', '.join(there[:-1])} and {there[-1]}" if there[1:] else there[0]
    time = f"{duration(total.minutes)} to read without the exercises, one evening"
    return f"{names} take {time}: {total.counts} ({formula}){ran}."
