"""The film player in a real browser, on a page of its own that is opened from a file."""

import re
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from stage.film import Film
from stage.palette import ESTIMATE

STATIC = Path(__file__).parents[2] / "book" / "_static"
pytestmark = pytest.mark.site


def squares(frames):
    """A film of three panes in which a square walks to the right and a word counts."""
    figures, patches = [], []
    for height in (3.1, 1.7, 1.3):
        figure = Figure((3.1, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, frames), ylim=(0, 1))
        patches.append(axes.barh([0.5], [1], left=[0], color=ESTIMATE)[0])
        figures.append(figure)
    word = figures[0].axes[0].text(0, 0.05, "")

    def draw(k):
        for patch in patches:
            patch.set_x(k)
        word.set_text(f"count {k}")

    captions = [f"step {k}" + " and so on" * (k == 2) * 12 for k in range(frames)]
    return Film(figures, draw, frames, alt="Squares walk.", captions=captions, fps=20)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("player")
    for name in ("film.css", "film.js"):
        shutil.copy(STATIC / name, folder)
    film = squares(6).html()
    write(folder / "film.html", film)
    write(folder / "bad.html", film.replace('{"fps"', '{"fps'))
    write(folder / "other.html", re.sub(r" data-t=\"\"", "", film, count=1))
    return folder


def write(path, film):
    path.write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>A film</title>'
        '<link rel="stylesheet" href="film.css"><script src="film.js"></script>'
        '<script src="film.js"></script>'  # a page may load it twice
        f"<main><h1>A film</h1>{film}<p id='after'>After.</p></main>"
        "<div style='height:3000px'></div>",
        encoding="utf-8",
    )


