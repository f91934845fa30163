"""Draw the trials of a search: curves, history, latency and recipes.

Legend: k trials.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from tasks.judge.report.figures import drawing
from tasks.judge.report.figures.drawing import Chart, Style
from tasks.judge.report.figures.training import LOSS, TOP1, Quantity
from tasks.judge.search.trials import deciding_top1, decisive, form_recipe, range_of, searched, spelled, values_in_words
from tasks.store.records.search import ScoredTrial, Search, Value
from tasks.store.records.training import Epoch
from tasks.wording import count, duration, percent

SIZE = (460, 300)

MIN_GAP = 0.05
"""Minimum distance between two numbers, as a share of the axis."""

MANY = 60
"""Number of curves from which each is drawn fainter."""

AXIS_WIDTH, HEIGHT = 112, 330
MAX_LABEL = 14

MIN_LABEL_GAP = 0.08
"""Minimum distance between two labels, as a share of an axis."""

ABOVE_ZERO = 0.12
"""Height of the smallest positive value on a logarithmic axis that also has 0."""

NUM_STRENGTHS = 9
"""`drawing.svg` rounds to one decimal, so opacity has the steps 0.1 to 0.9."""


@dataclass(frozen=True)
class Scale:
    """One vertical axis: each trial's height from 0 to 1, and labels as (height, text)."""

    name: str
    heights: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def curves_chart(search: Search) -> Chart | None:
    """Draw validation top-1 of all trials over their epochs.

    Draws the loss if no accuracy was recorded; None without epochs.
    """
    target = decisive(search)
    accuracies = {number: _points(epochs, f"val_{target}_top1") for number, epochs in search.curves.items()}
    has_accuracy = any(accuracies.values())
    quantity = TOP1 if has_accuracy else LOSS
    lines = accuracies if has_accuracy else {number: _points(epochs, "val_loss") for number, epochs in search.curves.items()}
    lines = {number: line for number, line in lines.items() if line}
    if not lines:
        return None
    title = f"Validation {target} top-1" if has_accuracy else "Validation loss"
    own = form_recipe(search)
    of_form = own.number if own else None
    # The winner is drawn last, over the others.
    order = sorted(lines, key=lambda number: (number == search.winner, number == of_form, number))
    looks: dict[int | None, Style] = {
        of_form: {"color": drawing.ORANGE, "linewidth": 2.0, "linestyle": "--", "alpha": 1.0},
        search.winner: {"color": drawing.BLUE, "linewidth": 2.4, "linestyle": "-", "alpha": 1.0},
    }
    others: Style = {"color": drawing.GREY, "linewidth": 1.0, "linestyle": "-", "alpha": 0.3 if len(lines) > MANY else 0.5}
    with drawing.axes_of(SIZE) as (figure, axes):
        spoken = {f"curve-{number}": [_curve_in_words(number, lines[number], quantity, of_form)] for number in order}
        for number in order:
            # A line of one epoch has no length.
            marker = "o" if len(lines[number]) == 1 else "none"
            axes.plot(*zip(*lines[number], strict=True), marker=marker, gid=f"curve-{number}", **looks.get(number, others))
        if search.winner in lines:
            axes.plot([], [], color=drawing.BLUE, linewidth=2.4, label=f"trial {search.winner}, the winner")
        if of_form in lines:
            axes.plot([], [], color=drawing.ORANGE, linewidth=2, linestyle="--", label="recipe of the form")
        axes.plot([], [], color=drawing.GREY, linewidth=1, label="other trials")
        last = max(x for line in lines.values() for x, _ in line)
        axes.set_xlim(*((1, last) if last > 1 else (0.5, 1.5)))
        top = max(y for line in lines.values() for _, y in line)
        axes.set_ylim(0, min(1, 1.15 * top) if has_accuracy and top else 1.1 * top or 1)
        axes.set(xlabel="epoch", ylabel=f"{target} {quantity.label}" if has_accuracy else quantity.label)
        drawing.whole_ticks(axes.xaxis)
        drawing.value_axis(axes, quantity.formatter)
        drawing.add_legend(figure, handlelength=2, columnspacing=1.2)
        words = "; ".join(sentence for (sentence,) in spoken.values())
        drawn = drawing.svg(figure, "search-curves", title, f"{title} by epoch: {words}.", spoken)
    return Chart(title, drawn, SIZE[0] + 100)


