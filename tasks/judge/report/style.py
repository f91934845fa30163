"""Draw with matplotlib: PNG files, and inline SVG in the page's font and colours."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree as ET

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator, PercentFormatter

DPI = 120
TEXT_COLOUR = "#222222"
MAX_NAME_LENGTH = 28
COLOURS = ("ink", "quiet", "line", "grey", "page", "orange", "blue", "purple")
VARIABLES = {f"#00000{number}": f"var(--{name})" for number, name in enumerate(COLOURS, start=1)}
"""Placeholder colours, which `chart` replaces with the variables of `templates/style.css`."""
INK, QUIET, LINE, GREY, PAGE, ORANGE, BLUE, PURPLE = VARIABLES

Look = tuple[str, str, Literal["-", "--", ":"]]
"""Colour, marker and dashes of a line, so that colour-blind readers can distinguish lines."""

Style = dict[str, Any]
"""Arguments of a drawing method that several calls share."""

FONT_SIZE = 12
STEPS = [1, 2, 5, 10]
PERCENT = PercentFormatter(1, symbol=None)
LONG_DASHES, SHORT_DASHES = (0, (5, 4)), (0, (2, 3))
ROOM = 0.12
"""Margin on either side of the outermost points, as a share of the width."""
UNITS_PER_INCH = 72
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_XLINK = "{http://www.w3.org/1999/xlink}href"
_DEFAULTS = re.compile(r"\s*(font-family|stroke-dashoffset|stroke-linejoin|stroke-linecap|stroke-miterlimit):[^;]*(;|$)")
_DECIMALS = re.compile(r"(\d+\.\d)\d+")

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so figures do not depend on the machine's fonts
    "font.size": 9,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "legend.frameon": False,
    "text.color": TEXT_COLOUR,
    "axes.labelcolor": TEXT_COLOUR,
    "xtick.color": TEXT_COLOUR,
    "ytick.color": TEXT_COLOUR,
    "text.parse_math": False,  # class names may contain a `$`
}

PAGE_STYLE: dict[Any, Any] = STYLE | {
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


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Create an empty figure outside pyplot's global state."""
    return Figure(figsize=(width_inches, height_inches), dpi=DPI, layout="constrained")


def png(figure: Figure) -> bytes:
    """Encode as PNG without matplotlib's version or a date."""
    buffer = io.BytesIO()
    # `savefig` would draw it once more, to lay it out.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def short(name: str) -> str:
    """Truncate `name` to 28 characters."""
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"


@dataclass(frozen=True)
class Chart:
    """An `<svg>` element, at most `width` pixels wide."""

    title: str
    svg: str
    width: int


def new_drawing(width: int, height: int) -> Figure:
    """Create an empty, transparent figure; units are pixels unless the page scales it down."""
    figure = Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH), layout="constrained")
    figure.patch.set_visible(False)
    return figure


@contextmanager
def axes_of(size: tuple[int, int]) -> Iterator[tuple[Figure, Axes]]:
    """Apply the page's style, and yield an empty figure of `size` with its axes."""
    with matplotlib.rc_context(PAGE_STYLE):
        figure = new_drawing(*size)
        yield figure, figure.add_subplot()


def add_legend(figure: Figure, *, ncols: int = 3, handlelength: float = 2.4, **more: Any) -> None:  # noqa: ANN401 - passed on
    """Put the legend above the axes."""
    figure.legend(loc="outside upper left", ncols=ncols, borderpad=0, handlelength=handlelength, **more)


def round_ticks(axis: Axis, nbins: int = 6) -> None:
    """Put about `nbins` ticks at round numbers."""
    axis.set_major_locator(MaxNLocator(nbins=nbins, steps=STEPS))


def whole_ticks(axis: Axis, nbins: int = 7) -> None:
    """Put about `nbins` ticks at round whole numbers."""
    axis.set_major_locator(MaxNLocator(nbins=nbins, steps=STEPS, integer=True, min_n_ticks=1))


def value_axis(axes: Axes, formatter: Formatter = PERCENT) -> None:
    """Give the y axis round ticks and lines."""
    round_ticks(axes.yaxis)
    axes.yaxis.set_major_formatter(formatter)
    axes.grid(axis="y", clip_on=False)


def add_majority(axes: Axes, share: float, label: str | None = None) -> None:
    """Draw the score of always predicting the most frequent class as a dashed line."""
    axes.axhline(share, color=GREY, linewidth=1.2, linestyle=LONG_DASHES, label=label)


def leave_room(axes: Axes, x: Sequence[float]) -> None:
    """Limit the x axis to these non-negative values, with a margin on either side."""
    reach = (max(x) - min(x)) or max(x) or 1
    axes.set_xlim(max(0.0, min(x) - ROOM * reach), max(x) + ROOM * reach)
    round_ticks(axes.xaxis)


def chart(figure: Figure, width: int, key: str, title: str, description: str, spoken: Mapping[str, Sequence[str]]) -> Chart:
    """Render a figure drawn under `PAGE_STYLE`; equal figures give equal text.

    Args:
        key: prefix of its ids: letters, digits and dashes, unique in the page.
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
    whole = ET.Element("svg", {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{key}-title {key}-words"})
    ET.SubElement(whole, "title", {"id": f"{key}-title"}).text = title
    ET.SubElement(whole, "desc", {"id": f"{key}-words"}).text = description
    whole.extend(child for child in root if child.tag == "g")
    return Chart(title, ET.tostring(whole, encoding="unicode"), width)


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
        element.set("style", re.sub(r"#\w{6}", lambda match: VARIABLES.get(match[0], match[0]), style))
    for child in list(element):
        _tidy(child, used, key)
        if child.tag == "g" and len(child) == 0:
            element.remove(child)
        else:
            child.tail = None
    if element.tag not in ("text", "title"):
        element.text = None
