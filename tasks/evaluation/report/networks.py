"""The page of a comparison of networks: accuracy with intervals, what differs from the first, and what each costs."""

from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator, PercentFormatter

from tasks.evaluation.majority import majority_scores
from tasks.evaluation.networks import difference_of, verdict
from tasks.evaluation.report.charts import Chart
from tasks.evaluation.report.drawing import BLUE, GREY, INK, PAGE, new_drawing, page_style, svg
from tasks.evaluation.report.formats import quantity, seconds
from tasks.evaluation.report.machine import machine_rows
from tasks.evaluation.report.page import settings_of
from tasks.evaluation.report.scores import DifferenceRow, difference_row, majority_warning
from tasks.evaluation.report.templating import templates
from tasks.evaluation.wording import leaning, percent, percent_interval
from tasks.results.comparison import ComparedNetwork, Comparison
from tasks.results.record import TARGETS, Target

CHART_SIZE = (420, 300)
ROOM = 0.12
"""Left free on either side of the outermost points of a chart, as a share of its width."""


@dataclass(frozen=True)
class NetworkRow:
    """One network in the tables; `number` is what the charts know it by."""

    number: int
    network: ComparedNetwork
    is_reference: bool
    warning: str
    differences: dict[Target, DifferenceRow]


def networks_page(comparison: Comparison) -> str:
    """The page as HTML. Whatever names hold is text in it, never markup."""
    first = comparison.networks[0]
    return (
        templates()
        .get_template("networks.html.j2")
        .render(
            c=comparison,
            rows=_rows(comparison),
            verdict=verdict(comparison),
            leaning=leaning(comparison.split),
            majority=first.action,
            guessed=majority_scores(first.action),
            charts=(_chart(comparison, in_flops=False), _chart(comparison, in_flops=True)),
            machines=_machines(comparison),
            settings=settings_of(comparison.evaluate),
            targets=TARGETS,
        )
    )


def networks_note(comparison: Comparison) -> str:
    """The table as Markdown, with the way to each network's run."""
    return templates().get_template("networks.md.j2").render(c=comparison, rows=_rows(comparison), verdict=verdict(comparison))


def _rows(comparison: Comparison) -> list[NetworkRow]:
    return [
        NetworkRow(
            number=number,
            network=network,
            is_reference=network.name == comparison.reference,
            warning=majority_warning(network.action),
            differences={target: difference_row(found) for target in TARGETS if (found := difference_of(network, target))},
        )
        for number, network in enumerate(comparison.networks, 1)
    ]


def _machines(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each machine that scored, once, under the networks that it scored."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for number, network in enumerate(comparison.networks, 1):
        found.setdefault(tuple(machine_rows(network.hardware)), []).append(str(number))
    if len(found) == 1:
        return [("Scored on", list(next(iter(found))))]
    return [(f"{', '.join(numbers)} scored on", list(rows)) for rows, numbers in found.items()]


def _chart(comparison: Comparison, *, in_flops: bool) -> Chart:
    """Action top-1 with its interval over what a clip costs; a number stands at each point."""
    title = "Accuracy over FLOPs" if in_flops else "Accuracy over latency"
    points = [
        (
            network.num_flops / 1e9 if in_flops else network.latency.inference_median_seconds,
            network.action.top1,
            network.action.top1_interval,
        )
        for network in comparison.networks
    ]
    costs = [quantity(n.num_flops) + " FLOPs" if in_flops else seconds(n.latency.inference_median_seconds) for n in comparison.networks]
    spoken = [
        f"{number}, {network.name}: {percent(top1)} {percent_interval(interval)}, {cost}"
        for number, (network, (_, top1, interval), cost) in enumerate(zip(comparison.networks, points, costs, strict=True), 1)
    ]
    x, y = [point[0] for point in points], [point[1] for point in points]
    with page_style():
        figure = new_drawing(*CHART_SIZE)
        axes = figure.add_subplot()
        guessing = comparison.networks[0].action.majority_top1
        axes.axhline(guessing, color=GREY, linewidth=1.2, linestyle=(0, (5, 4)))
        for number, (cost, top1, (low, high)) in enumerate(points, 1):
            axes.plot([cost, cost], [low, high], color=GREY, linewidth=1.6, clip_on=False)
            axes.annotate(str(number), (cost, top1), (6, 5), textcoords="offset points", color=INK, fontweight="bold")
        axes.scatter(x, y, 48, color=BLUE, edgecolors=PAGE, linewidths=1, zorder=3, clip_on=False, gid="networks")
        reach = (max(x) - min(x)) or max(x) or 1
        axes.set_xlim(max(0.0, min(x) - ROOM * reach), max(x) + ROOM * reach)
        axes.set_ylim(0, 1)
        axes.set(xlabel="billion FLOPs a clip" if in_flops else "seconds a clip, median", ylabel="action top-1, %")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.grid(axis="y", clip_on=False)
        words = (
            f"{'; '.join(spoken)}. Bars are 95 % intervals; the dashed line is always guessing the commonest action: {percent(guessing)}."
        )
        drawn = svg(figure, f"networks-{'flops' if in_flops else 'latency'}", title, words, {"networks": spoken})
    return Chart(title, drawn, CHART_SIZE[0] + 60)
