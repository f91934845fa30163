"""Define the figures' colours, style and PNG output."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can distinguish.
BLUE, ORANGE, VERMILION, SKY, GREEN, GREY, INK = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73", "#9A9A9A", "#222222"

DPI = 120
MAX_NAME_LENGTH = 28


@contextmanager
def styled() -> Iterator[None]:
    """Apply the house style, overriding the user's matplotlibrc."""
    with matplotlib.rc_context(
        {
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
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "text.parse_math": False,  # class names may contain a `$`
        }
    ):
        yield


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Create an empty figure outside pyplot's global state."""
    return Figure(figsize=(width_inches, height_inches), dpi=DPI, layout="constrained")


def png(figure: Figure) -> bytes:
    """Encode as PNG without matplotlib's version or a date."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def short(name: str) -> str:
    """Truncate `name` to 28 characters."""
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"
