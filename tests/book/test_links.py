"""What a notebook's prose becomes on the site: terms and references to sections as links, and times to read."""

import json
import re

import pytest
from helpers import ROOT

from adautomix.book.glossary import Term, glossary_page, link_terms, terms
from adautomix.book.prose import edit_prose
from adautomix.book.reading import EVENING, Reading, duration, evening, section_readings, with_times
from adautomix.book.sections import link_sections, sections_of, slug

KNOWN = {"03": ("03_adversarial_objective", {"2", "5", "11"}), "33": ("33_figure1_mixed_images", {"1"})}
OWN = {"1", "4", "7"}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def prose_of(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def linked(text, **more):
    return link_sections(text, KNOWN, OWN, **more)


@pytest.mark.parametrize(
    "kept",
    [
        "## A word",
        "`a word`",
        "``a ` word``",
        "$a_word$ ",
        "$$\na word\n$$",
        "[a word](there.md)",
        "[a `word`, [1]](there.md)",
        "![a word](there.png)",
        "<b title='word'>",
        "<details>\n<summary>a word</summary>\n",
        "```\na word\n\nword\n```",
        ":::{note} a word\nword\n:::",
        "\n\n    a word\n    word\n",
        r"\begin{align} word \end{align}",
        "{term}`word <word>`",
        "(word)=",
    ],
)
def test_what_is_no_prose_stays_as_it_is(kept):
    text = f"{kept}\n\nword {kept if kept[0] in '`$[<{!' and chr(10) not in kept else ''} word"
    edited = edit_prose(text, lambda piece: piece.replace("word", "WORD"))
    assert edited.count("WORD") == 2
    assert edited.replace("WORD", "word") == text
    assert kept in edited


def test_prose_in_lists_tables_quotes_and_emphasis_is_edited():
    text = "* a word\n  word\n\n| word | x |\n|---|---|\n\n> word *word* **word**, 5 $ and a word for 6 \\$"
    assert edit_prose(text, lambda piece: piece.replace("word", "WORD")) == text.replace("word", "WORD")


TERMS = [
    Term("mask", ""),
    Term("mask entropy", ""),
    Term("MCE", ""),
    Term("mce", ""),
    Term("mCE", "", also=["worst bin"]),
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Masks and a mask", "{term}`Masks <mask>` and a mask"),
        ("mask entropy of a mask", "{term}`mask entropy <mask entropy>` of a {term}`mask <mask>`"),
        ("the mask\nentropy", "the {term}`mask entropy <mask entropy>`"),
        ("unmask, masked, mask-like, x.mask", "unmask, masked, mask-like, x.mask"),
        ("MCE, mCE and mce", "{term}`MCE <MCE>`, {term}`mCE <mCE>` and {term}`mce <mce>`"),
        ("the worst bin, mCE", "the {term}`worst bin <mCE>`, mCE"),
        (
            "# mask\n\n`mask` $mask$ [mask](x.md) **mask**",
            "# mask\n\n`mask` $mask$ [mask](x.md) **{term}`mask <mask>`**",
        ),
        ("MASK", "MASK"),
    ],
)
def test_the_first_use_of_a_term_leads_to_the_glossary(text, shown):
    assert link_terms([text], TERMS) == [shown]


def test_first_means_first_on_the_page_and_a_phrase_that_means_something_else_does_not_count():
    term = Term("generator", "", unless=["random generator"])
    texts = ["a random generator", "two generators", "a generator"]
    assert link_terms(texts, [term]) == [texts[0], "two {term}`generators <generator>`", texts[2]]


def test_every_term_has_two_sentences_a_name_of_its_own_and_sections_that_exist():
    names = [name for term in terms() for name in (term.term, *term.also)]
    assert len(names) == len(set(names)) > 40
    wrong = [term.term for term in terms() if len(re.findall(r"[.](?= |$)", re.sub(r"\(.*?\)", "", term.says))) != 2]
    assert wrong == []
    known = {path.stem[:2]: (path.stem, sections_of(prose_of(path))) for path in NOTEBOOKS}
    page = glossary_page(known)
    loose = re.findall(r"\b[Nn]otebook \d\d|\bsections? \d+", re.sub(r"\[[^\]]*\]\([^)]*\)", "", page))
    assert loose == []
    wanted = {"lam", "mask", "teacher", "student", "tap", "head", "amce", "ace", "mce", "mask entropy", "EMA", "ECE"}
    assert wanted <= set(names)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see section 7.", "see [section 7](#section-7)."),
        ("Sections 1 and 4 say", "[Sections 1](#section-1) and [4](#section-4) say"),
        ("section 9", "section 9"),
        ("section 4 of the paper", "section 4 of the paper"),
        ("notebook 03", "[notebook 03](03_adversarial_objective.ipynb)"),
        ("notebook 03,\nsection 5", "[notebook 03,\nsection 5](03_adversarial_objective.ipynb#section-5)"),
        ("notebook 03, section 6", "[notebook 03](03_adversarial_objective.ipynb), section 6"),
        ("notebook 99, section 1", "notebook 99, section 1"),
        ("`33_figure1_mixed_images`", "[`33_figure1_mixed_images`](33_figure1_mixed_images.ipynb)"),
        ("`33` and `33_other` and `34`", "[`33`](33_figure1_mixed_images.ipynb) and `33_other` and `34`"),
        ("`section 7` $section 7$ ## section 7", "`section 7` $section 7$ ## [section 7](#section-7)"),
        ("[33](33_figure1_mixed_images.ipynb)", "[33](33_figure1_mixed_images.ipynb)"),
        (
            "[notebook 03, sections 2 to 5](03_adversarial_objective.ipynb)",
            "[notebook 03, sections 2](03_adversarial_objective.ipynb#section-2) to "
            "[5](03_adversarial_objective.ipynb#section-5)",
        ),
        (
            "[it](03_adversarial_objective.ipynb), section 11.",
            "[it](03_adversarial_objective.ipynb), [section 11](03_adversarial_objective.ipynb#section-11).",
        ),
    ],
)
def test_references_to_sections_and_notebooks_become_links(text, shown):
    assert linked(text) == shown


