"""Draw the errors and the loss of a long training over logarithmic epochs."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from tasks.judge.report.figures.curves import mark_epoch
from tasks.judge.report.figures.svg import BLUE, INK, ORANGE, PAGE, PURPLE, Chart, new_drawing, page_style, svg
from tasks.store.records.long_training import LongTraining
from tasks.store.records.training import Epoch
from tasks.wording import percent, percent_interval

SIZE = (560, 430)
BAND_OPACITY = 0.16


def long_chart(found: LongTraining, epochs: Sequence[Epoch]) -> Chart:
    """Draw errors and validation loss over a logarithmic axis of epochs.

    The validation error has a band.
    """
    title = f"Error of {found.target}s and validation loss"
    kept = [(score.epoch + 1, score.error) for score in found.scores]
    with page_style():
        figure = new_drawing(*SIZE)
        errors, losses = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        train = [(e.epoch + 1, 1 - top1) for e in epochs if (top1 := getattr(e, f"train_{found.target}_top1")) is not None]
        val = [(e.epoch + 1, 1 - top1) for e in epochs if (top1 := getattr(e, f"val_{found.target}_top1")) is not None]
        loss = [(e.epoch + 1, e.val_loss) for e in epochs if e.val_loss is not None]
        _line(errors, train, "training error", ORANGE, "--")
        _line(errors, val, "validation error", BLUE, "-")
        _line(losses, loss, "validation loss", PURPLE, "-")
        errors.fill_between(
            [x for x, _ in kept],
            [score.interval[0] for score in found.scores],
            [score.interval[1] for score in found.scores],
            color=BLUE,
            alpha=BAND_OPACITY,
            linewidth=0,
        )
        errors.plot(*zip(*kept, strict=True), color=BLUE, linestyle="none", marker="o", markersize=6, markeredgecolor=PAGE, gid="kept")
        spoken = {"kept": [f"epoch {s.epoch + 1:,}: {percent(s.error)} {percent_interval(s.interval)}" for s in found.scores]}
        _mark_fitted(errors, losses, found, last=found.scores[-1].epoch + 1)
        words = _mark_turns(errors, found)
        _scale(errors, losses, found, [y for _, y in (*train, *val)])
        figure.legend(loc="outside upper left", ncols=3, borderpad=0, handlelength=2.4)
        dots = "; ".join(spoken["kept"])
        drawn = svg(figure, "long-training", title, f"Validation error by epoch, with 95 % confidence intervals: {dots}. {words}", spoken)
    return Chart(title, drawn, SIZE[0] + 140)


def _line(axes: Axes, points: Sequence[tuple[int, float]], name: str, colour: str, dashes: str) -> None:
    if points:
        axes.plot([x for x, _ in points], [y for _, y in points], label=name, color=colour, linestyle=dashes, linewidth=1.5)


def _mark_fitted(errors: Axes, losses: Axes, found: LongTraining, last: int) -> None:
    if found.fitted_epoch is None:
        return
    number = found.fitted_epoch + 1
    errors.axvline(number, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    mark_epoch(losses, number, f"training error 0: {number:,}", on_right=number**2 > last)


def _mark_turns(axes: Axes, found: LongTraining) -> str:
    """Label the first minimum, the peak and the second minimum in the drawing.

    Returns them as a sentence.
    """
    if found.rise is None or found.fall is None:
        return ""
    turns = (("1st minimum", found.rise.first_epoch), ("peak", found.rise.second_epoch), ("2nd minimum", found.fall.second_epoch))
    scores = {score.epoch: score for score in found.scores}
    last = found.scores[-1].epoch + 1
    for name, epoch in turns:
        is_peak = name == "peak"
        place = "left" if (epoch + 1) ** 4 < last else "right" if (epoch + 1) ** 4 > last**3 else "center"
        axes.annotate(
            f"{name}: {epoch + 1:,}",
            (epoch + 1, scores[epoch].interval[1 if is_peak else 0]),
            (0, 5 if is_peak else -5),
            textcoords="offset points",
            ha=place,
            va="bottom" if is_peak else "top",
        )
    return f"{', '.join(f'{name} epoch {epoch + 1:,}' for name, epoch in turns)}."


def _scale(errors: Axes, losses: Axes, found: LongTraining, drawn: Sequence[float]) -> None:
    top = max(*drawn, *(score.interval[1] for score in found.scores))
    errors.set_ylim(min(0, *(score.interval[0] for score in found.scores)), min(1.08, 1.15 * top) or 1)
    errors.set_ylabel("error, %")
    errors.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    losses.set_ylim(0)
    losses.set(xlabel="epoch", ylabel="loss, nats", xscale="log", xlim=(1, found.scores[-1].epoch + 1))
    losses.xaxis.set_major_locator(LogLocator(10))
    losses.xaxis.set_minor_locator(NullLocator())
    losses.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for axes in (errors, losses):
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        axes.grid(axis="y")
