"""Draw a search's learning curves, best score so far, and accuracy over latency."""

from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tasks.judge.report.figures.curves import LOSS, TOP1, Quantity
from tasks.judge.report.figures.svg import BLUE, GREY, INK, LINE, ORANGE, PAGE, QUIET, Chart, new_drawing, page_style, svg
from tasks.judge.report.search_table import decisive, form_recipe, top1_of
from tasks.judge.search.scores import values_in_words
from tasks.store.records.search import Search
from tasks.store.records.training import Epoch
from tasks.wording import count, duration, percent

SIZE = (460, 300)
ROOM = 0.12
"""Margin beside the outermost points, as a share of the axis."""
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
    with page_style():
        figure = new_drawing(*SIZE)
        axes = figure.add_subplot()
        spoken = {f"curve-{number}": [_curve_in_words(number, lines[number], quantity, of_form)] for number in order}
        for number in order:
            _draw_curve(axes, lines[number], number, is_winner=number == search.winner, is_form=number == of_form, num_lines=len(lines))
        if search.winner in lines:
            axes.plot([], [], color=BLUE, linewidth=2.4, label=f"trial {search.winner}, the winner")
        if of_form in lines:
            axes.plot([], [], color=ORANGE, linewidth=2, linestyle="--", label="recipe of the form")
        axes.plot([], [], color=GREY, linewidth=1, label="other trials")
        last = max(x for line in lines.values() for x, _ in line)
        axes.set_xlim(1, last) if last > 1 else axes.set_xlim(0.5, 1.5)
        top = max(y for line in lines.values() for _, y in line)
        axes.set_ylim(0, min(1, 1.15 * top) if has_accuracy and top else 1.1 * top or 1)
        axes.set(xlabel="epoch", ylabel=f"{target} {quantity.label}" if has_accuracy else quantity.label)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
        _finish(axes, quantity)
        figure.legend(loc="outside upper left", ncols=3, borderpad=0, handlelength=2, columnspacing=1.2)
        words = "; ".join(one for (one,) in spoken.values())
        drawn = svg(figure, "search-curves", title, f"{title} by epoch: {words}.", spoken)
    return Chart(title, drawn, SIZE[0] + 100)


