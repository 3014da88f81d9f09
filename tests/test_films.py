"""Films: what is shipped replays to what was drawn, weighs little, and reads in both themes."""

import gzip
import html
import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from stage import palette
from stage.chart import chart, name_ends
from stage.film import Film, Still
from stage.palette import ESTIMATE, LOSS, NOW, ROLES
from stage.panes import BackupPane, GridPane, TracePane, number, three_panes
from stage.screens import PointPane

EMPTY_TIMELINE = '<script type="application/json">{}</script>'
STATIC = Path(__file__).parent.parent / "book" / "_static"


class Outcome(NamedTuple):
    probability: float
    state: tuple[int, int]
    reward: float
    terminated: bool


def step(state, action):
    """A 5 x 5 world without slipping."""
    row, column = ((-1, 0), (0, 1), (1, 0), (0, -1))[action]
    there = (state[0] + row, state[1] + column)
    if there == (1, 1) or not all(0 <= place < 5 for place in there):
        there = state
    return [Outcome(1.0, there, WORLD.terminals.get(there, -0.04), there in WORLD.terminals)]


WORLD = SimpleNamespace(
    rows=5,
    columns=5,
    walls={(1, 1)},
    terminals={(0, 4): 1.0, (1, 3): -1.0},
    start=(4, 0),
    actions=lambda state: (0, 1, 2, 3),
    outcomes=step,
)
CELLS = [(row, column) for row in range(5) for column in range(5) if (row, column) != (1, 1)]


def scene(frames):
    """Three panes in which everything moves: values, arrows, the cell at work, a backup, a line."""
    world, insides, trace = three_panes()
    grid = GridPane(world, WORLD)
    backup = BackupPane(insides, WORLD, gamma=0.9)
    line = TracePane(
        trace, "sweep", "change", lines={"change": LOSS}, xlim=(0, frames), ylim=(0, 1)
    )
    inner = [state for state in CELLS if state not in WORLD.terminals]

    def draw(k):
        values = {s: math.sin(0.1 * k * (1 + s[0]) + s[1]) for s in CELLS}
        policy = {s: {(k + s[0]) % 4, s[1] % 4} for s in inner}
        state = inner[k % len(inner)]
        grid.show(f"values in sweep {k}", values, policy, state if k % 7 else None)
        backup.show(f"backup of {state}", state, values)
        line.show({"change": (range(k), [0.9**n for n in range(k)])})

    return [world, insides, trace], draw


def bare_figure():
    figure = Figure((3, 2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 10), ylim=(0, 10))
    return figure, axes


