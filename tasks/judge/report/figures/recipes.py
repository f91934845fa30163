"""Draw the recipes of all trials as parallel coordinates.

Each trial is a line across one axis per searched option, more opaque with a better score.

Legend: k trials.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from tasks.judge.report.figures.svg import BLUE, GREY, INK, ORANGE, PAGE, QUIET, Chart, new_drawing, page_style, svg
from tasks.judge.report.search_table import decisive, range_of, searched, spelled, top1_of
from tasks.judge.search.scores import values_in_words
from tasks.store.records.search import ScoredTrial, Search, Value
from tasks.wording import percent

AXIS_WIDTH, HEIGHT = 112, 330
MAX_LABEL = 14
MANY = 60
MIN_GAP = 0.08
"""Minimum distance between two labels, as a share of an axis."""
ABOVE_ZERO = 0.12
"""Height of the smallest positive value on a logarithmic axis that also has 0."""
NUM_STRENGTHS = 9
"""`svg` rounds to one decimal, so opacity has the steps 0.1 to 0.9."""


@dataclass(frozen=True)
class Scale:
    """One vertical axis, with each trial's height and the labels.

    Heights are between 0 and 1; a label is (height, text).
    """

    name: str
    heights: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def recipes_chart(search: Search) -> Chart | None:
    """Draw the chart; None with fewer than two trials that have a score."""
    trials = sorted(
        (one for one in search.trials if one.failure is None), key=lambda one: (one.number == search.winner, top1_of(one, search))
    )
    if len(trials) < 2:
        return None
    scales = [_scale(name, [one.values[name] for one in trials], range_of(name, search)) for name in searched(search)]
    scores = [top1_of(one, search) for one in trials]
    scales.append(_numbers(f"{decisive(search)} top-1", scores, spell=percent))
    spoken = [f"trial {one.number}: {percent(top1)}; {values_in_words(one.values)}" for one, top1 in zip(trials, scores, strict=True)]
    with page_style():
        figure = new_drawing(AXIS_WIDTH * len(scales), HEIGHT)
        axes = figure.add_subplot()
        axes.set_axis_off()
        for x, scale in enumerate(scales):
            _draw_scale(axes, x, scale)
        paths = [[(x, scale.heights[i]) for x, scale in enumerate(scales)] for i in range(len(trials))]
        colours = [ORANGE if one.number == search.winner else BLUE for one in trials]
        widths = [2.6 if one.number == search.winner else 1.4 for one in trials]
        axes.add_collection(
            LineCollection(paths, colors=colours, linewidths=widths, alpha=_strengths(trials, search), gid="recipes", zorder=1)
        )
        axes.set_xlim(-0.12, len(scales) - 0.45)
        axes.set_ylim(-0.04, 1.16)
        words = f"Orange: the winner; the stronger the blue, the higher the score. {'; '.join(reversed(spoken))}."
        drawn = svg(figure, "search-recipes", "Recipes of all trials", words, {"recipes": spoken})
    return Chart("Recipes of all trials", drawn, AXIS_WIDTH * len(scales))


def _strengths(trials: Sequence[ScoredTrial], search: Search) -> list[float]:
    """Compute the opacity of each line, from the lowest score to the winner.

    Of many trials, only the best are opaque.
    """
    power = 2 if len(trials) <= MANY else 6
    shares = [(i / (len(trials) - 1)) ** power for i in range(len(trials))]
    return [
        1.0 if one.number == search.winner else (1 + round((NUM_STRENGTHS - 1) * share)) / 10
        for one, share in zip(trials, shares, strict=True)
    ]


def _scale(name: str, values: Sequence[Value], text: str) -> Scale:
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    if ".." in text and len(numbers) == len(values):
        return (_logarithms if text.split()[-1] == "log" else _numbers)(name, numbers, spell=lambda value: f"{value:.2g}")
    kinds = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    place = {kind: (i + 0.5) / len(kinds) for i, kind in enumerate(kinds)}
    ticks = tuple((height, _short(spelled(kind))) for kind, height in place.items())
    return Scale(name, tuple(place[value] for value in values), ticks)


def _numbers(name: str, values: Sequence[float], *, spell: Callable[[float], str]) -> Scale:
    low, high = min(values), max(values)
    if high == low:
        return Scale(name, (0.5,) * len(values), ((0.5, spell(low)),))
    heights = [(value - low) / (high - low) for value in values]
    return Scale(name, tuple(heights), tuple((height, spell(low + height * (high - low))) for height in (0, 0.25, 0.5, 0.75, 1)))


def _logarithms(name: str, values: Sequence[float], *, spell: Callable[[float], str]) -> Scale:
    """Place values on a logarithmic axis.

    0, such as the form's own weight decay, lies at its foot.
    """
    positive = [value for value in values if value > 0]
    if len(set(positive)) < 2:
        return _numbers(name, values, spell=spell)
    low, high = math.log10(min(positive)), math.log10(max(positive))
    foot = ABOVE_ZERO if len(positive) < len(values) else 0.0

    def height(value: float) -> float:
        return 0.0 if value <= 0 else foot + (1 - foot) * (math.log10(value) - low) / (high - low)

    inner = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
    ends = [*([0.0] if foot else []), min(positive), max(positive)]
    # Decades too near to an end would overlap its label.
    shown = ends + [value for value in inner if all(abs(height(value) - height(end)) > MIN_GAP for end in ends)]
    return Scale(name, tuple(map(height, values)), tuple((height(value), spell(value)) for value in shown))


def _short(text: str) -> str:
    """Shorten a long name in the middle: the ends of networks' names distinguish them."""
    half = MAX_LABEL // 2
    return text if len(text) <= MAX_LABEL else f"{text[:half]}…{text[1 - half :]}"


def _draw_scale(axes: Axes, x: int, scale: Scale) -> None:
    axes.plot([x, x], [0, 1], color=GREY, linewidth=1.2, zorder=2)
    axes.annotate(
        scale.name.replace("_", "_\n"),
        (x, 1),
        (-4, 8),
        textcoords="offset points",
        ha="left",
        va="bottom",
        color=INK,
        fontweight="bold",
        annotation_clip=False,
    )
    for height, text in scale.ticks:
        axes.plot([x - 0.03, x], [height, height], color=GREY, linewidth=1.2, zorder=2)
        axes.annotate(
            text,
            (x, height),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=QUIET,
            fontsize=10.5,
            zorder=3,
            bbox={"facecolor": PAGE, "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
