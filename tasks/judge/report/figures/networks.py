"""Draw networks beside one another: calibration, and accuracy over cost."""

from collections.abc import Sequence

from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from tasks.judge.gate.verdict import deciding_results
from tasks.judge.report.figures import drawing
from tasks.judge.report.figures.drawing import Chart, Look
from tasks.store.records.experiments import ComparedNetwork, Comparison
from tasks.store.records.metrics import Calibration, Metrics
from tasks.store.records.record import IN_TABLES, MODELS, TARGETS, ModelRole, Target
from tasks.wording import count, duration, percent, percent_interval, quantity

RELIABILITY_SIZE = (330, 350)
LOOKS: dict[ModelRole, Look] = {
    "baseline": (drawing.GREY, "s", ":"),
    "previous": (drawing.PURPLE, "v", ":"),
    "champion": (drawing.ORANGE, "^", "--"),
    "fine-tuned": (drawing.BLUE, "o", "-"),
}
MIN_MARK_AREA, MAX_MARK_AREA = 14.0, 200.0

COST_SIZE = (420, 300)


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


def cost_chart(comparison: Comparison, *, in_flops: bool) -> Chart | None:
    """Draw numbered top-1 scores with intervals over cost per clip; None if no cost is known."""
    title = "Accuracy over FLOPs" if in_flops else "Accuracy over latency"
    shown = [(i, n.name, n.action, *known) for i, n in enumerate(comparison.networks, 1) if (known := _cost(n, in_flops=in_flops))]
    if not shown:
        return None
    spoken = [f"{i}, {name}: {percent(a.top1)} {percent_interval(a.top1_interval)}, {words}" for i, name, a, _, words in shown]
    x, y = [cost for *_, cost, _ in shown], [action.top1 for _, _, action, *_ in shown]
    majority, target = comparison.networks[0].action.majority_top1, comparison.targets[-1]
    with drawing.axes_of(COST_SIZE) as (figure, axes):
        drawing.add_majority(axes, majority)
        for number, _, action, cost, _ in shown:
            axes.plot([cost, cost], action.top1_interval, color=drawing.GREY, linewidth=1.6, clip_on=False)
            axes.annotate(str(number), (cost, action.top1), (6, 5), textcoords="offset points", color=drawing.INK, fontweight="bold")
        axes.scatter(x, y, 48, color=drawing.BLUE, edgecolors=drawing.PAGE, linewidths=1, zorder=3, clip_on=False, gid="networks")
        drawing.leave_room(axes, x)
        axes.set(ylim=(0, 1), xlabel="billion FLOPs per clip" if in_flops else "seconds per clip, median", ylabel=f"{target} top-1, %")
        axes.yaxis.set_major_formatter(drawing.PERCENT)
        axes.grid(axis="y", clip_on=False)
        words = (
            f"{'; '.join(spoken)}. Bars are 95 % confidence intervals; the dashed line is always predicting the most frequent {target}: "
            f"{percent(majority)}."
        )
        drawn = drawing.svg(figure, f"networks-{'flops' if in_flops else 'latency'}", title, words, {"networks": spoken})
    return Chart(title, drawn, COST_SIZE[0] + 60)


def _cost(network: ComparedNetwork, *, in_flops: bool) -> tuple[float, str] | None:
    """Compute the cost per clip, as axis value and as text; None if unknown."""
    if not in_flops:
        return network.latency.inference_median_seconds, duration(network.latency.inference_median_seconds)
    return None if network.num_flops is None else (network.num_flops / 1e9, f"{quantity(network.num_flops)} FLOPs")