@pytest.fixture
def opened(browser, site):
    """Open a page of the site; errors on it fail the test."""
    contexts, errors = [], []

    def open_page(name="film.html", **options):
        context = browser.new_context(viewport={"width": 900, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


# What is shown from now on, and when.
WATCH = """() => {
  window.film = document.querySelector("pw-film");
  const seek = film.seek, word = film.querySelector(".pw-panes text");
  film.seen = [];
  film.seek = frame => {
    seek.call(film, frame);
    film.seen.push([word.textContent, performance.now()]);
  };
}"""


def word(page):
    return page.locator(".pw-panes text").first.text_content()


def counter(page):
    return page.locator(".pw-counter").text_content()


def test_it_opens_on_the_last_frame_and_does_not_play_by_itself(opened):
    page = opened()
    page.wait_for_timeout(300)
    assert (word(page), counter(page)) == ("count 5", "6 / 6")
    assert page.get_by_role("button", name="Play").is_visible()


def test_it_plays_every_frame_from_the_beginning_to_the_end_and_stops(opened):
    page = opened()
    page.evaluate(WATCH)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("film.seen.length && !film.timer")
    assert [seen for seen, _ in page.evaluate("film.seen")] == [f"count {k}" for k in range(6)]
    assert (word(page), counter(page)) == ("count 5", "6 / 6")
    assert page.get_by_role("button", name="Play").is_visible()


def test_pause_holds_the_frame(opened):
    page = opened(reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    held = counter(page)
    page.wait_for_timeout(1200)
    assert counter(page) == held != "6 / 6"


def test_steps_go_one_frame_and_no_further_than_the_ends(opened):
    page = opened()
    for name, at in [
        ("Step forward", 5), ("Step back", 4), ("First frame", 0), ("Step back", 0),
        ("Step forward", 1),
    ]:  # fmt: skip
        page.get_by_role("button", name=name).click()
        assert word(page) == f"count {at}", name


def test_every_frame_is_what_it_was_in_whatever_order_it_is_sought(opened):
    page = opened()
    panes = "document.querySelector('.pw-panes').innerHTML"
    forward = [
        page.evaluate(f"document.querySelector('pw-film').seek({k}), {panes}") for k in range(6)
    ]
    assert len(set(forward)) == 6
    for k in (3, 0, 5, 1, 4, 2):
        assert page.evaluate(f"document.querySelector('pw-film').seek({k}), {panes}") == forward[k]


def test_the_slider_scrubs_and_says_where_it_is(opened):
    page = opened()
    slider = page.get_by_role("slider", name="Frame")
    slider.fill("1")
    assert word(page) == "count 1"
    assert slider.get_attribute("aria-valuetext") == "frame 2 of 6: step 1"
    slider.press("ArrowRight")
    assert word(page) == "count 2"
    slider.press("Home")
    assert word(page) == "count 0"


def test_the_keyboard_works_wherever_the_focus_is_in_the_film(opened):
    page = opened(reduced_motion="reduce")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "First frame"
    for key, at in [
        ("Home", 0),
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", 5),
    ]:
        page.keyboard.press(key)
        assert word(page) == f"count {at}", key
    page.keyboard.press("k")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.keyboard.press("k")
    assert page.get_by_role("button", name="Play").is_visible()
    page.get_by_role("slider").press(" ")
    assert page.get_by_role("button", name="Pause").is_visible()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) != "none"


def test_a_caption_is_announced_when_stepped_to_and_not_when_played(opened):
    page = opened()
    caption = page.locator(".pw-caption span")
    page.get_by_role("button", name="Step forward").click()
    assert (caption.text_content(), caption.get_attribute("aria-live")) == ("step 5", "polite")
    page.get_by_role("button", name="Play").click()
    assert caption.get_attribute("aria-live") == "off"


def test_it_stops_when_scrolled_out_of_view(opened):
    page = opened(reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    page.evaluate("scrollTo(0, 2500)")
    page.wait_for_function("!document.querySelector('pw-film').timer")


def test_where_less_motion_is_wished_for_a_frame_stays_a_second(opened):
    page = opened(reduced_motion="reduce")
    page.evaluate(WATCH)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("film.seen.length > 1")
    (first, shown), (second, followed) = page.evaluate("film.seen")[:2]
    assert (first, second) == ("count 0", "count 1")
    assert followed - shown > 900  # milliseconds; the film would be over by now


@pytest.mark.parametrize("page_name", ["bad.html", "other.html"])
def test_with_a_bad_timeline_the_last_frame_stands(opened, page_name):
    page = opened(page_name)
    assert word(page) == "count 5"
    assert page.locator(".pw-bar").count() == 0


def test_without_scripts_the_last_frame_stands_without_controls(opened):
    page = opened(java_script_enabled=False)
    assert page.locator(".pw-panes text").first.text_content() == "count 5"
    assert page.locator(".pw-panes svg").last.bounding_box()["height"] > 100
    assert page.locator("button").count() == 0


def test_in_print_there_are_no_controls(opened):
    page = opened()
    page.emulate_media(media="print")
    assert page.locator(".pw-bar").is_hidden()
    assert page.locator(".pw-panes svg").first.is_visible()


def test_the_page_does_not_move_when_the_script_starts_nor_while_it_plays(opened, site):
    text = (site / "film.html").read_text(encoding="utf-8")
    unscripted = text.replace('<script src="film.js"></script>', "")
    (site / "unscripted.html").write_text(unscripted, encoding="utf-8")
    before = opened("unscripted.html").locator("#after").bounding_box()
    page = opened()
    for k in range(6):
        page.evaluate(f"document.querySelector('pw-film').seek({k})")
        assert page.locator("#after").bounding_box() == before


@pytest.mark.parametrize("width", [390, 760])
def test_panes_stand_beside_each_other_or_stacked_and_never_overflow(opened, width):
    page = opened()
    page.set_viewport_size({"width": width, "height": 800})
    panes = page.locator(".pw-panes svg")
    world, insides, trace = (panes.nth(n).bounding_box() for n in range(3))
    if width == 390:
        assert world["x"] == insides["x"] == trace["x"]
        assert world["y"] < insides["y"] < trace["y"]
        assert world["width"] > 340
    else:
        assert world["x"] < insides["x"] == trace["x"]
        assert world["y"] == insides["y"] < trace["y"]
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_controls_are_large_enough_to_touch(opened):
    page = opened(has_touch=True, is_mobile=True)
    for button in page.locator(".pw-bar button").all():
        assert min(button.bounding_box()[side] for side in ("width", "height")) >= 40
