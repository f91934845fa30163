"""Draw losses, accuracies and learning rate by epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, PercentFormatter

from tasks.judge.report.figures.svg import BLUE, INK, ORANGE, PAGE, PURPLE, Chart, Look, new_drawing, page_style, svg
from tasks.store.records.training import Epoch
from tasks.wording import crops_in_words, percent

SIZE = (380, 250)
LINE_LOOKS: tuple[Look, ...] = ((ORANGE, "s", "--"), (BLUE, "o", "-"), (PURPLE, "D", ":"))
Line = tuple[str, Sequence[tuple[int, float | None]]]
MAX_MARKS = 20


@dataclass(frozen=True)
class Quantity:
    """The format of a y axis.

    Label, tick formatter, value as text, and upper limit if fixed.
    """

    label: str
    formatter: Formatter
    spell: Callable[[float], str]
    top: float | None = None


LOSS = Quantity("loss, nats", FuncFormatter(lambda value, _: f"{value:g}"), lambda value: f"{value:.3f}")
TOP1 = Quantity("top-1, %", PercentFormatter(1, symbol=None), percent, top=1)
RATE = Quantity("learning rate", FuncFormatter(lambda value, _: f"{value:g}"), lambda value: f"{value:.3g}")


def training_charts(epochs: Sequence[Epoch], best_epoch: int, crops: int) -> tuple[Chart, ...]:
    """Draw the charts of a training: losses, accuracies and learning rate.

    Validation accuracies if recorded, the rate if it varies; no charts without epochs. The page counts epochs from 1, as the log does.
    `crops` is the number of crops per clip in validation.
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
    with page_style():
        figure = new_drawing(*SIZE)
        axes = figure.add_subplot()
        for (name, line), look in zip(lines, LINE_LOOKS, strict=False):
            known = [(x, y) for x, y in line if y is not None]
            if known:
                gid = f"marks-{name}"
                every = _draw_line(axes, known, name, look, gid)
                spoken[gid] = [f"{name}, epoch {x}: {quantity.spell(y)}" for x, y in known[::every]]
        axes.set_xlim(*((first, last) if last > first else (first - 0.5, first + 0.5)))
        axes.set_ylim(0, quantity.top or 1.1 * top or 1)
        axes.set(xlabel="epoch", ylabel=quantity.label)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(quantity.formatter)
        axes.grid(axis="y", clip_on=False)
        if first <= best <= last:
            mark_epoch(axes, best, f"kept: {best}", on_right=best > (first + last) / 2)
        figure.legend(loc="outside upper left", ncols=3, borderpad=0, handlelength=2.4)
        ends = "; ".join(f"{name.removeprefix('marks-')} ends at {marks[-1].rsplit(': ', 1)[1]}" for name, marks in spoken.items())
        drawn = svg(figure, key, title, f"By epoch, {first} to {last}: {ends}. The kept epoch is {best}.", spoken)
    return Chart(title, drawn, SIZE[0] + 100)


def _draw_line(axes: Axes, known: Sequence[tuple[int, float]], name: str, look: Look, gid: str) -> int:
    """Draw the line and return its marker interval in points."""
    every = 1 + len(known) // MAX_MARKS
    colour, marker, dashes = look
    axes.plot(
        [x for x, _ in known],
        [y for _, y in known],
        label=name,
        color=colour,
        linestyle=dashes,
        linewidth=1.8,
        marker=marker,
        markersize=5.5,
        markeredgecolor=PAGE,
        markevery=every,
        clip_on=False,
        gid=gid,
    )
    return every


def mark_epoch(axes: Axes, epoch: int, text: str, *, on_right: bool) -> None:
    """Draw a line at an epoch, with its label at the top, on the side with more room."""
    axes.axvline(epoch, color=INK, linewidth=1, linestyle=(0, (2, 3)), clip_on=False)
    axes.annotate(
        text,
        (epoch, 1),
        (-5 if on_right else 5, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if on_right else "left",
        va="top",
    )