def history_chart(search: Search) -> Chart:
    """Draw each trial's score in order of number, and the best so far."""
    trials = sorted((trial for trial in search.trials if trial.failure is None), key=lambda trial: trial.number)
    x, y = [trial.number for trial in trials], [deciding_top1(trial, search) for trial in trials]
    spoken = [f"trial {trial.number}, round {trial.round}: {percent(top1)}" for trial, top1 in zip(trials, y, strict=True)]
    best = list(accumulate(y, max))
    with drawing.axes_of(SIZE) as (figure, axes):
        drawing.add_majority(axes, search.majority_top1, "most frequent class")
        axes.step(
            [*x, max(x) + 0.5], [*best, best[-1]], where="post", color=drawing.BLUE, linewidth=1.8, label="best so far", clip_on=False
        )
        axes.scatter(
            x, y, 22, color=drawing.QUIET, edgecolors=drawing.PAGE, linewidths=0.8, zorder=3, clip_on=False, gid="history", label="trials"
        )
        for number in sorted({trial.round for trial in search.trials}):
            numbers = [trial.number for trial in search.trials if trial.round == number]
            first, last = min(numbers), max(numbers)
            if first > 0:
                axes.axvline(first - 0.5, color=drawing.LINE, linewidth=1)
            name = f"round {number}" if last - first > 0.14 * len(search.trials) else str(number)
            place: Style = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center", "va": "top"}
            axes.annotate(name, ((first + last) / 2, 1), (0, -3), color=drawing.QUIET, **place)
        axes.set_xlim(-0.5, max(trial.number for trial in search.trials) + 0.5)
        axes.set_ylim(0, min(1.05, 1.4 * max(*y, search.majority_top1) or 1))
        axes.set(xlabel="trial; rounds at the top", ylabel=f"{decisive(search)} top-1, %")
        drawing.whole_ticks(axes.xaxis, 8)
        drawing.value_axis(axes)
        drawing.add_legend(figure, handlelength=2, columnspacing=1.2)
        words = f"{'; '.join(spoken)}. The dashed line is always predicting the most frequent class: {percent(search.majority_top1)}."
        drawn = drawing.svg(figure, "search-history", "Best score over trials", words, {"history": spoken})
    return Chart("Best score over trials", drawn, SIZE[0] + 100)


def latency_chart(search: Search) -> Chart | None:
    """Draw accuracy over latency with the Pareto front; None if latency was not measured."""
    measured = [
        (trial.latency_seconds, deciding_top1(trial, search), trial)
        for trial in search.trials
        if trial.failure is None and trial.latency_seconds is not None
    ]
    if not measured:
        return None
    spoken = [
        f"trial {trial.number}: {percent(top1)}, {duration(latency)} per clip; {values_in_words(trial.values)}"
        for latency, top1, trial in measured
    ]
    front = sorted(
        (latency, top1, trial.number, words)
        for (latency, top1, trial), words in zip(measured, spoken, strict=True)
        if trial.number in search.pareto
    )
    x, y = [latency for latency, *_ in measured], [top1 for _, top1, _ in measured]
    with drawing.axes_of(SIZE) as (figure, axes):
        axes.scatter(x, y, 26, color=drawing.GREY, edgecolors=drawing.PAGE, linewidths=0.8, clip_on=False, gid="latency")
        dots: Style = {"marker": "o", "markersize": 6.5, "markeredgecolor": drawing.PAGE}
        ends = [latency for latency, *_ in front], [top1 for _, top1, *_ in front]
        axes.plot(*ends, color=drawing.BLUE, linewidth=1.6, clip_on=False, gid="front", **dots)
        above = top = min(1.05, 1.2 * max(y) or 1)
        for latency, top1, number, _ in front[::-1]:
            if above - top1 > MIN_GAP * top:
                axes.annotate(
                    str(number), (latency, top1), (-5, 5), textcoords="offset points", ha="right", color=drawing.INK, fontweight="bold"
                )
                above = top1
        if min(x) > 0 and max(x) > 10 * min(x):
            axes.set_xscale("log")
        else:
            drawing.leave_room(axes, x)
        axes.set(ylim=(0, top), xlabel="seconds per clip, median", ylabel=f"{decisive(search)} top-1, %")
        drawing.value_axis(axes)
        words = f"{'; '.join(spoken)}. No trial beats these in both: {', '.join(str(number) for *_, number, _ in front)}."
        titles = {"latency": spoken, "front": [words for *_, words in front]}
        drawn = drawing.svg(figure, "search-latency", "Accuracy over latency", words, titles)
    return Chart("Accuracy over latency", drawn, SIZE[0] + 100)


