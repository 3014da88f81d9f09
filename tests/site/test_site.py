"""The built site, in a real browser: every page, in both themes, on a screen and on a telephone.

`make site-test` builds the book and runs these.
"""

from __future__ import annotations

import gzip
import http.server
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from browser import ARGUMENTS, MISSING, chromium

pytestmark = pytest.mark.site

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if not {"_static", "_sources"} & set(path.relative_to(SITE).parts)
)
CHAPTER = "book/1957-bellman.html"
FIRST_VISIT = 700 * 1024  # bytes, compressed
SMALLEST_TEXT = 14  # CSS pixels

every_page = pytest.mark.parametrize("path", PAGES)


# --- A server on this machine, and the browser -----------------------------------------------


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site as a public server would: compressed, where that pays."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=str(SITE))

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(path)
        if not path.is_file() or not re.search("text|javascript|json|svg", kind):
            return super().do_GET()
        body = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    assert PAGES, "there is no site; run `make book` first"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = chromium()
    assert program, MISSING
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, host: str) -> Iterator[Any]:
    """Opens a page of the site; what it must not do is collected in `page.complaints`."""
    contexts = []

    def open_page(path: str, *, width: int = 1280, until: str = "networkidle", **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("request", lambda request: request.url.startswith((host, "data:", "blob:"))
                or page.complaints.append(f"asks another host: {request.url}"))
        page.on("response", lambda response: response.status < 400
                or page.complaints.append(f"status {response.status}: {response.url}"))
        page.on("requestfailed", lambda request: page.complaints.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
        page.on("console", lambda said: said.type in ("error", "warning")
                and page.complaints.append(f"console: {said.text}"))
        page.goto(host + path, wait_until=until)
        return page

    yield open_page
    for context in contexts:
        context.close()


# --- Every page ------------------------------------------------------------------------------


@every_page
def test_a_page_asks_no_other_host_and_has_no_errors(opened, path):
    page = opened(path)
    if path != "index.html":  # which only sends the reader on to the first page
        switch = page.locator(".theme-switch-button:visible").first
        themes = set()
        for _ in range(3):
            switch.click()
            themes.add(page.evaluate("document.documentElement.dataset.theme"))
        assert themes == {"light", "dark"}
        page.keyboard.press("Control+k")
        search = page.locator("#pst-search-dialog")
        assert search.is_visible()
        page.keyboard.press("Escape")
        assert not search.is_visible()
    for film in page.locator("pw-film").all():
        film.get_by_role("button", name="Play").click()
    page.wait_for_timeout(300)
    page.wait_for_load_state("networkidle")
    assert page.complaints == []


@every_page
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_has_no_barriers(opened, path, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(path, color_scheme=theme)
    for details in page.locator("details:not([open]) > summary").all():
        details.click()
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [summary(violation) for violation in violations] == []


def summary(violation: dict[str, Any]) -> str:
    places = [" ".join(map(str, node["target"])) for node in violation["nodes"]]
    reason = violation["nodes"][0]["failureSummary"].replace("\n", " ")
    return f"{violation['id']}: {'; '.join(places[:5])} ({len(places)} in all). {reason}"


@every_page
def test_a_page_reads_well_on_a_telephone(opened, path):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(path, width=390, has_touch=True, is_mobile=True)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert page.evaluate(SMALL_TEXT, SMALLEST_TEXT) == []
    target_size = {"runOnly": ["target-size"], "rules": {"target-size": {"enabled": True}}}
    violations = Axe().run(page, options=target_size).response["violations"]
    assert [summary(violation) for violation in violations] == []


# The text that is drawn smaller than so many pixels; a figure scales its own text.
SMALL_TEXT = """
smallest => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), parent = walker.currentNode.parentElement;
    if (!text || parent.closest("script, style, mjx-container, sup, sub, .headerlink")) continue;
    if (!parent.checkVisibility({ visibilityProperty: true })) continue;
    let size = parseFloat(getComputedStyle(parent).fontSize);
    const scale = parent instanceof SVGElement && parent.getScreenCTM();
    if (scale) size *= scale.a;
    if (size < smallest - 0.01) found.push(`${size.toFixed(1)} px: ${text.slice(0, 40)}`);
  }
  return found;
}
"""


class Links(HTMLParser):
    """The ids of a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.refers: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.ids[value] += 1
            elif name in ("href", "src") and value and tag != "use":
                self.refers.add(value)


def test_every_link_leads_somewhere():
    pages = {path: Links((SITE / path).read_text(encoding="utf-8")) for path in PAGES}
    broken = []
    for path, links in pages.items():
        for reference in sorted(links.refers):
            target = urlsplit(urljoin(path, reference))
            if target.scheme or target.netloc:
                continue
            name, anchor = unquote(target.path), unquote(target.fragment)
            if not (SITE / name).is_file():
                broken.append(f"{path}: {reference}: no such file")
            elif anchor and name in pages and not pages[name].ids[anchor]:
                broken.append(f"{path}: {reference}: no such place on the page")
    assert broken == []


@every_page
def test_an_id_is_given_once(path):
    ids = Links((SITE / path).read_text(encoding="utf-8")).ids
    assert [name for name, count in ids.items() if count > 1] == []


# --- The chapter with mathematics and a film -------------------------------------------------


def test_a_first_visit_is_light(opened):
    page = opened(CHAPTER, until="commit")
    sizes: dict[str, int] = {}
    page.on("requestfinished", lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]}))
    page.reload(wait_until="networkidle")
    assert page.locator("mjx-container").count() > 0, "the mathematics was not set"
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    print(json.dumps({"KiB": round(sum(sizes.values()) / 1024), "largest": dict(largest)}, indent=1))
    assert sum(sizes.values()) < FIRST_VISIT


def test_text_is_shown_before_any_script_has_run(opened, browser, host):
    context = browser.new_context()
    page = context.new_page()
    page.route(re.compile(r"\.js(\?|$)"), lambda route: None)  # none ever arrives
    page.goto(host + CHAPTER, wait_until="commit")
    page.locator("h1").wait_for(state="visible", timeout=5000)
    assert page.locator("article p").first.is_visible()
    painted = "performance.getEntriesByName('first-contentful-paint').length > 0"
    page.wait_for_function(painted, timeout=5000)
    context.close()


def test_without_scripts_text_and_figures_stand(opened):
    page = opened(CHAPTER, java_script_enabled=False)
    assert page.locator("h1").is_visible() and page.locator("article p").first.is_visible()
    assert page.locator("pw-film svg").first.is_visible()
    assert page.locator("pw-film button").count() == 0


def test_a_film_is_played_from_the_keyboard(opened):
    page = opened(CHAPTER)
    film = page.locator("pw-film").first
    play = film.get_by_role("button", name="Play")
    play.focus()
    page.keyboard.press("Home")
    where = film.locator(".pw-counter")
    assert where.inner_text().startswith("1 /")
    page.keyboard.press("ArrowRight")
    assert where.inner_text().startswith("2 /")
    page.keyboard.press("ArrowLeft")
    assert where.inner_text().startswith("1 /")
    page.keyboard.press("Space")
    film.get_by_role("button", name="Pause").wait_for(timeout=2000)
    page.wait_for_function("![...document.querySelectorAll('.pw-counter')][0].innerText.startsWith('1 /')")
    page.keyboard.press("Space")
    play.wait_for(timeout=2000)
    for name in ("First frame", "Step back", "Step forward"):
        film.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
    assert where.inner_text().startswith("2 /")
    assert page.complaints == []


def test_a_reader_finds_a_chapter(opened):
    page = opened("search.html?q=Bellman")
    page.locator(f"#search-results a[href*='{Path(CHAPTER).stem}']").first.wait_for(timeout=10000)
    assert page.complaints == []
