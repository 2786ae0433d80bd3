"""The site in a real browser, opened from the disk: what a reader sees without a server and without the network."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from helpers import ROOT
from helpers.plans import command

from adautomix.book.pages import ROOMS

# The site is that of the plan which the notebooks' tests run.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("notebooks")]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LOOK = """() => ({
    images: [...document.querySelectorAll("article img")].map(
        i => [i.currentSrc.slice(0, 80), i.naturalWidth, i.width]),
    alternatives: [...document.querySelectorAll("article img")].map(i => i.alt),
    formulas: document.querySelectorAll("article .math").length,
    typeset: document.querySelectorAll("article .math mjx-container").length,
    wrong: [...document.querySelectorAll("mjx-merror")].map(e => e.textContent),
    links: [...document.querySelectorAll("a[href]")].map(a => a.href),
    ids: [...document.querySelectorAll("[id]")].map(e => e.id),
    text: document.querySelector("article")?.innerText ?? "",
})"""
AXE = "axe-core@4.14.1"
SETTLED = """() => Promise.allSettled(
    document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished)).then(() => 0)"""
"""Waits for colours that fade into those of another theme."""
KINDS = ("index", "glossary", "your_code", "notebooks/38_results", "notebooks/34_figure2_framework")
"""A page of each kind; 34 has the tables with corners and the most folded parts."""
CUT_TABLES = """() => [...document.querySelectorAll(".bd-article *")]
    .filter(e => e.querySelector("table") && e.scrollWidth > e.clientWidth + 2)
    .map(e => e.innerText.slice(0, 60))"""
TYPESET = "() => !document.querySelector('article .math') || window.MathJax?.startup?.promise"


@pytest.fixture(scope="module")
def site(smoke):
    folder, _ = smoke
    result = command(folder, "book", "smoke")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "outputs" / "smoke" / "site", result.stdout


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the site was not opened (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield OnePage(playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))


class OnePage:
    """A browser with one page open at a time, which a busy machine may take minutes to load."""

    def __init__(self, browser):
        self.browser = browser

    def new_page(self, **options):
        for context in self.browser.contexts:
            context.close()
        page = self.browser.new_page(**options)
        page.set_default_timeout(300_000)
        return page


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """Return the source of axe, which finds what keeps people out of a page."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine: nobody looked at the site's accessibility (Debian: apt-get install npm)")
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", AXE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not bring {AXE} within two minutes: nobody looked at the site's accessibility")
    if done.returncode != 0:
        pytest.skip(f"npm has no {AXE}: nobody looked at the site's accessibility\n{done.stderr[-300:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def visited(site, browser):
    """Return what every page shows, by its path, with the errors and the requests that it made."""
    root, _ = site
    page = browser.new_page()
    page.on("console", lambda message: events.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: events.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on("requestfailed", lambda request: events.append(f"failed: {request.url}"))
    pages = {}
    for path in sorted(set(root.rglob("*.html")) - set(root.glob("_static/*"))):  # the theme's own templates lie there
        events, requests = [], []
        page.goto(path.as_uri())
        page.evaluate(TYPESET)
        pages[path.relative_to(root).as_posix()] = page.evaluate(LOOK) | {"errors": events, "requests": requests}
    return pages


def test_every_notebook_is_a_page_and_so_is_every_room(site, visited):
    root = ROOT
    notebooks = {f"notebooks/{path.stem}.html" for path in (root / "notebooks").glob("*.ipynb")}
    rooms = {f"api/{room}.html" for room in ROOMS}
    assert len(notebooks) > 15
    assert notebooks | rooms | {"index.html", "runs.html", "search.html"} <= set(visited)


def test_every_page_loads_without_errors_and_without_the_network(visited):
    assert len(visited) > 40
    assert {path: page["errors"] for path, page in visited.items() if page["errors"]} == {}
    outside = {url for page in visited.values() for url in page["requests"] if not url.startswith(("file:", "data:"))}
    assert outside == set()


def test_every_formula_is_typeset(visited):
    assert all(visited[f"notebooks/{name}.html"]["typeset"] > 10 for name in ("02_generator", "01_mixing_family"))
    assert {path: page["wrong"] for path, page in visited.items() if page["wrong"]} == {}
    missing = {path: page for path, page in visited.items() if page["typeset"] != page["formulas"]}
    assert list(missing) == []


def test_every_figure_has_a_size(visited):
    images = [(path, *image) for path, page in visited.items() for image in page["images"]]
    assert len(images) > 60
    assert [image for image in images if min(image[2:]) < 20] == []


def test_every_link_within_the_site_leads_somewhere(visited):
    dead = set()
    for path, page in visited.items():
        for link in page["links"]:
            target = urlparse(urldefrag(link).url)
            if target.scheme == "file" and not Path(unquote(target.path)).exists():
                dead.add((path, link))
    assert dead == set()


def test_every_anchor_within_the_site_is_there(site, visited):
    root = site[0].resolve()
    dead, followed = set(), 0
    for path, page in visited.items():
        for link in page["links"]:
            url, anchor = urldefrag(link)
            place = Path(unquote(urlparse(url).path))
            target = place.relative_to(root).as_posix() if place.is_relative_to(root) else ""
            if anchor and target in visited:
                followed += 1
                dead |= {(path, link)} - ({(path, link)} if unquote(anchor) in visited[target]["ids"] else set())
    assert followed > 1000
    assert dead == set()


def test_terms_and_sections_are_links_and_sections_tell_how_long_they_take(site, visited):
    page = visited["notebooks/03_adversarial_objective.html"]
    assert any(link.endswith("glossary.html#term-teacher") for link in page["links"])
    assert any("02_generator.html#" in link for link in page["links"])
    assert page["text"].count(" min to read") > 8
    assert "one evening" in visited["index.html"]["text"]
    assert "one evening" in visited["notebooks/00_index.html"]["text"]


def test_every_figure_is_told_in_words_from_its_data(visited):
    texts = [(path, alt) for path, page in visited.items() for alt in page["alternatives"]]
    assert len(texts) > 60
    assert [found for found in texts if len(found[1]) < 12 or re.match(r"Figure \d+ of section", found[1])] == []
    assert any("student" in alt and " from " in alt for path, alt in texts if path.startswith("notebooks/38"))


def test_sphinx_has_nothing_to_complain_about(site):
    root, _ = site
    assert (root.parent / ".site" / "sphinx.log").read_text() == ""


def test_flags_are_shown_as_they_are_typed(site):
    assert "short for --optim.student.lr" in (site[0] / "api" / "cli.html").read_text()


def test_no_page_is_wider_than_a_telephone(site, browser, visited):
    root, _ = site
    page = browser.new_page(viewport={"width": 400, "height": 800})
    wide = {}
    for path in (path for path in visited if path.startswith(("index", "runs", "notebooks/", "api/m"))):
        page.goto((root / path).as_uri())
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert len(wide) > 20
    assert {path: width for path, width in wide.items() if width > 400} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_on_a_page_of_each_kind_keeps_people_out(site, browser, axe, kind):
    root, _ = site
    found = {}
    for width in (1280, 400):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto((root / f"{kind}.html").as_uri())
        page.evaluate(TYPESET)
        page.evaluate(axe)
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.evaluate(SETTLED)
            rules = {"runOnly": ["color-contrast"]} if theme == "dark" else {}  # the others do not look at colours
            result = page.evaluate("options => axe.run(document, options)", rules | {"resultTypes": ["violations"]})
            nodes = [(rule["id"], node["html"][:200]) for rule in result["violations"] for node in rule["nodes"]]
            found |= {(width, theme): nodes} if nodes else {}
        page.close()
    assert found == {}


def test_a_figure_enlarges_by_the_keyboard_and_what_scrolls_is_reached_by_it(site, browser):
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto((site[0] / "notebooks" / "38_results.html").as_uri())
    page.locator(".cell_output img").first.focus()
    for key in ("Enter", " "):
        page.keyboard.press(key)
        assert page.locator("dialog.enlarged[open] img").get_attribute("alt")
        page.keyboard.press("Escape")
        assert page.locator("dialog.enlarged[open]").count() == 0
        assert page.evaluate("document.activeElement.tagName") == "IMG"
    assert page.locator(".scrolls").count() > 0
    assert page.locator(".scrolls:not([tabindex='0'])").count() == 0


def test_in_the_dark_figures_stand_on_white_and_the_reader_can_change_it(site, browser):
    page = browser.new_page(color_scheme="dark")
    page.goto((site[0] / "notebooks" / "38_results.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    style = "getComputedStyle(document.querySelector('.cell_output img'))"
    assert page.evaluate(f"[{style}.backgroundColor, {style}.filter]") == ["rgb(255, 255, 255)", "none"]
    page.locator("button.theme-switch-button").first.click()
    page.locator("button.theme-change-button[data-mode='light']").first.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_no_table_of_a_notebook_is_cut_off_on_a_laptop(site, browser, visited):
    root, _ = site
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    cut = {}
    for path in (path for path in visited if path.startswith(("index", "notebooks/"))):
        page.goto((root / path).as_uri())
        cut[path] = page.evaluate(CUT_TABLES)
    assert len(cut) > 17
    assert {path: tables for path, tables in cut.items() if tables} == {}


def test_no_page_shows_a_widget_that_nobody_can_move(visited):
    shown = [path for path, page in visited.items() if "interactive(children" in page["text"]]
    assert shown == []


def test_the_front_page_shows_the_result_table_the_figures_and_where_to_start(visited):
    front = visited["index.html"]
    assert all(word in front["text"] for word in ("adautomix", "mixup", "student", "teacher", "Where to start"))
    assert len(front["images"]) >= 5


def test_search_finds_the_generator(site, browser):
    root, _ = site
    page = browser.new_page()
    page.goto(f"{(root / 'search.html').as_uri()}?q=generator")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    found = page.locator("#search-results li a").all_inner_texts()
    assert any(text.startswith("02 · ") for text in found)
    assert not any("seed 1" in text for text in found)  # further runs of one notebook do not bury the rest


def test_the_command_says_where_the_site_is_and_builds_it_once(smoke, site):
    folder, _ = smoke
    root, printed = site
    assert str(root / "index.html") in printed
    before = (root / "index.html").stat().st_mtime_ns
    again = command(folder, "book", "smoke")
    assert again.returncode == 0
    assert "nothing changed" in again.stdout
    assert (root / "index.html").stat().st_mtime_ns == before
