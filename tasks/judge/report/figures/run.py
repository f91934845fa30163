"""Draw a run: its training by epoch, a long training, accuracy by number of training clips, and calibration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, MultipleLocator, NullLocator

from tasks.judge.gate.verdict import deciding_results
from tasks.judge.report.figures import drawing
from tasks.judge.report.figures.drawing import Chart, Look, Style
from tasks.store.records.curves import LongTraining, TargetCurve
from tasks.store.records.metrics import Calibration, Metrics
from tasks.store.records.record import IN_TABLES, MODELS, TARGETS, ModelRole, Target
from tasks.store.records.training import Epoch
from tasks.wording import count, crops_in_words, percent, percent_interval

SIZE = (380, 250)
LINE_LOOKS: tuple[Look, ...] = ((drawing.ORANGE, "s", "--"), (drawing.BLUE, "o", "-"), (drawing.PURPLE, "D", ":"))
Line = tuple[str, Sequence[tuple[int, float | None]]]
MAX_MARKS = 20

LONG_SIZE = (560, 430)
BAND_OPACITY = 0.16

CURVE_SIZE = (560, 330)

ROOM_FACTOR = 1.12
"""Factor by which the logarithmic axis goes beyond the outermost points."""

RELIABILITY_SIZE = (330, 350)
LOOKS: dict[ModelRole, Look] = {
    "baseline": (drawing.GREY, "s", ":"),
    "previous": (drawing.PURPLE, "v", ":"),
    "champion": (drawing.ORANGE, "^", "--"),
    "fine-tuned": (drawing.BLUE, "o", "-"),
}
MIN_MARK_AREA, MAX_MARK_AREA = 14.0, 200.0


@dataclass(frozen=True)
class Quantity:
    """A y axis: its label, tick formatter, value as text, and upper limit if fixed."""

    label: str
    formatter: Formatter
    spell: Callable[[float], str]
    top: float | None = None


NUMBER, WHOLE = (FuncFormatter(lambda value, _, shape=shape: format(value, shape)) for shape in ("g", ",.0f"))
LOSS = Quantity("loss, nats", NUMBER, lambda value: f"{value:.3f}")
TOP1 = Quantity("top-1, %", drawing.PERCENT, percent, top=1)
RATE = Quantity("learning rate", NUMBER, lambda value: f"{value:.3g}")


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
    with drawing.axes_of(SIZE) as (figure, axes):
        for (name, line), (colour, marker, dashes) in zip(lines, LINE_LOOKS, strict=False):
            known = [(x, y) for x, y in line if y is not None]
            if known:
                every, gid = 1 + len(known) // MAX_MARKS, f"marks-{name}"
                style: Style = {
                    "color": colour,
                    "linestyle": dashes,
                    "linewidth": 1.8,
                    "marker": marker,
                    "markersize": 5.5,
                    "markeredgecolor": drawing.PAGE,
                }
                axes.plot(*zip(*known, strict=True), label=name, markevery=every, clip_on=False, gid=gid, **style)
                spoken[gid] = [f"{name}, epoch {x}: {quantity.spell(y)}" for x, y in known[::every]]
        axes.set_xlim(*((first, last) if last > first else (first - 0.5, first + 0.5)))
        axes.set_ylim(0, quantity.top or 1.1 * top or 1)
        axes.set(xlabel="epoch", ylabel=quantity.label)
        drawing.whole_ticks(axes.xaxis)
        drawing.value_axis(axes, quantity.formatter)
        if first <= best <= last:
            mark_epoch(axes, best, f"kept: {best}", on_right=best > (first + last) / 2, at_bottom=quantity.top is not None)
        drawing.add_legend(figure)
        ends = "; ".join(f"{name.removeprefix('marks-')} ends at {marks[-1].rsplit(': ', 1)[1]}" for name, marks in spoken.items())
        drawn = drawing.svg(figure, key, title, f"By epoch, {first} to {last}: {ends}. The kept epoch is {best}.", spoken)
    return Chart(title, drawn, SIZE[0] + 100)


def mark_epoch(axes: Axes, epoch: int, text: str, *, on_right: bool, at_bottom: bool = False) -> None:
    """Draw a line at an epoch, and its label where there is room.

    Scores rise to the top, losses fall.
    """
    axes.axvline(epoch, color=drawing.INK, linewidth=1, linestyle=drawing.SHORT_DASHES, clip_on=False)
    offset, side = (-5, "right") if on_right else (5, "left")
    y, rise, end = (0, 3, "bottom") if at_bottom else (1, -2, "top")
    axes.annotate(text, (epoch, y), (offset, rise), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, va=end)


def long_chart(training: LongTraining, epochs: Sequence[Epoch]) -> Chart:
    """Draw errors, those on val with a band, and validation loss over a logarithmic axis of epochs."""
    title = f"Error of {training.target}s and validation loss"
    train, val = (
        [(e.epoch + 1, 1 - top1) for e in epochs if (top1 := getattr(e, f"{split}_{training.target}_top1")) is not None]
        for split in ("train", "val")
    )
    loss = [(e.epoch + 1, e.val_loss) for e in epochs if e.val_loss is not None]
    kept = [score.epoch + 1 for score in training.scores]
    with drawing.styled(drawing.PAGE_STYLE):
        figure = drawing.new_drawing(*LONG_SIZE)
        errors, losses = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for axes, points, name, colour, dashes in (
            (errors, train, "training error", drawing.ORANGE, "--"),
            (errors, val, "validation error", drawing.BLUE, "-"),
            (losses, loss, "validation loss", drawing.PURPLE, "-"),
        ):
            if points:
                axes.plot(*zip(*points, strict=True), label=name, color=colour, linestyle=dashes, linewidth=1.5)
        _draw_band(errors, kept, [score.interval for score in training.scores], drawing.BLUE)
        dots = [score.error for score in training.scores]
        errors.plot(kept, dots, color=drawing.BLUE, linestyle="none", marker="o", markersize=6, markeredgecolor=drawing.PAGE, gid="kept")
        spoken = {"kept": [f"epoch {s.epoch + 1:,}: {percent(s.error)} {percent_interval(s.interval)}" for s in training.scores]}
        if training.fitted_epoch is not None:
            number = training.fitted_epoch + 1
            errors.axvline(number, color=drawing.INK, linewidth=1, linestyle=drawing.SHORT_DASHES)
            mark_epoch(losses, number, f"training error 0: {number:,}", on_right=number**2 > kept[-1])
        turns = _mark_turns(errors, training)
        _scale_long(errors, losses, training, [y for _, y in (*train, *val)])
        drawing.add_legend(figure)
        words = f"Validation error by epoch, with 95 % confidence intervals: {'; '.join(spoken['kept'])}. {turns}"
        drawn = drawing.svg(figure, "long-training", title, words, spoken)
    return Chart(title, drawn, LONG_SIZE[0] + 140)


def _draw_band(axes: Axes, x: Sequence[int], intervals: Sequence[tuple[float, float]], colour: str) -> None:
    low, high = zip(*intervals, strict=True)
    axes.fill_between(x, low, high, color=colour, alpha=BAND_OPACITY, linewidth=0)


def _mark_turns(axes: Axes, training: LongTraining) -> str:
    """Label both minima and the peak in the drawing; return them as a sentence."""
    if training.rise is None or training.fall is None:
        return ""
    turns = (("1st minimum", training.rise.first_epoch), ("peak", training.rise.second_epoch), ("2nd minimum", training.fall.second_epoch))
    intervals = {score.epoch: score.interval for score in training.scores}
    last = training.scores[-1].epoch + 1
    for name, epoch in turns:
        number, (low, high) = epoch + 1, intervals[epoch]
        side = "left" if number**4 < last else "right" if number**4 > last**3 else "center"
        y, offset, below = (high, 5, "bottom") if name == "peak" else (low, -5, "top")
        axes.annotate(f"{name}: {number:,}", (number, y), (0, offset), textcoords="offset points", ha=side, va=below)
    return f"{', '.join(f'{name} epoch {epoch + 1:,}' for name, epoch in turns)}."


def _scale_long(errors: Axes, losses: Axes, training: LongTraining, drawn: Sequence[float]) -> None:
    top = max(*drawn, *(score.interval[1] for score in training.scores))
    errors.set_ylim(min(0, *(score.interval[0] for score in training.scores)), min(1.08, 1.15 * top) or 1)
    errors.set_ylabel("error, %")
    errors.yaxis.set_major_formatter(drawing.PERCENT)
    losses.set_ylim(0)
    losses.set(xlabel="epoch", ylabel="loss, nats", xscale="log", xlim=(1, training.scores[-1].epoch + 1))
    losses.xaxis.set_major_locator(LogLocator(10))
    losses.xaxis.set_minor_locator(NullLocator())
    losses.xaxis.set_major_formatter(WHOLE)
    for axes in (errors, losses):
        drawing.round_ticks(axes.yaxis, 5)
        axes.grid(axis="y")


def learning_curve_chart(curve: TargetCurve) -> Chart:
    """Draw single draws, their mean with its band over source videos, and the extrapolated law with the band of the gain."""
    title = f"{curve.target.capitalize()} top-1 on val by number of training clips"
    numbers = [point.num_clips for point in curve.points]
    draws = [(point.num_clips, top1) for point in curve.points for top1 in point.draws]
    spoken = {
        "draws": [f"{count(number, 'clip')}: {percent(top1)}" for number, top1 in draws],
        "means": [f"{count(p.num_clips, 'clip')}: mean {percent(p.top1)} {percent_interval(p.interval)}" for p in curve.points],
    }
    dots: Style = {"marker": "o", "markeredgecolor": drawing.PAGE, "clip_on": False}
    with drawing.axes_of(CURVE_SIZE) as (figure, axes):
        drawing.add_majority(axes, curve.majority_top1, "most frequent class")
        _draw_band(axes, numbers, [point.interval for point in curve.points], drawing.BLUE)
        axes.plot(*zip(*draws, strict=True), color=drawing.GREY, linestyle="none", markersize=5, gid="draws", label="single draws", **dots)
        means = [point.top1 for point in curve.points]
        axes.plot(numbers, means, color=drawing.BLUE, linewidth=1.8, markersize=7, gid="means", label="mean", **dots)
        if curve.fit:
            fitted = [(point.num_clips, point.top1) for point in curve.fit]
            axes.plot(*zip(*fitted, strict=True), color=drawing.ORANGE, linewidth=1.8, linestyle="--", label="power law")
            beyond = [(point.num_clips, point.interval) for point in curve.fit if point.interval]
            _draw_band(axes, [number for number, _ in beyond], [interval for _, interval in beyond], drawing.ORANGE)
        ticks = [*numbers, *(gain.num_clips for gain in curve.gains)]
        axes.set(xscale="log", xlim=(ticks[0] / ROOM_FACTOR, ticks[-1] * ROOM_FACTOR), ylim=(0, 1))
        axes.set(xlabel="training clips", ylabel=f"{curve.target} top-1, %")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(WHOLE)
        drawing.value_axis(axes)
        drawing.add_legend(figure, ncols=4, handlelength=2.2, columnspacing=1.2)
        drawn = drawing.svg(figure, "learning-curve", title, _curve_in_words(curve, spoken["means"]), spoken)
    return Chart(title, drawn, CURVE_SIZE[0] + 140)


def _curve_in_words(curve: TargetCurve, means: list[str]) -> str:
    at = {point.num_clips: point for point in curve.fit}
    beyond = [
        f"{count(gain.num_clips, 'clip')}: {percent(fitted.top1)} {percent_interval(fitted.interval)}"
        for gain in curve.gains
        if (fitted := at[gain.num_clips]).interval
    ]
    extrapolated = f" Extrapolated, with the 95 % confidence interval of the gain: {'; '.join(beyond)}." if beyond else ""
    return (
        f"With 95 % confidence intervals over source videos: {'; '.join(means)}.{extrapolated} "
        f"The dashed grey line is always predicting the most frequent {curve.target}: {percent(curve.majority_top1)}."
    )


def reliability_charts(metrics: Metrics) -> tuple[Chart, ...]:
    """Draw one chart per target with every network scored on the deciding split, if it has bins."""
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
    title = f"{target}s"
    most = max((b.num_clips for _, c in calibrations for b in c.bins), default=1) or 1
    spoken: dict[str, list[str]] = {}
    with drawing.axes_of(RELIABILITY_SIZE) as (figure, axes):
        handles = axes.plot(
            [0, 1], [0, 1], color=drawing.GREY, linewidth=1.2, linestyle=drawing.LONG_DASHES, label="perfectly calibrated", clip_on=False
        )
        for role, calibration in calibrations:
            colour, marker, dashes = LOOKS[role]
            filled = [b for b in calibration.bins if b.num_clips]
            x, y = [b.mean_confidence for b in filled], [b.accuracy for b in filled]
            axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.6, clip_on=False)
            areas = [max(MIN_MARK_AREA, MAX_MARK_AREA * b.num_clips / most) for b in filled]
            gid = f"bins-{role}"
            axes.scatter(x, y, areas, color=colour, marker=marker, edgecolors=drawing.PAGE, linewidths=1, clip_on=False, zorder=3, gid=gid)
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, linewidth=1.6, label=IN_TABLES[role]))
            spoken[gid] = [
                f"{IN_TABLES[role]}: {count(b.num_clips, 'clip')}, mean confidence {percent(b.mean_confidence)}, accuracy {percent(b.accuracy)}"
                for b in filled
            ]
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence, %", ylabel="accuracy, %")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MultipleLocator(0.25))
            axis.set_major_formatter(drawing.PERCENT)
        axes.grid(axis="y", clip_on=False)
        drawing.add_legend(figure, ncols=2, handles=handles)
        words = "; ".join(mark for marks in spoken.values() for mark in marks) or "no clips"
        drawn = drawing.svg(figure, f"reliability-{target}", title, f"Accuracy over confidence. {words}.", spoken)
    return Chart(title, drawn, RELIABILITY_SIZE[0] + 50)
