"""The folder of Sphinx's sources: only files that changed are written, so that a second build renders only those."""

import hashlib
import importlib.util
from pathlib import Path

MATHJAX = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")
"""What a page with TeX needs of MathJax: 2 of its 24 MB."""

CSS = """\
/* Room for wide tables; what is wider still scrolls by itself. Numbers stand below each other. */
.bd-main .bd-content .bd-article-container { max-width: 68rem; }
.bd-sidebar-primary { flex: 0 0 15rem; }
.bd-main .bd-content .bd-sidebar-secondary { max-width: 12rem; }
.cell_output, .results { overflow-x: auto; }
.results { margin-bottom: 1rem; }
.results table, .cell_output table { font-variant-numeric: tabular-nums; font-size: 0.8rem; }
.results th, .results td, .cell_output th, .cell_output td { padding: 0.15rem 0.3rem; }
.results th, .results td { text-align: left; white-space: nowrap; }
.bd-article h1 { font-size: 2.1rem; }
.bd-article h2 { font-size: 1.6rem; }
.bd-article h3 { font-size: 1.25rem; }
/* Nothing is cut off: what is printed wraps, and so do long names on a narrow screen. */
.cell_output .output.stream pre, .cell_output .output.text_plain pre { white-space: pre-wrap; }
.bd-article code, .bd-article dt.sig, .bd-article table.indextable, .bd-article h1 { overflow-wrap: anywhere; }
.bd-article td code { overflow-wrap: break-word; }  /* a column is as wide as its longest word */
.bd-article code .pre, .bd-article dt.sig .pre { white-space: normal; }
@media (max-width: 700px) { .bd-article table.indextable td { display: block; width: 100%; } }
/* Captions that can be read, in the dark, too. */
figcaption .caption-text, figcaption a { font-weight: 400; }
html[data-theme="dark"] .bd-content .cell_output .text_html {
  background-color: transparent !important; color: var(--pst-color-text-base) !important;
}
html .bd-content .cell_output caption { color: var(--pst-color-text-base); }
"""


class Sources:
    """Files below `folder`; those that were not written or copied again can be removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hashes: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        """Write a text file, unless it is there with this text."""
        self._put(name, text.encode())

    def copy(self, file: Path, name: str) -> None:
        """Copy a file, unless it is there already."""
        self._put(name, file.read_bytes())

    def copy_mathjax(self) -> None:
        """Put the needed part of MathJax, and the site's style sheet, below `_static`."""
        package = importlib.util.find_spec("sphinx-mathjax-offline")
        root = Path(package.origin).parent / "static" / "mathjax"
        for part in MATHJAX:
            files = [root / part] if (root / part).is_file() else sorted((root / part).rglob("*.*"))
            for file in files:
                self.copy(file, f"_static/mathjax/{file.relative_to(root).as_posix()}")
        self.write("_static/workbook.css", CSS)

    def remove_others(self) -> None:
        """Remove what an earlier build left and this one does not have."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in self._hashes:
                path.unlink()

    def digest(self) -> str:
        """Return one hash of all names and contents."""
        return hashlib.sha256(repr(sorted(self._hashes.items())).encode()).hexdigest()

    def _put(self, name: str, content: bytes) -> None:
        self._hashes[name] = hashlib.sha256(content).hexdigest()
        path = self.folder / name
        if path.exists() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