def _points(epochs: Sequence[Epoch], field: str) -> list[tuple[int, float]]:
    """List (epoch from 1, value) of the validated epochs."""
    return [(epoch.epoch + 1, value) for epoch in epochs if (value := getattr(epoch, field)) is not None]


def _curve_in_words(number: int, line: Sequence[tuple[int, float]], quantity: Quantity, of_form: int | None) -> str:
    name = "recipe of the form" if number == of_form else f"trial {number}"
    last, value = line[-1]
    return f"{name}: {quantity.spell(value)} after {count(last, 'epoch')}"


def recipes_chart(search: Search) -> Chart | None:
    """Draw the chart; None with fewer than two trials that have a score."""
    trials = sorted(
        (trial for trial in search.trials if trial.failure is None),
        key=lambda trial: (trial.number == search.winner, deciding_top1(trial, search)),
    )
    if len(trials) < 2:
        return None
    scales = [_scale(name, [trial.values[name] for trial in trials], range_of(name, search)) for name in searched(search)]
    scores = [deciding_top1(trial, search) for trial in trials]
    scales.append(_numbers(f"{decisive(search)} top-1", scores, spell=percent))
    spoken = [f"trial {trial.number}: {percent(top1)}; {values_in_words(trial.values)}" for trial, top1 in zip(trials, scores, strict=True)]
    with drawing.axes_of((AXIS_WIDTH * len(scales), HEIGHT)) as (figure, axes):
        axes.set_axis_off()
        for x, scale in enumerate(scales):
            _draw_scale(axes, x, scale)
        paths = [[(x, scale.heights[i]) for x, scale in enumerate(scales)] for i in range(len(trials))]
        colours = [drawing.ORANGE if trial.number == search.winner else drawing.BLUE for trial in trials]
        widths = [2.6 if trial.number == search.winner else 1.4 for trial in trials]
        axes.add_collection(
            LineCollection(paths, colors=colours, linewidths=widths, alpha=_strengths(trials, search), gid="recipes", zorder=1)
        )
        axes.set_xlim(-0.12, len(scales) - 0.45)
        axes.set_ylim(-0.04, 1.16)
        words = f"Orange: the winner; the stronger the blue, the higher the score. {'; '.join(reversed(spoken))}."
        drawn = drawing.svg(figure, "search-recipes", "Recipes of all trials", words, {"recipes": spoken})
    return Chart("Recipes of all trials", drawn, AXIS_WIDTH * len(scales))


def _strengths(trials: Sequence[ScoredTrial], search: Search) -> list[float]:
    """Compute each line's opacity, from the lowest score to the winner; of many, few are opaque."""
    power = 2 if len(trials) <= MANY else 6
    shares = [(i / (len(trials) - 1)) ** power for i in range(len(trials))]
    return [
        1.0 if trial.number == search.winner else (1 + round((NUM_STRENGTHS - 1) * share)) / 10
        for trial, share in zip(trials, shares, strict=True)
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
    """Place values on a logarithmic axis, with 0, such as the form's weight decay, at its foot."""
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
    shown = ends + [value for value in inner if all(abs(height(value) - height(end)) > MIN_LABEL_GAP for end in ends)]
    return Scale(name, tuple(map(height, values)), tuple((height(value), spell(value)) for value in shown))


def _short(text: str) -> str:
    """Shorten a long name in the middle: the ends of networks' names distinguish them."""
    half = MAX_LABEL // 2
    return text if len(text) <= MAX_LABEL else f"{text[:half]}…{text[1 - half :]}"


def _draw_scale(axes: Axes, x: int, scale: Scale) -> None:
    axes.plot([x, x], [0, 1], color=drawing.GREY, linewidth=1.2, zorder=2)
    place: Style = {"textcoords": "offset points", "ha": "left", "va": "bottom", "annotation_clip": False}
    axes.annotate(scale.name.replace("_", "_\n"), (x, 1), (-4, 8), color=drawing.INK, fontweight="bold", **place)
    behind = {"facecolor": drawing.PAGE, "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for height, text in scale.ticks:
        axes.plot([x - 0.03, x], [height, height], color=drawing.GREY, linewidth=1.2, zorder=2)
        look: Style = {"color": drawing.QUIET, "fontsize": 10.5, "zorder": 3, "bbox": behind}
        axes.annotate(text, (x, height), (4, 0), textcoords="offset points", va="center", **look)
