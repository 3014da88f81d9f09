"""From a matplotlib figure to SVG elements that can be compared from one frame to the next.

Every element has a key that stays its own while artists come and go, so that frames can be laid
over one another. Colours become CSS variables, numbers are rounded to what an eye can see,
definitions (clip paths, markers) are set apart, and text keeps no font: the page has one.
"""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from functools import cache
from html import escape
from typing import NamedTuple

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import stage.style  # noqa: F401  sets the manner of the house
from stage.palette import themed

_XLINK = "{http://www.w3.org/1999/xlink}"
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_COUNTED = re.compile(r"_\d+$")


class Element(NamedTuple):
    """An SVG element. Style properties are attributes that begin with '.', and '#' is its text."""

    key: str
    parent: str
    tag: str
    attributes: dict[str, str]


class Drawing(NamedTuple):
    """A figure at one moment: its size in points, its elements as drawn, its definitions."""

    width: float
    height: float
    elements: list[Element]
    definitions: dict[str, str]


def capture(figure: Figure) -> Drawing:
    """Draw the figure as it stands."""
    name_artists(figure)
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    elements: list[Element] = []
    definitions: dict[str, str] = {}
    _flatten(root, "", elements, definitions)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    return Drawing(width, height, elements, definitions)


def name_artists(figure: Figure) -> None:
    """Give each artist an id, which matplotlib writes on its group, so that it is known again."""
    for holder in (figure, *figure.axes):
        for artist in holder.get_children():
            if artist.get_gid() is None:
                artist.set_gid(f"artist{id(artist):x}")


def artist_of(figure: Figure, key: str) -> str:
    """An artist as an author would recognise it, from the key of its group."""
    for artist in figure.findobj():
        if artist.get_gid() == key:
            return f"{artist}"
    return f"the group {key}"


def _flatten(parent, parent_key: str, elements: list[Element], definitions: dict[str, str]) -> None:
    seen: Counter[str] = Counter()
    for child in parent:
        tag = _tag(child)
        if tag == "metadata":
            continue
        if tag == "defs":
            for definition in child:
                if "id" in definition.attrib:
                    definitions[definition.attrib["id"]] = _markup(definition)
            continue
        name = child.get("id", tag)
        kind = _COUNTED.sub("", name)
        seen[kind] += 1
        own = "id" in child.attrib and kind == name
        key = name if own else f"{parent_key}/{kind}{seen[kind]}"
        elements.append(Element(key, parent_key, tag, _attributes(child)))
        _flatten(child, key, elements, definitions)


def _tag(element) -> str:
    return element.tag.rpartition("}")[2]


def _attributes(element) -> dict[str, str]:
    attributes = {}
    for name, value in element.attrib.items():
        if name == "style":
            attributes.update(_style(value))
        elif name == _XLINK + "href":
            attributes["href"] = value
        elif name == "transform":
            if not value.startswith("rotate(-0 "):
                attributes[name] = _rounded(value, 3)
        elif name != "id":
            attributes[name] = _rounded(value, 1)
    if element.text and element.text.strip():
        attributes["#"] = element.text.strip()
    return attributes


@cache
def _style(style: str) -> dict[str, str]:
    properties = {}
    for declaration in filter(str.strip, style.split(";")):
        name, _, value = declaration.partition(":")
        if name.strip() != "font-family":
            value = _COLOUR.sub(lambda match: themed(match[0]), value.strip())
            properties["." + name.strip()] = value if "#" in value else _rounded(value, 3)
    return properties


@cache
def _rounded(text: str, digits: int) -> str:
    def short(match: re.Match) -> str:
        number = f"{float(match[0]):.{digits}f}".rstrip("0").rstrip(".")
        return "0" if number == "-0" else number

    if text.startswith(("url(", "data:")):
        return text
    return _NUMBER.sub(short, " ".join(text.split()))


def _markup(element) -> str:
    tag, attributes = _tag(element), _attributes(element)
    if "id" in element.attrib:
        attributes["id"] = element.attrib["id"]
    return opening(tag, attributes) + "".join(map(_markup, element)) + f"</{tag}>"


def opening(tag: str, attributes: dict[str, str]) -> str:
    """The opening tag of an element."""
    plain = {name: value for name, value in attributes.items() if name[0] not in ".#"}
    style = ";".join(f"{name[1:]}:{value}" for name, value in attributes.items() if name[0] == ".")
    if style:
        plain["style"] = style
    return f"<{tag}" + "".join(f' {name}="{escape(value)}"' for name, value in plain.items()) + ">"
