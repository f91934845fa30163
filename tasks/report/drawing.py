"""From a matplotlib figure to an SVG that is part of a page: in the page's type and in its colours, light or dark."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import matplotlib
from matplotlib.figure import Figure

from tasks.report.figures.canvas import styled

INK, QUIET, LINE, GREY, PAGE, ORANGE, BLUE, PURPLE = (f"#00000{i}" for i in range(1, 9))
"""Placeholders, which no reader sees: in the page each becomes the style sheet's variable of its name."""

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

FONT_SIZE = 12
UNITS_PER_INCH = 72
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

_XLINK = "{http://www.w3.org/1999/xlink}href"
_DEFAULTS = re.compile(r"\s*(font-family|stroke-dashoffset|stroke-linejoin|stroke-linecap|stroke-miterlimit):[^;]*(;|$)")
_DECIMALS = re.compile(r"(\d+\.\d)\d+")


@contextmanager
def page_style() -> Iterator[None]:
    """Draw inside this block what is to become part of a page."""
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
    """An empty figure of so many units, which are pixels where the page has room for all of it. The page's own colour is behind it."""
    figure = Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH), layout="constrained")
    figure.patch.set_visible(False)
    return figure


def svg(figure: Figure, key: str, title: str, description: str, spoken: Mapping[str, Sequence[str]]) -> str:
    """The figure as an `<svg>` element, the same for the same figure.

    Args:
        figure: drawn under `page_style`.
        key: what its ids begin with, of letters, digits and dashes; no two of a page are alike.
        title: what it shows.
        description: the same for those who do not see it, with its numbers.
        spoken: by the `gid` of an artist, what each of its marks tells under the pointer.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - it was written the line before
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if _XLINK in element.attrib:
            element.set("href", element.attrib.pop(_XLINK))
    for group in root.iter("g"):
        if group.get("id") in spoken:
            # Marks of like size are uses of one shape; of unlike sizes, shapes of their own.
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
    """Keep of ids only those that are used, of styles only what differs from the page's, and of numbers one decimal."""
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
