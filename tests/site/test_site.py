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
from bs4 import BeautifulSoup

import tangle

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
SMALLEST_IN_FIGURE = 11
MOST_MEMORY = 300  # megabytes, of the process that executes a chapter

every_page = pytest.mark.parametrize("path", [path for path in PAGES if path != "index.html"])


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
def opened(browser: Any, host: str) -> Any:
    """Opens a page of the site; what it must not do is collected in `page.complaints`.

    One tab shows all pages that are seen alike, as new ones take longer than most tests. Each
    page finds nothing stored, as on a first visit, and the mouse is outside.
    """
    tabs: dict[str, Any] = {}

    def open_page(path: str, *, width: int = 1280, **options: Any) -> Any:
        seen_as = repr((width, options))
        if seen_as not in tabs:
            context = browser.new_context(viewport={"width": width, "height": 900}, **options)
            tabs[seen_as] = watched(context.new_page(), host)
        page = tabs[seen_as]
        page.mouse.move(-1, -1)
        page.complaints.clear()
        page.goto(host + path)
        if options.get("java_script_enabled", True):
            page.wait_for_function(MATHEMATICS_IS_SET)
        return page

    return open_page


def watched(page: Any, host: str) -> Any:
    """The tab, which forgets what pages store and collects complaints about them."""
    page.add_init_script("localStorage.clear(); sessionStorage.clear()")
    page.complaints = []
    complain = page.complaints.append

    def on_request(request: Any) -> None:
        if not request.url.startswith((host, "data:", "blob:")):
            complain(f"asks another host: {request.url}")

    def on_response(response: Any) -> None:
        if response.status >= 400:
            complain(f"status {response.status}: {response.url}")

    def on_failure(request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the reader has gone on to the next page
            complain(f"failed, {request.failure}: {request.url}")

    def on_console(message: Any) -> None:
        if message.type in ("error", "warning"):
            complain(f"console: {message.text}")

    page.on("request", on_request)
    page.on("response", on_response)
    page.on("console", on_console)
    page.on("requestfailed", on_failure)
    page.on("pageerror", lambda error: complain(f"error: {error}"))
    return page


MATHEMATICS_IS_SET = """
() => !document.querySelector("script[src*='mathjax/startup']")
   || document.querySelector("mjx-container mjx-assistive-mml")
"""


# --- Every page ------------------------------------------------------------------------------


@every_page
def test_a_page_keeps_to_its_host_and_has_no_barriers(opened, path):
    page = opened(path, reduced_motion="reduce")  # colours change at once
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("document.getAnimations().length") == 0
    themes = set()
    for _ in range(3):  # automatic, light and dark
        page.locator(".theme-switch-button:visible").first.evaluate("button => button.click()")
        theme = page.evaluate("document.documentElement.dataset.theme")
        if theme not in themes:
            themes.add(theme)
            page.complaints += [f"{theme}: {barrier}" for barrier in barriers(page)]
    assert themes == {"light", "dark"}
    if path != "search.html":  # which has the field in the page
        page.keyboard.press("Control+k")
        search = page.locator("#pst-search-dialog")
        assert search.is_visible()
        page.keyboard.press("Escape")
        assert not search.is_visible()
    for film in page.locator("pw-film").all():
        film.get_by_role("button", name="Play").click()
    page.wait_for_load_state("networkidle")
    assert page.complaints == []


@every_page
def test_a_page_reads_well_on_a_telephone(opened, path):
    page = opened(path, width=390, has_touch=True, is_mobile=True)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert page.evaluate(SMALL_TEXT, [SMALLEST_TEXT, SMALLEST_IN_FIGURE]) == []
    # Links inside code are as high as its lines.
    code = {"exclude": [["pre"]]}
    assert (
        barriers(page, code, runOnly=["target-size"], rules={"target-size": {"enabled": True}})
        == []
    )


def barriers(page: Any, context: Any = None, **options: Any) -> list[str]:
    """What axe-core finds on the page, a line for each kind."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("!!window.axe?.run"):
        page.evaluate(QUICK_AXE.replace("AXE", AXE_SCRIPT))
    options = {"resultTypes": ["violations"], "preload": False, **options}
    run = "([context, options]) => axe.run(context ?? document, options)"
    found = []
    for violation in page.evaluate(run, [context, options])["violations"]:
        nodes = violation["nodes"]
        places = "; ".join(" ".join(map(str, node["target"])) for node in nodes[:5])
        reason = " ".join(nodes[0]["failureSummary"].split())
        found.append(f"{violation['id']}, {len(nodes)} times: {places}. {reason}")
    return found


# A scan finds the colours behind every text. The fields of axe-core's colours are WeakMaps, and
# the same few colours are parsed hundreds of thousands of times: that is three quarters of the
# time. Here, and for axe-core only, a WeakMap keeps values in the keys, and parsing remembers.
QUICK_AXE = """
(() => {
  class WeakMap {
    #field = Symbol();
    has(key) { return Object.hasOwn(key, this.#field); }
    get(key) { return key[this.#field]; }
    set(key, value) { key[this.#field] = value; return this; }
  }
  class WeakSet extends WeakMap {
    add(key) { return this.set(key, true); }
  }
  AXE
  const colour = axe.commons.color.Color.prototype, parse = colour.parseString;
  const known = new Map();
  colour.parseString = function (text) {
    if (known.has(text)) return Object.assign(this, known.get(text));
    const { r, g, b, alpha } = parse.call(this, text);
    known.set(text, { r, g, b, alpha });
    return this;
  };
})()
"""


# Text that is drawn smaller than so many pixels; of size 0 is what is there to be copied only.
SMALL_TEXT = """
([prose, figure]) => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), parent = walker.currentNode.parentElement;
    if (!text || parent.closest("script, style, mjx-container, sup, sub, .headerlink")) continue;
    if (!parent.checkVisibility({ visibilityProperty: true })) continue;
    const drawn = parent instanceof SVGElement;
    const scale = drawn ? parent.getScreenCTM().a : 1;
    const size = parseFloat(getComputedStyle(parent).fontSize) * scale;
    if (size && size < (drawn ? figure : prose) - 0.01) found.push(`${size} px: ${text}`);
  }
  return found;
}
"""


def test_the_front_door_leads_into_the_book(opened):
    page = opened("index.html")
    page.wait_for_url("**/book/intro.html")
    assert page.complaints == []


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


@every_page
def test_negative_numbers_have_a_minus_sign(path):
    page = BeautifulSoup((SITE / path).read_text(encoding="utf-8"), "html.parser").body
    for part in page.select("pre, code, svg, script, .math"):
        part.decompose()
    assert re.findall(r"(?<![\w.-])-\d.*", page.get_text()) == []


# --- The chapter with mathematics and a film -------------------------------------------------


def test_no_chapter_needs_much_memory():
    runs = (json.loads(path.read_text()) for path in SITE.parent.glob("executed/*.json"))
    needed = {run.get("megabytes") for run in runs} - {None}
    assert needed and max(needed) < MOST_MEMORY


def test_a_first_visit_is_light(browser, host):
    context = browser.new_context()
    page = context.new_page()
    sizes: dict[str, int] = {}

    def on_finished(request: Any) -> None:
        sizes[request.url.removeprefix(host)] = request.sizes()["responseBodySize"]

    page.on("requestfinished", on_finished)
    page.goto(host + CHAPTER)
    page.wait_for_function(MATHEMATICS_IS_SET)
    page.wait_for_load_state("networkidle")
    context.close()
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:8]
    print(f"{sum(sizes.values()) / 1024:.0f} KiB,", {name: sizes[name] for name in largest})
    assert sum(sizes.values()) < FIRST_VISIT


def test_text_is_shown_before_any_script_has_run(browser, host):
    context = browser.new_context()
    page = context.new_page()
    page.route(re.compile(r"\.js(\?|$)"), lambda route: None)  # none ever arrives
    page.goto(host + CHAPTER, wait_until="commit")
    page.locator("article h1").wait_for(state="visible")
    assert page.locator("article p").first.is_visible()
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    context.close()


def test_without_scripts_text_and_figures_stand(opened):
    page = opened(CHAPTER, java_script_enabled=False)
    assert page.locator("article h1").is_visible() and page.locator("article p").first.is_visible()
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
    film.get_by_role("button", name="Pause").wait_for()
    page.wait_for_function("!document.querySelector('.pw-counter').innerText.startsWith('1 /')")
    page.keyboard.press("Space")
    play.wait_for()
    for name in ("First frame", "Step back", "Step forward"):
        film.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
    assert where.inner_text().startswith("2 /")
    assert page.complaints == []


def test_a_reader_finds_a_chapter(opened):
    page = opened("search.html?q=Bellman")
    page.locator(f"#search-results a[href*='{Path(CHAPTER).stem}']").first.wait_for()
    assert page.complaints == []


# --- Listings --------------------------------------------------------------------------------


def test_the_copy_button_copies_what_the_chapter_says(opened):
    book = tangle.load(SITE.parents[1])
    page = opened(CHAPTER, permissions=["clipboard-read", "clipboard-write"])
    parts = [part for part in book.listings if part.chapter == CHAPTER.replace(".html", ".md")]
    sources = ["\n".join(part.lines) for part in parts]
    boxes = page.locator(".listing").all()
    assert len(boxes) == len(sources) and any("<<" in source for source in sources)
    for box, source in zip(boxes, sources, strict=True):
        assert copied(page, box) == source.strip("\n")


def test_the_copy_button_of_a_files_page_copies_the_file(opened):
    book = tangle.load(SITE.parents[1])
    file = "policywerk/actors/bellman.py"
    page = opened(f"src/{file}.html", permissions=["clipboard-read", "clipboard-write"])
    assert copied(page, page.locator(".listing-source")) == book.source(file).rstrip("\n")


def copied(page: Any, box: Any) -> str:
    box.locator("button.copybtn").evaluate("button => button.click()")
    box.locator("button.copybtn.success").wait_for(state="attached")
    return page.evaluate("navigator.clipboard.readText()")


def test_a_reference_is_drawn_with_brackets_and_selected_as_source(opened):
    reference = opened(CHAPTER).locator(".listing-ref").first
    source = reference.text_content()
    assert source.startswith("<<") and source.endswith(">>")
    widths = "spans => spans.map(span => span.offsetWidth)"
    assert max(reference.locator("span").evaluate_all(widths)) <= 1
    for at, bracket in (("before", "⟨"), ("after", "⟩")):
        drawn = reference.evaluate(f"e => getComputedStyle(e, '::{at}').content")
        assert bracket in drawn
    selected = "e => (getSelection().selectAllChildren(e), getSelection().toString())"
    assert reference.evaluate(selected) == source