def coming_and_going():
    """A pane whose artists appear, vanish, alternate, grow, empty and change their number."""
    figure, axes = bare_figure()
    under = axes.add_patch(Rectangle((0, 0), 1, 1, fc=ESTIMATE))
    either = axes.add_patch(Rectangle((1, 1), 1, 1, fc=LOSS))
    other = axes.add_patch(Rectangle((2, 2), 1, 1, fc=NOW))
    (line,) = axes.plot([], [], marker="o", color=LOSS)
    word = axes.text(5, 5, "")
    late = []

    def draw(k):
        under.set_alpha(0.2 + 0.1 * k)
        either.set_visible(k in (0, 2, 5))
        other.set_visible(k in (1, 2))
        line.set_data(range(k), range(k))
        line.set_marker("os"[k // 3])
        word.set_text("" if k % 2 else f"word {k}")
        if k == 4 and not late:
            late.append(axes.text(1, 8, "from now on", color=ESTIMATE))
        for text in late:
            text.set_visible(k >= 4)

    return [figure], draw


def parts(film_html):
    """The SVG trees and the timeline of a film."""
    svgs = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", film_html, re.S)]
    data = re.search(r'<script type="application/json">(.*?)</script>', film_html, re.S)[1]
    return svgs, json.loads(data)


def replay(film_html, frame):
    """What film.js makes of the timeline: the SVG trees at a frame."""
    svgs, timeline = parts(film_html)
    moving = [element for svg in svgs for element in svg.iter() if "data-t" in element.attrib]
    assert len(moving) == len(timeline["tracks"])
    for element, track in zip(moving, timeline["tracks"], strict=True):
        style = dict(d.split(":", 1) for d in element.get("style", "").split(";") if d)
        for name, steps in track.items():
            value = None
            for at, text, *grows in steps:
                if at <= frame:
                    value = value + text if grows else text
            if name == "#":
                element.text = value
            else:
                store, key = (style, name[1:]) if name[0] == "." else (element.attrib, name)
                store.pop(key, None)
                if value is not None:
                    store[key] = value
        element.attrib.pop("style", None)
        if style:
            element.set("style", ";".join(f"{key}:{value}" for key, value in style.items()))
    return svgs


def parts_of(figure):
    """The elements of a still of a figure."""
    return list(parts(Still(figure, alt="x").html() + EMPTY_TIMELINE)[0][0].iter())


def seen(svg):
    """What a reader sees of an SVG: shapes and words in order, with ids resolved."""
    named = {element.get("id"): element for element in svg.iter() if element.get("id")}

    def describe(element):
        style = dict(d.split(":", 1) for d in element.get("style", "").split(";") if d)
        if element.tag == "defs" or style.get("display") == "none":
            return []
        attributes = {k: v for k, v in element.attrib.items() if k not in ("style", "data-t", "id")}
        for key, value in attributes.items():
            if match := re.search(r"#(pw\w+-\d+-\d+)", value):
                attributes[key] = ElementTree.tostring(named[match[1]]).replace(
                    match[1].encode(), b""
                )
        children = [line for child in element for line in describe(child)]
        if element.tag == "g" and not (attributes or style):
            return children
        here = (element.tag, sorted(attributes.items()), sorted(style.items()), element.text or "")
        return [here, *children]

    return describe(svg)


def test_a_sixty_frame_film_of_three_panes_weighs_under_40_kib():
    film = Film(*scene(60), 60, alt="Values spread.")
    assert len(gzip.compress(film.html().encode())) < 40 * 1024


@pytest.mark.parametrize("make", [lambda: scene(6), coming_and_going])
def test_the_timeline_replays_to_every_frame(make):
    figures, draw = make()
    page = Film(figures, draw, 6, alt="A film.").html()
    for frame in range(6):
        alone = Film(figures, lambda _, k=frame: draw(k), 1, alt="One frame.").html()
        assert list(map(seen, replay(page, frame))) == list(map(seen, parts(alone)[0])), frame


def test_the_still_is_the_last_frame():
    figures, draw = coming_and_going()
    page = Film(figures, draw, 6, alt="A film.").html()
    assert list(map(seen, parts(page)[0])) == list(map(seen, replay(page, 5)))
    assert list(map(seen, parts(page)[0])) != list(map(seen, replay(page, 4)))


def test_the_same_input_gives_the_same_bytes():
    assert Film(*scene(3), 3, alt="A.").html() == Film(*scene(3), 3, alt="A.").html()


def test_ids_are_unique_on_a_page_and_every_reference_is_met():
    figure, axes = chart("sweep", "error")
    axes.plot([1, 2], [2, 1], "o-", label="error")
    name_ends(axes)
    page = (
        Film(*coming_and_going(), 6, alt="One.").html()
        + Film(*coming_and_going(), 5, alt="Two.").html()
        + Still(figure, alt="Three.").html()
    )
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 4
    assert set(re.findall(r"#(pw\w+-\d+-\d+)", page)) <= set(ids)


def test_what_does_not_change_is_not_in_the_timeline():
    figure, axes = bare_figure()
    axes.text(1, 1, "always")
    moving = axes.text(5, 5, "")
    film = Film([figure], lambda k: moving.set_text(f"frame {k}"), 3, alt="A word changes.")
    assert parts(film.html())[1]["tracks"] == [
        {"#": [[0, "frame 0"], [1, "frame 1"], [2, "frame 2"]]}
    ]


def test_a_line_that_grows_ships_each_point_once():
    figure, axes = bare_figure()
    (line,) = axes.plot([], [], color=LOSS)
    film = Film(
        [figure], lambda k: line.set_data(range(k + 2), range(k + 2)), 9, alt="A line grows."
    )
    (track,) = parts(film.html())[1]["tracks"]
    assert all(grows == [1] for _, _, *grows in track["d"][1:])
    assert max(len(text) for _, text, _ in track["d"][1:]) < 16


def test_captions_are_text_and_the_last_one_stands_on_the_page():
    figure, _ = bare_figure()
    captions = ["</script> & <b>", 'a "longer" caption', "last"]
    page = Film([figure], lambda k: None, 3, alt="x", captions=captions).html()
    assert parts(page)[1]["captions"] == captions
    assert page.count("</script>") == 1
    assert f'data-longest="{html.escape(captions[1])}"><span>last</span>' in page


def test_the_text_alternative_is_on_the_page_and_may_not_be_empty():
    figure, _ = bare_figure()
    page = Still(figure, alt='Values "spread"').html()
    assert 'role="img" aria-label="Values &quot;spread&quot;"' in page
    with pytest.raises(ValueError, match="say in a sentence what the picture shows"):
        Still(figure, alt=" ")
    with pytest.raises(ValueError, match="say in a sentence what the picture shows"):
        Film([figure], lambda k: None, 2, alt="")


def test_a_drawing_order_that_changes_names_the_frame_the_artists_and_the_cure():
    figure, axes = bare_figure()
    one = axes.add_patch(Rectangle((1, 1), 2, 2, fc=ESTIMATE))
    two = axes.add_patch(Rectangle((5, 5), 2, 2, fc=LOSS))
    two.set_zorder(2)
    with pytest.raises(ValueError) as caught:
        Film([figure], lambda k: one.set_zorder(3 if k == 2 else 1), 4, alt="Two squares.")
    assert str(caught.value).startswith("frame 2: ")
    assert f"{one} is now drawn over {two}" in str(caught.value)
    assert "its own zorder" in str(caught.value)


def test_arguments_are_checked_at_the_door():
    figure, _ = bare_figure()
    with pytest.raises(ValueError, match="2 captions for 3 frames"):
        Film([figure], lambda k: None, 3, alt="x", captions=["a", "b"])
    with pytest.raises(ValueError, match="above zero"):
        Film([figure], lambda k: None, 0, alt="x")


def test_a_colour_outside_the_palette_is_refused_by_name():
    figure, axes = bare_figure()
    axes.add_patch(Rectangle((1, 1), 2, 2, fc="tab:green"))
    with pytest.raises(ValueError, match=r"colour #2ca02c .* use one of stage.palette: INK"):
        Still(figure, alt="A square.")


def test_a_wide_still_is_laid_out_a_second_time_for_a_telephone():
    figure, axes = chart("sweep", "error")
    axes.plot([1, 2], [2, 1])
    wide, narrow = re.findall(r'viewBox="0 0 (\d+)', Still(figure, alt="A line falls.").html())
    assert (wide, narrow) == ("453", "223")
    assert tuple(figure.get_size_inches()) == (6.3, 2.8)


def test_a_wide_map_shrinks_unless_it_is_given_a_narrow_one():
    wide, narrow = Figure((6.3, 4)), Figure((3.1, 2.5))
    for figure in (wide, narrow):
        GridPane(figure, WORLD)
    assert Still(wide, alt="A map.").html().count("<svg") == 1
    both = Still(wide, narrow, alt="A map.").html()
    assert re.findall(r'viewBox="0 0 (\d+)', both) == ["453", "223"]


def test_text_keeps_no_font_and_ink_is_the_colour_around_it():
    figure, axes = bare_figure()
    axes.text(1, 1, "word", ha="center")
    page = Still(figure, alt="A word.").html()
    assert "font-family" not in page and palette.INK not in page
    assert ">word</text>" in page and "text-anchor:middle" in page


def test_a_figure_holds_no_address_of_this_process_and_no_style_of_its_own():
    figures, draw = scene(2)
    page = Film(figures, draw, 2, alt="x").html()
    assert "artist" not in page and "<style" not in page and "metadata" not in page


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(-0.04, 2, "−0.04"), (-0.001, 2, "0.00"), (1, 0, "1")]
)
def test_numbers_in_figures(value, digits, text):
    assert number(value, digits) == text


