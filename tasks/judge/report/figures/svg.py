"""Convert figures to inline SVG in the page's font and colours, light or dark."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

import matplotlib
from matplotlib.figure import Figure

from tasks.judge.report.figures.canvas import styled

INK, QUIET, LINE, GREY, PAGE, ORANGE, BLUE, PURPLE = (f"#00000{i}" for i in range(1, 9))
"""Placeholder colours: `svg` replaces each with the style sheet's variable of the same name."""

VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    LINE: "var(--line)",
    GREY: "var(--grey)",
    PAGE: "var(--page)",
    ORANGE: "var(--orange)",
    BLUE: "var(--blue)",
    PURPLE: "var(--purple)",
}

Look = tuple[str, str, Literal["-", "--", ":"]]
"""Colour, marker and dashes of a line, so that colour-blind readers can distinguish lines."""

FONT_SIZE = 12
UNITS_PER_INCH = 72
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

_XLINK = "{http://www.w3.org/1999/xlink}href"
_DEFAULTS = re.compile(r"\s*(font-family|stroke-dashoffset|stroke-linejoin|stroke-linecap|stroke-miterlimit):[^;]*(;|$)")
_DECIMALS = re.compile(r"(\d+\.\d)\d+")


@dataclass(frozen=True)
class Chart:
    """An `<svg>` element, at most `width` pixels wide."""

    title: str
    svg: str
    width: int


@contextmanager
def page_style() -> Iterator[None]:
    """Apply the page's matplotlib style inside this block."""
    with (
        styled(),
        matplotlib.rc_context(
            {
                "font.size": FONT_SIZE,
                "axes.edgecolor": GREY,
                "axes.facecolor": "none",
                "axes.labelcolor": QUIET,
                "axes.spines.left": False,
                "grid.color": LINE,
                "text.color": INK,
                "xtick.color": GREY,
                "ytick.color": GREY,
                "xtick.labelcolor": QUIET,
                "ytick.labelcolor": QUIET,
                "ytick.major.size": 0,
                "svg.fonttype": "none",
                "svg.hashsalt": "retake",
            }
        ),
    ):
        yield


def new_drawing(width: int, height: int) -> Figure:
    """Create an empty, transparent figure; units are pixels unless the page scales it down."""
    figure = Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH), layout="constrained")
    figure.patch.set_visible(False)
    return figure


def svg(figure: Figure, key: str, title: str, description: str, spoken: Mapping[str, Sequence[str]]) -> str:
    """Render the figure as an `<svg>` element; equal figures give equal text.

    Args:
        figure: drawn under `page_style`.
        key: prefix of its ids: letters, digits and dashes, unique in the page.
        title: its accessible name.
        description: its content with numbers, for screen readers.
        spoken: tooltips of an artist's marks, by the artist's `gid`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - matplotlib wrote it on the line above
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if _XLINK in element.attrib:
            element.set("href", element.attrib.pop(_XLINK))
    for group in root.iter("g"):
        if group.get("id") in spoken:
            # matplotlib writes markers of equal size as <use>, of different sizes as <path>.
            marks = list(group.iter("use")) or list(group.iter("path"))
            for mark, words in zip(marks, spoken[group.attrib["id"]], strict=True):
                ET.SubElement(mark, "title").text = words
    _tidy(root, {element.attrib["href"][1:] for element in root.iter("use")}, key)
    drawn = [child for child in root if child.tag == "g"]
    whole = ET.Element("svg", {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{key}-title {key}-words"})
    ET.SubElement(whole, "title", {"id": f"{key}-title"}).text = title
    ET.SubElement(whole, "desc", {"id": f"{key}-words"}).text = description
    whole.extend(drawn)
    return ET.tostring(whole, encoding="unicode")


def _tidy(element: ET.Element, used: set[str], key: str) -> None:
    """Drop unused ids and styles equal to the page's, and round numbers to one decimal."""
    if element.get("id") in used:
        element.set("id", f"{key}-{element.attrib['id']}")
    else:
        element.attrib.pop("id", None)
    if "href" in element.attrib:
        element.set("href", f"#{key}-{element.attrib['href'][1:]}")
    element.attrib.pop("clip-path", None)
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name in {"d", "x", "y", "transform", "style"} & element.attrib.keys():
        element.set(name, _DECIMALS.sub(r"\1", " ".join(element.attrib[name].split())))
    if "style" in element.attrib:
        style = _DEFAULTS.sub("", element.attrib["style"]).strip("; ")
        element.set("style", re.sub(r"#\w{6}", lambda found: VARIABLES.get(found[0], found[0]), style))
    for child in list(element):
        _tidy(child, used, key)
        if child.tag == "g" and len(child) == 0:
            element.remove(child)
        else:
            child.tail = None
    if element.tag not in ("text", "title"):
        element.text = None
