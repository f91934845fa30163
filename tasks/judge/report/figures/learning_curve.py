"""Draw accuracy over the number of training clips, and its extrapolation."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from tasks.judge.report.figures.svg import BLUE, GREY, ORANGE, PAGE, Chart, new_drawing, page_style, svg
from tasks.store.records.learning_curve import TargetCurve
from tasks.wording import count, percent, percent_interval

SIZE = (560, 330)
BAND_OPACITY = 0.16
ROOM = 1.12
"""Factor by which the logarithmic axis goes beyond the outermost points."""


def learning_curve_chart(curve: TargetCurve) -> Chart:
    """Draw single draws, their mean with its band over source videos, and the extrapolated law with the band of the gain."""
    title = f"{curve.target.capitalize()} top-1 on val by number of training clips"
    x = [point.num_clips for point in curve.points]
    draws = [(point.num_clips, top1) for point in curve.points for top1 in point.draws]
    spoken = {
        "draws": [f"{count(number, 'clip')}: {percent(top1)}" for number, top1 in draws],
        "means": [f"{count(p.num_clips, 'clip')}: mean {percent(p.top1)} {percent_interval(p.interval)}" for p in curve.points],
    }
    with page_style():
        figure = new_drawing(*SIZE)
        axes = figure.add_subplot()
        axes.axhline(curve.majority_top1, color=GREY, linewidth=1.2, linestyle=(0, (5, 4)), label="most frequent class")
        low, high = zip(*(point.interval for point in curve.points), strict=True)
        axes.fill_between(x, low, high, color=BLUE, alpha=BAND_OPACITY, linewidth=0)
        axes.plot(
            [number for number, _ in draws], [top1 for _, top1 in draws],
            color=GREY, linestyle="none", marker="o", markersize=5, markeredgecolor=PAGE, clip_on=False, gid="draws", label="single draws",
        )  # fmt: skip
        axes.plot(
            x, [point.top1 for point in curve.points],
            color=BLUE, linewidth=1.8, marker="o", markersize=7, markeredgecolor=PAGE, clip_on=False, gid="means", label="mean",
        )  # fmt: skip
        _draw_extrapolation(axes, curve)
        _scale(axes, curve)
        figure.legend(loc="outside upper left", ncols=4, borderpad=0, handlelength=2.2, columnspacing=1.2)
        drawn = svg(figure, "learning-curve", title, _in_words(curve, spoken["means"]), spoken)
    return Chart(title, drawn, SIZE[0] + 140)


def _draw_extrapolation(axes: Axes, curve: TargetCurve) -> None:
    if not curve.fit:
        return
    axes.plot(
        [one.num_clips for one in curve.fit], [one.top1 for one in curve.fit],
        color=ORANGE, linewidth=1.8, linestyle="--", label="power law",
    )  # fmt: skip
    beyond = [(one.num_clips, *one.interval) for one in curve.fit if one.interval]
    numbers, low, high = zip(*beyond, strict=True)
    axes.fill_between(numbers, low, high, color=ORANGE, alpha=BAND_OPACITY, linewidth=0)


def _scale(axes: Axes, curve: TargetCurve) -> None:
    ticks = [*(point.num_clips for point in curve.points), *(gain.num_clips for gain in curve.gains)]
    axes.set(
        xscale="log", xlim=(ticks[0] / ROOM, ticks[-1] * ROOM), xlabel="training clips", ylabel=f"{curve.target} top-1, %", ylim=(0, 1)
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    axes.grid(axis="y", clip_on=False)


def _in_words(curve: TargetCurve, means: list[str]) -> str:
    at = {one.num_clips: one for one in curve.fit}
    beyond = [
        f"{count(gain.num_clips, 'clip')}: {percent(one.top1)} {percent_interval(one.interval)}"
        for gain in curve.gains
        if (one := at[gain.num_clips]).interval
    ]
    extrapolated = f" Extrapolated, with the 95 % confidence interval of the gain: {'; '.join(beyond)}." if beyond else ""
    return (
        f"With 95 % confidence intervals over source videos: {'; '.join(means)}.{extrapolated} "
        f"The dashed grey line is always predicting the most frequent {curve.target}: {percent(curve.majority_top1)}."
    )
