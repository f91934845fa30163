"""Draw reliability diagrams: accuracy over confidence."""

from collections.abc import Sequence

from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator, PercentFormatter

from tasks.judge.report.figures.svg import BLUE, GREY, ORANGE, PAGE, PURPLE, Chart, Look, new_drawing, page_style, svg
from tasks.judge.report.page_scores import deciding_results
from tasks.store.records.metrics import Calibration, Metrics
from tasks.store.records.record import MODELS, TARGETS, ModelRole, Target
from tasks.wording import count, percent

SIZE = (330, 350)
LOOKS: dict[ModelRole, Look] = {
    "baseline": (GREY, "s", ":"),
    "previous": (PURPLE, "v", ":"),
    "champion": (ORANGE, "^", "--"),
    "fine-tuned": (BLUE, "o", "-"),
}
MIN_MARK_AREA, MAX_MARK_AREA = 14.0, 200.0


def reliability_charts(metrics: Metrics) -> tuple[Chart, ...]:
    """Draw one chart per target with every network scored on the deciding split.

    Targets without bins are skipped.
    """
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
    with page_style():
        figure = new_drawing(*SIZE)
        axes = figure.add_subplot()
        (diagonal,) = axes.plot(
            [0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle=(0, (5, 4)), label="perfectly calibrated", clip_on=False
        )
        handles = [diagonal]
        for role, calibration in calibrations:
            colour, marker, dashes = LOOKS[role]
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
    return Chart(title, drawn, SIZE[0] + 50)