def test_a_backup_is_spelled_with_its_numbers_and_marks_the_best():
    figure = Figure((3.1, 2.05))
    pane = BackupPane(figure, WORLD, gamma=0.9)
    values = dict.fromkeys(CELLS, 0.0) | {(0, 2): 0.81, (0, 3): 1.0}
    pane.show("backup of (0, 3)", (0, 3), values)
    words = [element.text for element in parts_of(figure) if element.tag.endswith("text")]
    assert words == [
        "backup of (0, 3)", "1.00",
        "−0.04 + 0.9 × 1.00", "= 0.86",
        "1.00", "+ 0.9 × 0", "= 1.00 max",
        "−1.00 + 0.9 × 0", "= −1.00",
        "−0.04", "+ 0.9 × 0.81", "= 0.69",
    ]


def test_an_arrow_is_drawn_only_where_the_policy_prefers_something():
    figure = Figure((3.1, 3.4))
    pane = GridPane(figure, WORLD)
    values = dict.fromkeys(CELLS, 0.0)
    pane.show("values", values, {(4, 0): [0, 1, 2, 3], (0, 3): [1]})
    assert [key for key, arrow in pane.arrows.items() if arrow.get_visible()] == [((0, 3), 1)]


def test_a_map_without_room_for_numbers_has_none():
    figure = Figure((3.1, 3.4))
    GridPane(figure, WORLD, digits=None).show("the map", dict.fromkeys(CELLS, 0.5))
    words = {element.text for element in parts_of(figure) if element.tag.endswith("text")}
    assert words == {"the map", "+1", "−1", *"01234"}