def history_chart(search: Search) -> Chart:
    """Draw each trial's score in order of number, and the best so far."""
    trials = sorted((one for one in search.trials if one.failure is None), key=lambda one: one.number)
    x, y = [one.number for one in trials], [top1_of(one, search) for one in trials]
    spoken = [f"trial {one.number}, round {one.round}: {percent(top1)}" for one, top1 in zip(trials, y, strict=True)]
    best = list(accumulate(y, max))
    with page_style():
        figure = new_drawing(*SIZE)
        axes = figure.add_subplot()
        axes.axhline(search.majority_top1, color=GREY, linewidth=1.2, linestyle=(0, (5, 4)), label="most frequent class")
        axes.step([*x, max(x) + 0.5], [*best, best[-1]], where="post", color=BLUE, linewidth=1.8, label="best so far", clip_on=False)
        axes.scatter(x, y, 22, color=QUIET, edgecolors=PAGE, linewidths=0.8, zorder=3, clip_on=False, gid="history", label="trials")
        for round_number in sorted({one.round for one in search.trials}):
            numbers = [one.number for one in search.trials if one.round == round_number]
            if min(numbers) > 0:
                axes.axvline(min(numbers) - 0.5, color=LINE, linewidth=1)
            axes.annotate(
                f"round {round_number}" if max(numbers) - min(numbers) > 0.14 * len(search.trials) else str(round_number),
                ((min(numbers) + max(numbers)) / 2, 1),
                (0, -3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="top",
                color=QUIET,
            )
        axes.set_xlim(-0.5, max(one.number for one in search.trials) + 0.5)
        axes.set_ylim(0, min(1.05, 1.4 * max(*y, search.majority_top1) or 1))
        axes.set(xlabel="trial; rounds at the top", ylabel=f"{decisive(search)} top-1, %")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
        _finish(axes, TOP1)
        figure.legend(loc="outside upper left", ncols=3, borderpad=0, handlelength=2, columnspacing=1.2)
        words = f"{'; '.join(spoken)}. The dashed line is always predicting the most frequent class: {percent(search.majority_top1)}."
        drawn = svg(figure, "search-history", "Best score over trials", words, {"history": spoken})
    return Chart("Best score over trials", drawn, SIZE[0] + 100)


def latency_chart(search: Search) -> Chart | None:
    """Draw accuracy over latency, with the Pareto front.

    None if latency was not measured.
    """
    trials = [(one, one.latency_seconds) for one in search.trials if one.failure is None and one.latency_seconds is not None]
    if not trials:
        return None
    spoken = [
        f"trial {one.number}: {percent(top1_of(one, search))}, {duration(latency)} per clip; {values_in_words(one.values)}"
        for one, latency in trials
    ]
    front = sorted(
        (latency, top1_of(one, search), one.number, words)
        for (one, latency), words in zip(trials, spoken, strict=True)
        if one.number in search.pareto
    )
    x = [latency for _, latency in trials]
    with page_style():
        figure = new_drawing(*SIZE)
        axes = figure.add_subplot()
        axes.scatter(
            x, [top1_of(one, search) for one, _ in trials], 26, color=GREY, edgecolors=PAGE, linewidths=0.8, clip_on=False, gid="latency"
        )
        axes.plot(
            [latency for latency, *_ in front],
            [top1 for _, top1, *_ in front],
            color=BLUE,
            linewidth=1.6,
            marker="o",
            markersize=6.5,
            markeredgecolor=PAGE,
            clip_on=False,
            gid="front",
        )
        top = min(1.05, 1.2 * max(top1_of(one, search) for one, _ in trials) or 1)
        above = top
        for latency, top1, number, _ in front[::-1]:
            if above - top1 > MIN_GAP * top:
                axes.annotate(str(number), (latency, top1), (-5, 5), textcoords="offset points", ha="right", color=INK, fontweight="bold")
                above = top1
        if min(x) > 0 and max(x) > 10 * min(x):
            axes.set_xscale("log")
        else:
            reach = (max(x) - min(x)) or max(x) or 1
            axes.set_xlim(max(0.0, min(x) - ROOM * reach), max(x) + ROOM * reach)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.set_ylim(0, top)
        axes.set(xlabel="seconds per clip, median", ylabel=f"{decisive(search)} top-1, %")
        _finish(axes, TOP1)
        words = f"{'; '.join(spoken)}. No trial beats these in both: {', '.join(str(number) for *_, number, _ in front)}."
        of_front = [words for *_, words in front]
        drawn = svg(figure, "search-latency", "Accuracy over latency", words, {"latency": spoken, "front": of_front})
    return Chart("Accuracy over latency", drawn, SIZE[0] + 100)


def _points(epochs: Sequence[Epoch], field: str) -> list[tuple[int, float]]:
    """List (epoch from 1, value) of the validated epochs."""
    return [(one.epoch + 1, value) for one in epochs if (value := getattr(one, field)) is not None]


def _draw_curve(axes: Axes, line: Sequence[tuple[int, float]], number: int, *, is_winner: bool, is_form: bool, num_lines: int) -> None:
    colour, width, dashes, alpha = GREY, 1.0, "-", 0.3 if num_lines > MANY else 0.5
    if is_winner:
        colour, width, alpha = BLUE, 2.4, 1.0
    elif is_form:
        colour, width, dashes, alpha = ORANGE, 2.0, "--", 1.0
    # A line of one epoch has no length.
    marker = "o" if len(line) == 1 else "none"
    axes.plot(*zip(*line, strict=True), color=colour, linewidth=width, linestyle=dashes, alpha=alpha, marker=marker, gid=f"curve-{number}")


def _curve_in_words(number: int, line: Sequence[tuple[int, float]], quantity: Quantity, of_form: int | None) -> str:
    name = "recipe of the form" if number == of_form else f"trial {number}"
    last, value = line[-1]
    return f"{name}: {quantity.spell(value)} after {count(last, 'epoch')}"


def _finish(axes: Axes, quantity: Quantity) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(quantity.formatter)
    axes.grid(axis="y", clip_on=False)
