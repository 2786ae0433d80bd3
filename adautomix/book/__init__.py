"""The site: what a plan executed, as web pages that need neither a server nor the network.

Sphinx renders the notebooks as they were executed (it runs nothing itself), with a front page and the docstrings.

    outputs/<plan>/site/index.html   open this
    outputs/<plan>/.site             sources and what Sphinx read of them: a second build is quicker
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from adautomix.book.front import front_page, key_figures
from adautomix.book.glossary import glossary_page
from adautomix.book.pages import PACKAGE, guide_pages, notebook_pages, reference_pages
from adautomix.book.sections import link_sections
from adautomix.book.transforms import known_sections, told_evening
from adautomix.plans.tasks import Plan
from adautomix.utils.cores import cores
from adautomix.utils.errors import UserError
from adautomix.utils.extras import installing
from adautomix.utils.locks import hold

NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline")
BUILT = ".built"  # inside the site: hash of what it was built from


@dataclass(frozen=True)
class Site:
    """A plan's site: its front page, whether it was built just now, and the file of Sphinx's warnings, if any."""

    front: Path
    built: bool
    warnings: Path | None = None


def build(plan: Plan, *, log: Callable[[str], None] = print) -> Site:
    """Return the plan's site, built unless it is there already and nothing has changed since.

    Args:
        log: told before Sphinx begins, which takes a minute or more.
    Raises: UserError if nothing of the plan was run yet, a package of the extra `book` is missing, another process
        builds it, or Sphinx failed; the site as it was stays.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"the site needs {', '.join(missing)}; install them: {installing('book')}")
    pages = notebook_pages(plan)
    figures = {f"figures/{path.name}": path.read_bytes() for path in key_figures(plan)}
    known = known_sections(pages)
    guides = {name: link_sections(text, known, folder="notebooks/") for name, text in guide_pages(pages).items()}
    guides["glossary.md"] = glossary_page(known)
    front = link_sections(front_page(plan, list(pages), told_evening(pages)), known, folder="notebooks/")
    texts = pages | guides | reference_pages() | {"index.md": front}
    sources = figures | {name: text.encode() for name, text in texts.items()}
    code = [path.read_bytes() for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".css", ".js")]
    digest = hashlib.sha256(repr((sorted(sources.items()), code)).encode()).hexdigest()
    cache, site = plan.outputs / ".site", plan.outputs / "site"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with hold(cache / ".lock", 0):
            if (site / BUILT).exists() and (site / BUILT).read_text() == digest:
                return Site(site / "index.html", built=False)
            log(f"building the site: {len(sources) - len(figures)} pages, a minute or two on a slow machine")
            _write(sources, cache / "source")
            log = _sphinx(cache, cache / "html")
            (cache / "html" / BUILT).write_text(digest)
            shutil.rmtree(site, ignore_errors=True)
            (cache / "html").rename(site)
            return Site(site / "index.html", built=True, warnings=log if log.stat().st_size else None)
    except Timeout:
        raise UserError(f"another process is building the site of {plan.name}; wait for it") from None


def _write(sources: dict[str, bytes], folder: Path) -> None:
    """Write the sources that changed, so that Sphinx reads only those again, and remove all others."""
    for path in folder.rglob("*.*"):
        if path.relative_to(folder).as_posix() not in sources:
            path.unlink()
    for name, content in sources.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _sphinx(cache: Path, html: Path) -> Path:
    """Render every page into an empty folder: that of an earlier build would keep pages that are gone.

    Returns: the file that holds Sphinx's warnings; empty if there are none.
    """
    shutil.rmtree(html, ignore_errors=True)
    log, jobs = cache / "sphinx.log", str(min(4, cores()))
    command = [sys.executable, "-m", "sphinx", "-q", "-j", jobs, "-c", Path(__file__).parent, "-w", log]
    command += ["-d", cache / "doctrees", cache / "source", html]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise UserError(f"Sphinx could not build the site (its warnings: {log}):\n{last}")
    return log