def boxes(figure):
    figure.draw_without_rendering()
    names = [text for text in figure.axes[0].texts if text.get_visible() and text.get_text()]
    return [text.get_window_extent().padded(-0.1) for text in names]


def test_names_at_line_ends_do_not_overlap():
    figure, axes = chart("sweep", "error")
    for n in range(4):
        axes.plot([0, 1], [1, 0.01 * n], label=f"line {n}" + "\nof two" * (n == 1))
    name_ends(axes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes(figure), 2))


def test_names_that_are_far_apart_stay_beside_their_lines():
    _, axes = chart("sweep", "error")
    axes.plot([0, 9], [0, 0.5], label="long")
    axes.plot([0, 1], [0, 0.51], label="short")
    name_ends(axes)
    assert [name.get_position() for name in axes.texts] == [(6, 0), (6, 0)]


def test_names_in_a_trace_do_not_overlap_in_any_frame():
    _, _, figure = three_panes()
    trace = TracePane(
        figure, "sweep", "both", lines={"one\nline": LOSS, "two": NOW}, xlim=(0, 9), ylim=(0, 1)
    )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # as a film does
    for n in range(1, 9):
        trace.show({"one\nline": (range(n), [0.1 * n] * n), "two": (range(n), [0.4] * n)})
        one, two = boxes(figure)
        assert not one.overlaps(two)


def test_a_line_that_ends_at_zero_is_named_at_its_last_point_on_a_logarithmic_axis():
    figure, axes = chart("sweep", "change", log=True)
    axes.plot([1, 2, 3], [1, 0.1, 0], label="change")
    name_ends(axes)
    (name,) = axes.texts
    assert name.xy == (2, 0.1)
    assert ">change</text>" in Still(figure, alt="The change falls.").html()


def luminance(colour):
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def linear(colour):
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def contrast(one, two):
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def mixed(colour, paper, opacity):
    channels = [
        round(opacity * int(colour[i : i + 2], 16) + (1 - opacity) * int(paper[i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{c:02x}" for c in channels)


THEMES = [
    {name: getattr(role, theme) for name, role in ROLES.items()} for theme in ("light", "dark")
]


@pytest.mark.parametrize("tones", THEMES)
def test_every_role_but_the_faint_can_be_read_on_its_paper(tones):
    for name in tones.keys() - {"paper", "faint"}:
        assert contrast(tones[name], tones["paper"]) >= 4.5, name


@pytest.mark.parametrize("tones", THEMES)
@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_numbers_can_be_read_on_the_deepest_tint(tones, value):
    colour, opacity = palette.tint(value)
    role = next(name for name, each in ROLES.items() if each.light == colour)
    assert contrast(tones["ink"], mixed(tones[role], tones["paper"], opacity)) >= 4.5


def test_a_tint_is_clear_at_zero_and_never_deeper_than_the_deepest():
    assert palette.tint(0.0)[1] == 0
    assert palette.tint(0.5) == (ESTIMATE, palette.DEEPEST / 2)
    assert palette.tint(-7.0) == (LOSS, palette.DEEPEST)


# How a colour looks without one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1.
EYES = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def oklab(rgb):
    to_cones = (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
    to_lab = (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
    return times(to_lab, [max(0, cone) ** (1 / 3) for cone in times(to_cones, rgb)])


def times(matrix, vector):
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


@pytest.mark.parametrize("tones", THEMES)
@pytest.mark.parametrize("eye", EYES.values(), ids=EYES)
def test_any_two_roles_look_different_to_every_eye(tones, eye):
    """0.07 in OKLab is some three times the difference that is just noticed side by side."""
    roles = tones.keys() - {"paper", "faint", "muted"}
    looks = {r: oklab([min(1, max(0, c)) for c in times(eye, linear(tones[r]))]) for r in roles}
    close = {
        (a, b) for a, b in itertools.combinations(roles, 2) if math.dist(looks[a], looks[b]) < 0.07
    }
    assert not close


def test_the_style_sheet_sets_the_tones_of_the_palette():
    sheet = (STATIC / "film.css").read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        assert palette.css(theme) in sheet, f"paste palette.css({theme!r}) into film.css"


def test_the_point_is_where_it_is_told_to_be_and_points_where_it_goes():
    pane = PointPane(Figure((4, 3)), 2.0, (1.0, -1.0), 0.1, 0.25)
    pane.show("now", [(-2.0, -2.0), (0.0, 0.0)], (1.0, 0.0))
    (left, top), (x, y) = pane.way.get_xydata()
    assert (left, top) == (2, 20) and pane.point.get_center() == (x, y)
    (_, _), (ahead, level) = pane.speed.get_xydata()
    assert level == y and ahead - x == pytest.approx((x - left) / 2)
    assert pane.title.get_text() == "now"
