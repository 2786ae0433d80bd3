"""The site: what a plan executed, as web pages that need neither a server nor the network.

Sphinx renders the notebooks as they were executed (it runs nothing itself), with a front page and the docstrings.

    outputs/<plan>/site/index.html   open this
    outputs/<plan>/.site             sources and what Sphinx read of them: a second build is quicker
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from adautomix.book.front import front_page
from adautomix.book.pages import Page, notebook_pages, runs_page
from adautomix.book.reference import PACKAGE, reference_pages
from adautomix.book.sources import Sources
from adautomix.plans.tasks import Plan
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_atomic

NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline")
BUILT = ".built"
"""Inside the site: hash of what it was built from."""


@dataclass(frozen=True)
class Site:
    """A plan's site: its front page, whether it was built just now, and the file of Sphinx's warnings, if any."""

    front: Path
    built: bool
    warnings: Path | None = None


def build(plan: Plan) -> Site:
    """Return the plan's site, built unless it is there already and nothing has changed since.

    Raises: UserError if nothing of the plan was run yet, a package of the extra `book` is missing, another process
        builds it, or Sphinx failed; the site as it was stays.
    """
    _require_packages()
    pages = notebook_pages(plan)
    if not any(page.task for page in pages):
        raise UserError(f"nothing of plan {plan.name} was run yet; run it first: adautomix run {plan.call}")
    cache, site = plan.outputs / ".site", plan.outputs / "site"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / ".lock", timeout=0):
            digest = _write_sources(plan, pages, cache / "source")
            front, built = site / "index.html", site / BUILT
            if front.exists() and built.exists() and built.read_text() == digest:
                return Site(front, built=False)
            log = _sphinx(cache, cache / "html")
            _publish(cache / "html", site, digest)
            return Site(front, built=True, warnings=log if log.stat().st_size else None)
    except Timeout:
        raise UserError(f"another process is building the site of {plan.name}; wait for it") from None


def _require_packages() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"the site needs {', '.join(missing)}; install them: pip install -e '.[book]'")


def _write_sources(plan: Plan, pages: list[Page], folder: Path) -> str:
    """Write every source of the site, and return a hash of them and of the package."""
    sources = Sources(folder)
    sources.copy(Path(__file__).with_name("conf.py"), "conf.py")
    sources.copy_mathjax()
    for page in pages:
        sources.write(page.path, page.text)
    sources.write("runs.md", runs_page(plan, pages))
    for name, text in reference_pages().items():
        sources.write(name, text)
    front, figures = front_page(plan, pages)
    sources.write("index.md", front)
    for figure in figures:
        sources.copy(figure, f"figures/{figure.name}")
    sources.remove_others()
    code = [path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))]  # its docstrings are shown
    return hashlib.sha256(sources.digest().encode() + b"".join(code)).hexdigest()


def _sphinx(cache: Path, html: Path) -> Path:
    """Render every page into an empty folder (that of an earlier build would keep pages that are gone).

    Returns: the file that holds Sphinx's warnings; empty if there are none.
    """
    log = cache / "sphinx.log"
    shutil.rmtree(html, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-j", str(min(4, os.cpu_count() or 1))]
    own = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()[:8]
    read = cache / f"doctrees-{own}"  # Sphinx reads again what changed, but would not notice a change of this room
    for old in cache.glob("doctrees*"):
        if old != read:
            shutil.rmtree(old)
    command += ["-d", str(read), str(cache / "source"), str(html)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    write_atomic(log, lambda path: path.write_text(done.stdout + done.stderr, encoding="utf-8"))
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise UserError(f"Sphinx could not build the site (whole output: {log}):\n{last}")
    for template in (html / "_static").glob("*.html"):  # the theme leaves its own there: no pages, and broken as such
        template.unlink()
    return log


def _publish(html: Path, site: Path, digest: str) -> None:
    """Put the built pages in the site's place in one move."""
    (html / BUILT).write_text(digest)
    old = site.with_name(".site.old")
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    html.rename(site)
    shutil.rmtree(old, ignore_errors=True)
