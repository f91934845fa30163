"""Draw training curves and reliability diagrams as inline SVG in the page's colours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, MultipleLocator, PercentFormatter

from tasks.report.drawing import BLUE, GREY, INK, ORANGE, PAGE, PURPLE, new_drawing, page_style, svg
from tasks.results.metrics import Calibration
from tasks.results.record import ModelRole, Target
from tasks.results.training import Epoch
from tasks.wording import count, crops_in_words, percent

EPOCHS_SIZE, RELIABILITY_SIZE = (380, 250), (330, 350)
# Colour, marker and dashes of each line, so that colour-blind readers can tell lines apart.
Look = tuple[str, str, Literal["-", "--", ":"]]
LINE_LOOKS: tuple[Look, ...] = ((ORANGE, "s", "--"), (BLUE, "o", "-"), (PURPLE, "D", ":"))
NETWORK_LOOKS: dict[ModelRole, Look] = {"baseline": (GREY, "s", ":"), "champion": (ORANGE, "^", "--"), "fine-tuned": (BLUE, "o", "-")}
Line = tuple[str, Sequence[tuple[int, float | None]]]
MAX_MARKS = 20
MIN_MARK_AREA, MAX_MARK_AREA = 14.0, 200.0


@dataclass(frozen=True)
class Chart:
    """An `<svg>` element, at most `width` pixels wide."""

    title: str
    svg: str
    width: int


@dataclass(frozen=True)
class Quantity:
    """The format of a y axis: label, tick formatter, value as text, and upper limit if fixed."""

    label: str
    formatter: Formatter
    spell: Callable[[float], str]
    top: float | None = None


LOSS = Quantity("loss, nats", FuncFormatter(lambda value, _: f"{value:g}"), lambda value: f"{value:.3f}")
TOP1 = Quantity("top-1, %", PercentFormatter(1, symbol=None), percent, top=1)
RATE = Quantity("learning rate", FuncFormatter(lambda value, _: f"{value:g}"), lambda value: f"{value:.3g}")


def training_charts(epochs: Sequence[Epoch], best_epoch: int, crops: int) -> tuple[Chart, ...]:
    """Draw losses, validation accuracies if recorded, and the learning rate if it varies; no charts without epochs.

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


def reliability_chart(target: Target, calibrations: Sequence[tuple[ModelRole, Calibration]]) -> Chart:
    """Draw accuracy over confidence, one marker per bin with area proportional to its clips; the diagonal is perfect calibration."""
    title = f"{target}s"
    most = max((b.num_clips for _, c in calibrations for b in c.bins), default=1) or 1
    spoken: dict[str, list[str]] = {}
    with page_style():
        figure = new_drawing(*RELIABILITY_SIZE)
        axes = figure.add_subplot()
        (diagonal,) = axes.plot(
            [0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle=(0, (5, 4)), label="perfectly calibrated", clip_on=False
        )
        handles = [diagonal]
        for role, calibration in calibrations:
            colour, marker, dashes = NETWORK_LOOKS[role]
            filled = [b for b in calibration.bins if b.num_clips]
            x, y = [b.mean_confidence for b in filled], [b.accuracy for b in filled]
            axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.6, clip_on=False)
            areas = [max(MIN_MARK_AREA, MAX_MARK_AREA * b.num_clips / most) for b in filled]
            gid = f"bins-{role}"
            axes.scatter(x, y, areas, color=colour, marker=marker, edgecolors=PAGE, linewidths=1, clip_on=False, zorder=3, gid=gid)
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, linewidth=1.6, label=role))
            spoken[gid] = [
                f"{role}: {count(b.num_clips, 'clip')}, mean confidence {percent(b.mean_confidence)}, accuracy {percent(b.accuracy)}"
                for b in filled
            ]
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence, %", ylabel="accuracy, %")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MultipleLocator(0.25))
            axis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.grid(axis="y", clip_on=False)
        figure.legend(handles=handles, loc="outside upper left", ncols=2, borderpad=0, handlelength=2.4)
        words = "; ".join(mark for marks in spoken.values() for mark in marks) or "no clips"
        drawn = svg(figure, f"reliability-{target}", title, f"Accuracy over confidence. {words}.", spoken)
    return Chart(title, drawn, RELIABILITY_SIZE[0] + 50)


def _by_epoch(key: str, title: str, lines: Sequence[Line], best: int, quantity: Quantity) -> Chart:
    first, last = min(x for _, line in lines for x, _ in line), max(x for _, line in lines for x, _ in line)
    top = max(value for _, line in lines for _, value in line if value is not None)
    spoken: dict[str, list[str]] = {}
    with page_style():
        figure = new_drawing(*EPOCHS_SIZE)
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
            _mark_kept(axes, best, on_right=best > (first + last) / 2)
        figure.legend(loc="outside upper left", ncols=3, borderpad=0, handlelength=2.4)
        ends = "; ".join(f"{name.removeprefix('marks-')} ends at {marks[-1].rsplit(': ', 1)[1]}" for name, marks in spoken.items())
        drawn = svg(figure, key, title, f"By epoch, {first} to {last}: {ends}. The kept epoch is {best}.", spoken)
    return Chart(title, drawn, EPOCHS_SIZE[0] + 100)


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


def _mark_kept(axes: Axes, best: int, *, on_right: bool) -> None:
    axes.axvline(best, color=INK, linewidth=1, linestyle=(0, (2, 3)), clip_on=False)
    axes.annotate(
        f"kept: {best}",
        (best, 1),
        (-5 if on_right else 5, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if on_right else "left",
        va="top",
    )
