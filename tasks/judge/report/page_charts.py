"""Draw the charts of pages: training by epoch, calibration, and the trials of a search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MultipleLocator

from tasks.judge.gate.verdict import deciding_results
from tasks.judge.report import style
from tasks.judge.report.style import Chart, Look, Style
from tasks.judge.search.results import deciding_top1, decisive, form_recipe, values_in_words
from tasks.store.records.metrics import Calibration, Metrics
from tasks.store.records.record import IN_TABLES, MODELS, TARGETS, ModelRole, Target
from tasks.store.records.search import Search
from tasks.store.records.training import Epoch
from tasks.wording import count, crops_in_words, duration, percent

SIZE = (380, 250)
LINE_LOOKS: tuple[Look, ...] = ((style.ORANGE, "s", "--"), (style.BLUE, "o", "-"), (style.PURPLE, "D", ":"))
Line = tuple[str, Sequence[tuple[int, float | None]]]
MAX_MARKS = 20
RELIABILITY_SIZE = (330, 350)
LOOKS: dict[ModelRole, Look] = {
    "baseline": (style.GREY, "s", ":"),
    "previous": (style.PURPLE, "v", ":"),
    "champion": (style.ORANGE, "^", "--"),
    "fine-tuned": (style.BLUE, "o", "-"),
}
MIN_MARK_AREA, MAX_MARK_AREA = 14.0, 200.0
NUMBER, WHOLE = (FuncFormatter(lambda value, _, shape=shape: format(value, shape)) for shape in ("g", ",.0f"))
SEARCH_SIZE = (460, 300)
MIN_GAP = 0.05
"""Minimum distance between two numbers, as a share of the axis."""
MANY = 60
"""Number of curves from which each is drawn fainter."""


@dataclass(frozen=True)
class Quantity:
    """A y axis: its label, tick formatter, value as text, and upper limit if fixed."""

    label: str
    formatter: Formatter
    spell: Callable[[float], str]
    top: float | None = None


LOSS = Quantity("loss, nats", NUMBER, lambda value: f"{value:.3f}")
TOP1 = Quantity("top-1, %", style.PERCENT, percent, top=1)
RATE = Quantity("learning rate", NUMBER, lambda value: f"{value:.3g}")


def training_charts(epochs: Sequence[Epoch], best_epoch: int, crops: int) -> tuple[Chart, ...]:
    """Draw a training's losses, accuracies if recorded, and the learning rate if it varies.

    The page counts epochs from 1, as the log does. `crops` is the number of crops per clip in validation.
    """
    if not epochs:
        return ()
    losses: list[Line] = [
        ("training", [(e.epoch + 1, e.train_loss) for e in epochs]),
        ("validation", [(e.epoch + 1, e.val_loss) for e in epochs]),
    ]
    accuracies: list[Line] = [(f"{t}s", [(e.epoch + 1, getattr(e, f"val_{t}_top1")) for e in epochs]) for t in ("verb", "noun", "action")]
    charts = [_by_epoch("training-losses", "Loss", losses, best_epoch + 1, LOSS)]
    if any(value is not None for _, line in accuracies for _, value in line):
        charts.append(_by_epoch("training-top1", f"Validation top-1, {crops_in_words(crops)}", accuracies, best_epoch + 1, TOP1))
    if len({e.learning_rate for e in epochs}) > 1:
        rates: list[Line] = [("heads", [(e.epoch + 1, e.learning_rate) for e in epochs])]
        charts.append(_by_epoch("training-rate", "Learning rate", rates, best_epoch + 1, RATE))
    return tuple(charts)


def _by_epoch(key: str, title: str, lines: Sequence[Line], best: int, quantity: Quantity) -> Chart:
    first, last = min(x for _, line in lines for x, _ in line), max(x for _, line in lines for x, _ in line)
    top = max(value for _, line in lines for _, value in line if value is not None)
    spoken: dict[str, list[str]] = {}
    ends = []
    with style.axes_of(SIZE) as (figure, axes):
        for (name, line), (colour, marker, dashes) in zip(lines, LINE_LOOKS, strict=False):
            known = [(x, y) for x, y in line if y is not None]
            if known:
                every, gid = 1 + len(known) // MAX_MARKS, f"marks-{name}"
                looks: Style = {
                    "color": colour,
                    "linestyle": dashes,
                    "linewidth": 1.8,
                    "marker": marker,
                    "markersize": 5.5,
                    "markeredgecolor": style.PAGE,
                }
                axes.plot(*zip(*known, strict=True), label=name, markevery=every, clip_on=False, gid=gid, **looks)
                spoken[gid] = [f"{name}, epoch {x}: {quantity.spell(y)}" for x, y in known[::every]]
                ends.append(f"{name} ends at {quantity.spell(known[-1][1])}")
        axes.set_xlim(*((first, last) if last > first else (first - 0.5, first + 0.5)))
        axes.set_ylim(0, quantity.top or 1.1 * top or 1)
        axes.set(xlabel="epoch", ylabel=quantity.label)
        style.whole_ticks(axes.xaxis)
        style.value_axis(axes, quantity.formatter)
        if first <= best <= last:
            mark_epoch(axes, best, f"kept: {best}", on_right=best > (first + last) / 2, at_bottom=quantity.top is not None)
        style.add_legend(figure)
        words = f"By epoch, {first} to {last}: {'; '.join(ends)}. The kept epoch is {best}."
        return style.chart(figure, SIZE[0] + 100, key, title, words, spoken)


def mark_epoch(axes: Axes, epoch: int, text: str, *, on_right: bool, at_bottom: bool = False) -> None:
    """Draw a line at an epoch, with its label, at the bottom under rising scores."""
    axes.axvline(epoch, color=style.INK, linewidth=1, linestyle=style.SHORT_DASHES, clip_on=False)
    offset, side = (-5, "right") if on_right else (5, "left")
    y, rise, end = (0, 3, "bottom") if at_bottom else (1, -2, "top")
    axes.annotate(text, (epoch, y), (offset, rise), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, va=end)


def reliability_charts(metrics: Metrics) -> tuple[Chart, ...]:
    """Draw a chart per target, of every network on the deciding split that has bins."""
    charts = []
    scored = {result.model for result in deciding_results(metrics)}
    for target in TARGETS:
        lines = [
            (role, c)
            for role in MODELS
            for c in metrics.calibration
            if (c.model, c.split, c.target) == (role, metrics.deciding_split, target) and role in scored and c.bins
        ]
        if lines:
            charts.append(reliability_chart(target, lines))
    return tuple(charts)


def reliability_chart(target: Target, calibrations: Sequence[tuple[ModelRole, Calibration]]) -> Chart:
    """Draw accuracy over confidence, one marker per bin.

    A marker's area is proportional to the bin's clips; the diagonal is perfect calibration.
    """
    most = max((b.num_clips for _, c in calibrations for b in c.bins), default=1) or 1
    spoken: dict[str, list[str]] = {}
    with style.axes_of(RELIABILITY_SIZE) as (figure, axes):
        handles = axes.plot(
            [0, 1], [0, 1], color=style.GREY, linewidth=1.2, linestyle=style.LONG_DASHES, label="perfectly calibrated", clip_on=False
        )
        for role, calibration in calibrations:
            colour, marker, dashes = LOOKS[role]
            filled = [b for b in calibration.bins if b.num_clips]
            x, y = [b.mean_confidence for b in filled], [b.accuracy for b in filled]
            axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.6, clip_on=False)
            areas = [max(MIN_MARK_AREA, MAX_MARK_AREA * b.num_clips / most) for b in filled]
            gid = f"bins-{role}"
            axes.scatter(x, y, areas, color=colour, marker=marker, edgecolors=style.PAGE, linewidths=1, clip_on=False, zorder=3, gid=gid)
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, linewidth=1.6, label=IN_TABLES[role]))
            spoken[gid] = [
                f"{IN_TABLES[role]}: {count(b.num_clips, 'clip')}, mean confidence {percent(b.mean_confidence)}, accuracy {percent(b.accuracy)}"
                for b in filled
            ]
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence, %", ylabel="accuracy, %")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MultipleLocator(0.25))
            axis.set_major_formatter(style.PERCENT)
        axes.grid(axis="y", clip_on=False)
        style.add_legend(figure, ncols=2, handles=handles)
        words = "; ".join(mark for marks in spoken.values() for mark in marks) or "no clips"
        key = f"reliability-{target}"
        return style.chart(figure, RELIABILITY_SIZE[0] + 50, key, f"{target}s", f"Accuracy over confidence. {words}.", spoken)


def curves_chart(search: Search) -> Chart | None:
    """Draw validation top-1 of all trials by epoch, else the loss; None without epochs."""
    target = decisive(search)
    accuracies = {number: _validated(epochs, f"val_{target}_top1") for number, epochs in search.curves.items()}
    has_accuracy = any(accuracies.values())
    quantity = TOP1 if has_accuracy else LOSS
    lines = accuracies if has_accuracy else {number: _validated(epochs, "val_loss") for number, epochs in search.curves.items()}
    lines = {number: line for number, line in lines.items() if line}
    if not lines:
        return None
    title = f"Validation {target} top-1" if has_accuracy else "Validation loss"
    own = form_recipe(search)
    of_form = own.number if own else None
    # The winner is drawn last, over the others.
    order = sorted(lines, key=lambda number: (number == search.winner, number == of_form, number))
    looks: dict[int | None, Style] = {
        of_form: {"color": style.ORANGE, "linewidth": 2.0, "linestyle": "--", "alpha": 1.0},
        search.winner: {"color": style.BLUE, "linewidth": 2.4, "linestyle": "-", "alpha": 1.0},
    }
    others: Style = {"color": style.GREY, "linewidth": 1.0, "linestyle": "-", "alpha": 0.3 if len(lines) > MANY else 0.5}
    with style.axes_of(SEARCH_SIZE) as (figure, axes):
        names = {number: "recipe of the form" if number == of_form else f"trial {number}" for number in order}
        ends = {number: lines[number][-1] for number in order}
        spoken = {f"curve-{i}": [f"{name}: {quantity.spell(ends[i][1])} after {count(ends[i][0], 'epoch')}"] for i, name in names.items()}
        for number in order:
            # A line of one epoch has no length.
            marker = "o" if len(lines[number]) == 1 else "none"
            axes.plot(*zip(*lines[number], strict=True), marker=marker, gid=f"curve-{number}", **looks.get(number, others))
        if search.winner in lines:
            axes.plot([], [], color=style.BLUE, linewidth=2.4, label=f"trial {search.winner}, the winner")
        if of_form in lines:
            axes.plot([], [], color=style.ORANGE, linewidth=2, linestyle="--", label="recipe of the form")
        axes.plot([], [], color=style.GREY, linewidth=1, label="other trials")
        last = max(x for line in lines.values() for x, _ in line)
        axes.set_xlim(*((1, last) if last > 1 else (0.5, 1.5)))
        top = max(y for line in lines.values() for _, y in line)
        axes.set_ylim(0, min(1, 1.15 * top) if has_accuracy and top else 1.1 * top or 1)
        axes.set(xlabel="epoch", ylabel=f"{target} {quantity.label}" if has_accuracy else quantity.label)
        style.whole_ticks(axes.xaxis)
        style.value_axis(axes, quantity.formatter)
        style.add_legend(figure, handlelength=2, columnspacing=1.2)
        words = "; ".join(sentence for (sentence,) in spoken.values())
        return style.chart(figure, SEARCH_SIZE[0] + 100, "search-curves", title, f"{title} by epoch: {words}.", spoken)


def history_chart(search: Search) -> Chart:
    """Draw each trial's score in order of number, and the best so far."""
    trials = sorted((trial for trial in search.trials if trial.failure is None), key=lambda trial: trial.number)
    x, y = [trial.number for trial in trials], [deciding_top1(trial, search) for trial in trials]
    spoken = [f"trial {trial.number}, round {trial.round}: {percent(top1)}" for trial, top1 in zip(trials, y, strict=True)]
    best = list(accumulate(y, max))
    with style.axes_of(SEARCH_SIZE) as (figure, axes):
        style.add_majority(axes, search.majority_top1, "most frequent class")
        axes.step([*x, max(x) + 0.5], [*best, best[-1]], where="post", color=style.BLUE, linewidth=1.8, label="best so far", clip_on=False)
        axes.scatter(
            x, y, 22, color=style.QUIET, edgecolors=style.PAGE, linewidths=0.8, zorder=3, clip_on=False, gid="history", label="trials"
        )
        for number in sorted({trial.round for trial in search.trials}):
            numbers = [trial.number for trial in search.trials if trial.round == number]
            first, last = min(numbers), max(numbers)
            if first > 0:
                axes.axvline(first - 0.5, color=style.LINE, linewidth=1)
            name = f"round {number}" if last - first > 0.14 * len(search.trials) else str(number)
            place: Style = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center", "va": "top"}
            axes.annotate(name, ((first + last) / 2, 1), (0, -3), color=style.QUIET, **place)
        axes.set_xlim(-0.5, max(trial.number for trial in search.trials) + 0.5)
        axes.set_ylim(0, min(1.05, 1.4 * max(*y, search.majority_top1) or 1))
        axes.set(xlabel="trial; rounds at the top", ylabel=f"{decisive(search)} top-1, %")
        style.whole_ticks(axes.xaxis, 8)
        style.value_axis(axes)
        style.add_legend(figure, handlelength=2, columnspacing=1.2)
        words = f"{'; '.join(spoken)}. The dashed line is always predicting the most frequent class: {percent(search.majority_top1)}."
        return style.chart(figure, SEARCH_SIZE[0] + 100, "search-history", "Best score over trials", words, {"history": spoken})


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
    with style.axes_of(SEARCH_SIZE) as (figure, axes):
        axes.scatter(x, y, 26, color=style.GREY, edgecolors=style.PAGE, linewidths=0.8, clip_on=False, gid="latency")
        dots: Style = {"marker": "o", "markersize": 6.5, "markeredgecolor": style.PAGE}
        ends = [latency for latency, *_ in front], [top1 for _, top1, *_ in front]
        axes.plot(*ends, color=style.BLUE, linewidth=1.6, clip_on=False, gid="front", **dots)
        above = top = min(1.05, 1.2 * max(y) or 1)
        for latency, top1, number, _ in front[::-1]:
            if above - top1 > MIN_GAP * top:
                axes.annotate(
                    str(number), (latency, top1), (-5, 5), textcoords="offset points", ha="right", color=style.INK, fontweight="bold"
                )
                above = top1
        if min(x) > 0 and max(x) > 10 * min(x):
            axes.set_xscale("log")
        else:
            style.leave_room(axes, x)
        axes.set(ylim=(0, top), xlabel="seconds per clip, median", ylabel=f"{decisive(search)} top-1, %")
        style.value_axis(axes)
        words = f"{'; '.join(spoken)}. No trial beats these in both: {', '.join(str(number) for *_, number, _ in front)}."
        titles = {"latency": spoken, "front": [words for *_, words in front]}
        return style.chart(figure, SEARCH_SIZE[0] + 100, "search-latency", "Accuracy over latency", words, titles)


def _validated(epochs: Sequence[Epoch], field: str) -> list[tuple[int, float]]:
    """List (epoch from 1, value) of the validated epochs."""
    return [(epoch.epoch + 1, value) for epoch in epochs if (value := getattr(epoch, field)) is not None]
