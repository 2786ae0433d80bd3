"""Sphinx's settings for the site, and the form in which it reads the package's docstrings."""

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

from adautomix.book.alternatives import give_alternatives

project = html_title = "The AdAutoMix workbook"
author = "the AdAutoMix workbook's authors"
version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()  # another one, and Sphinx reads every page again
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
default_role = "code"  # `name` in a docstring

nb_execution_mode = "off"  # pages show what the plan executed
nb_merge_streams = True
nb_ipywidgets_js = {}  # widgets would come from the network; the notebooks draw a static figure instead
myst_enable_extensions = ["amsmath", "dollarmath", "colon_fence"]
myst_heading_anchors, myst_heading_slug_func = 3, "adautomix.book.sections.slug"
smartquotes_action = "qe"  # quotes and ellipses, but two hyphens begin a flag

autosummary_generate = False  # the pages are written already; looking for more took 15 of 176 s, profiled
autodoc_default_options = {"members": True, "ignore-module-all": True}  # a room's exports are shown where they are
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Source", ("Raises", "returns_style")]  # an error needs no colon after its name

html_theme = "sphinx_book_theme"
html_theme_options = {"show_toc_level": 2, "use_download_button": False, "show_navbar_depth": 1}
# Every page holds the sidebar: what lies below other pages is not rendered into it.
html_theme_options |= {"navbar_persistent": [], "collapse_navbar": True, "max_navbar_depth": 2}
html_context = {"default_mode": "auto"}  # the reader's own choice of light and dark; a button at the top changes it
html_css_files, html_js_files = ["workbook.css"], ["accessible.js", "enlarge.js"]
html_domain_indices = html_copy_source = html_show_sourcelink = False
html_show_search_summary = False  # the summaries are fetched, which a browser refuses for file://
mathjax_path = "mathjax/tex-chtml.js"
mathjax = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).with_name("static")
html_static_path = ["workbook.css", "accessible.js", "enlarge.js", str(mathjax)]
exclude_patterns = ["mathjax/[!iot]*", "mathjax/tex-[!c]*", "mathjax/tex-chtml-*", "mathjax/*/[!ct]*"]  # 20 of 24 MB

PARTS = 6
"""Stretches in which pages are dealt out: as many as Sphinx makes, about."""
LITERAL = re.compile(r"`[^`]*`|\n\n    [^\0]*?(?=\n\n\S|\Z)|(?<!\\)[|*]")


def docstring(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Edit a docstring in place: sections of one line spread over two, examples as such, | and * without a meaning."""
    text = re.sub(r"^(Returns|Raises|Source): ", r"\n\1:\n    ", "\n".join(lines), flags=re.MULTILINE)
    text = LITERAL.sub(lambda found: {"`": "", "\n": "\n\n::"}.get(found[0][0], "\\") + found[0], text)
    if what in ("data", "attribute"):
        text = f"..\n\n{text}"  # an empty comment: of "Side: in px" in the first line napoleon would make a type
    lines[:] = text.split("\n")


def spread(_app: Any, _env: Any, names: list[str]) -> None:
    """Deal the pages out in place: Sphinx cuts their list in parts, and the package's, the longest, are in one."""
    if any(name.startswith("api/") for name in names):
        import timm  # noqa: F401  once and with torch, not in each of those processes

    names[:] = [name for first in range(PARTS) for name in names[first::PARTS]]


def setup(app: Any) -> None:
    """Connect the hooks; a dataclass's <factory> is no Python, and Sphinx would not parse the signature."""
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before napoleon
    app.connect("env-before-read-docs", spread)
    app.connect("doctree-read", give_alternatives)
    app.connect("autodoc-process-signature", lambda *a: (a[5] and a[5].replace("<factory>", "..."), a[6]))