def test_pages_elsewhere_name_the_folder_of_the_notebooks():
    assert linked("notebook 33, section 1", folder="notebooks/") == (
        "[notebook 33, section 1](notebooks/33_figure1_mixed_images.ipynb#section-1)"
    )


def test_no_notebook_names_a_section_that_is_not_there():
    known = {path.stem[:2]: (path.stem, sections_of(prose_of(path))) for path in NOTEBOOKS}
    loose = {}
    for path in NOTEBOOKS:
        text = "\n\n".join(link_sections(text, known, known[path.stem[:2]][1]) for text in prose_of(path))
        left = re.findall(r"\b[Nn]otebook \d\d|\b[Ss]ections? \d+", re.sub(r"\[[^\]]*\]\([^)]*\)", "", text))
        loose |= {path.stem: left} if left else {}
    assert loose == {}


def test_a_section_is_known_by_its_number_and_other_headings_by_their_words():
    pytest.importorskip("myst_parser")
    assert slug("7 · The teacher") == "section-7"
    assert slug("What to remember") == "what-to-remember"
    assert slug("03 · What is adversarial?") != "section-3"


CELLS = [
    {"cell_type": "markdown", "source": "# Title\n\n" + "word " * 98},
    {"cell_type": "code", "source": "a = 1\n\nb = 2", "metadata": {}, "outputs": []},
    {"cell_type": "markdown", "source": "last words\n\n## 1 · First\n\n" + "word " * 200 + "\n\n## 2 · Second"},
    {
        "cell_type": "code",
        "source": "c",
        "metadata": {"tags": ["hide-input"]},
        "outputs": [{"data": {"image/png": ""}}],
    },
]


def test_what_there_is_to_read_is_counted_section_by_section():
    assert section_readings(CELLS) == [Reading(102, 2, 0), Reading(204), Reading(4, 0, 1)]


def test_the_time_is_the_sum_of_words_lines_and_figures():
    assert Reading(words=200).minutes == 1
    assert Reading(lines=12).minutes == 1
    assert Reading(figures=2).minutes == 1
    assert Reading(1200, 3, 1).counts == "1,200 words, 3 lines of code, 1 figure"
    assert Reading(200, 12, 2, ran=99).minutes == 3


def test_every_heading_tells_the_time_of_its_own_section():
    first, second = with_times([CELLS[0]["source"], CELLS[2]["source"]], section_readings(CELLS))
    assert first == CELLS[0]["source"]
    assert '## 1 · First\n\n<p class="reading">1 min to read</p>\n' in second
    assert second.endswith('## 2 · Second\n\n<p class="reading">1 min to read</p>\n')


@pytest.mark.parametrize(("minutes", "shown"), [(0.2, "1 min"), (119.4, "119 min"), (120, "2 h"), (157, "2 h 40 min")])
def test_times_are_told_as_finely_as_they_are_known(minutes, shown):
    assert duration(minutes) == shown


def test_the_evening_is_the_sum_of_what_is_there():
    told = evening({"01": Reading(200, 12, 2, 60), "02": Reading(200), "30": Reading(9999)})
    assert told.startswith(
        "01 and 02 take 4 min to read without the exercises, one evening: 400 words, 12 lines of code, 2"
    )
    assert told.endswith("; they ran 1 min.")
    assert evening({}) == ""


def test_the_learning_notebooks_fit_one_evening():
    readings = [
        section_readings(json.loads(path.read_text())["cells"]) for path in NOTEBOOKS if path.stem[:2] in EVENING
    ]
    total = sum(
        (part for sections in readings for part in sections), Reading(figures=45)
    )  # as many as they show, executed
    assert len(readings) == len(EVENING)
    assert 120 < total.minutes < 240
