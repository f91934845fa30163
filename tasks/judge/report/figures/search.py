"""Draw the trials of a search: curves, history and latency.

Legend: k trials.
"""

from collections.abc import Sequence
from itertools import accumulate

from tasks.judge.report.figures import drawing
from tasks.judge.report.figures.drawing import Chart, Style
from tasks.judge.report.figures.run import LOSS, TOP1, Quantity
from tasks.judge.search.trials import deciding_top1, decisive, form_recipe, values_in_words
from tasks.store.records.search import Search
from tasks.store.records.training import Epoch
from tasks.wording import count, duration, percent

SIZE = (460, 300)

MIN_GAP = 0.05
"""Minimum distance between two numbers, as a share of the axis."""

MANY = 60
"""Number of curves from which each is drawn fainter."""


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
