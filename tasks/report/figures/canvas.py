"""What every picture shares: its colours, its type and its way to bytes."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers.
BLUE, ORANGE, VERMILION, SKY, PURPLE, GREY, INK = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#CC79A7", "#9A9A9A", "#222222"

DPI = 120
MAX_NAME_LENGTH = 28


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save under the house style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context(
        {
            "font.family": "DejaVu Sans",  # comes with matplotlib, so pictures do not depend on the machine's fonts
            "font.size": 9,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#888888",
            "axes.axisbelow": True,
            "grid.color": "#E3E3E3",
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "text.parse_math": False,  # class names come from people and may hold a `$`
        }
    ):
        yield


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure that no global state of pyplot holds on to."""
    return Figure(figsize=(width_inches, height_inches), dpi=DPI, layout="constrained")


def png(figure: Figure) -> bytes:
    """PNG bytes without the library's version or a date in them."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def short(name: str) -> str:
    """`name`, cut where it would take the picture's room."""
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"
