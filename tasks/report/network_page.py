"""Render the comparison of networks: accuracy with intervals, differences to the first configuration, and costs."""

from dataclasses import dataclass, replace

from matplotlib.ticker import MaxNLocator, PercentFormatter

from tasks.evaluation.majority import always_predicting, majority_scores
from tasks.evaluation.multiplicity import LEVEL
from tasks.options import Modality
from tasks.report.charts import Chart
from tasks.report.drawing import BLUE, GREY, INK, PAGE, new_drawing, page_style, svg
from tasks.report.formats import leaning, quantity, seconds
from tasks.report.machine import machine_rows
from tasks.report.network_table import corrected_p_values, difference_of, verdict
from tasks.report.page import settings_of
from tasks.report.scores import DifferenceRow, difference_row, majority_warning
from tasks.report.templating import templates
from tasks.results.comparison import ComparedNetwork, Comparison
from tasks.results.record import Target
from tasks.wording import percent, percent_interval

CHART_SIZE = (420, 300)
ROOM = 0.12
"""Margin on either side of the outermost points of a chart, as a share of its width."""

FLOW_COST = (
    "Neither includes optical flow, which is computed once per clip: for 8 seconds of video TV-L1 takes minutes of one core, DIS seconds."
)


@dataclass(frozen=True)
class NetworkRow:
    """One network in the tables; `number` marks it in the charts, `corrected` holds Holm-corrected p-values."""

    number: int
    network: ComparedNetwork
    is_reference: bool
    warning: str
    differences: dict[Target, DifferenceRow]
    corrected: dict[Target, float]


def networks_page(comparison: Comparison) -> str:
    """Render the page as HTML. Names are escaped."""
    first = comparison.networks[0]
    return (
        templates()
        .get_template("networks.html.j2")
        .render(
            c=comparison,
            rows=_rows(comparison),
            verdict=verdict(comparison),
            leaning=leaning(comparison.split),
            majority_label=always_predicting(first.action.majority_class),
            majority=majority_scores(first.action),
            charts=[chart for in_flops in (False, True) if (chart := _chart(comparison, in_flops=in_flops))],
            flow_cost=_flow_cost(comparison),
            machines=_machines(comparison),
            settings=settings_of(comparison.evaluate),
            train_settings=settings_of(comparison.train),
            targets=comparison.targets,
            num_differences=sum(bool(network.differences) for network in comparison.networks),
        )
    )


def networks_note(comparison: Comparison) -> str:
    """Render the table as Markdown, with a link to each network's run."""
    return (
        templates()
        .get_template("networks.md.j2")
        .render(
            c=comparison,
            rows=_rows(comparison),
            verdict=verdict(comparison),
            flow_cost=_flow_cost(comparison),
            num_differences=sum(bool(network.differences) for network in comparison.networks),
        )
    )


def _flow_cost(comparison: Comparison) -> str:
    """Note that latency and FLOPs exclude optical flow; empty if no network uses it."""
    return FLOW_COST if any(network.modality is Modality.FLOW for network in comparison.networks) else ""


def _rows(comparison: Comparison) -> list[NetworkRow]:
    corrected = {target: corrected_p_values(comparison, target) for target in comparison.targets}
    return [
        NetworkRow(
            number=number,
            network=network,
            is_reference=network.name == comparison.reference,
            warning=majority_warning(network.action),
            differences={
                target: _among_others(difference_row(found), corrected[target][network.name])
                for target in comparison.targets
                if (found := difference_of(network, target))
            },
            corrected={target: of_network[network.name] for target, of_network in corrected.items() if network.name in of_network},
        )
        for number, network in enumerate(comparison.networks, 1)
    ]


def _among_others(row: DifferenceRow, corrected_p: float) -> DifferenceRow:
    """Mark a difference as insignificant if it does not survive Holm's correction."""
    if corrected_p <= LEVEL or not row.excludes_zero:
        return row
    return replace(row, excludes_zero=False, remark="significant alone, not after Holm's correction")


def _machines(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """List each machine once, under the networks that it scored."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for number, network in enumerate(comparison.networks, 1):
        found.setdefault(tuple(machine_rows(network.hardware)), []).append(str(number))
    if len(found) == 1:
        return [("Scored on", list(next(iter(found))))]
    return [(f"{', '.join(numbers)} scored on", list(rows)) for rows, numbers in found.items()]


def _cost(network: ComparedNetwork, *, in_flops: bool) -> tuple[float, str] | None:
    """Compute the cost per clip, as axis value and as text; None if unknown."""
    if not in_flops:
        return network.latency.inference_median_seconds, seconds(network.latency.inference_median_seconds)
    return None if network.num_flops is None else (network.num_flops / 1e9, f"{quantity(network.num_flops)} FLOPs")


def _chart(comparison: Comparison, *, in_flops: bool) -> Chart | None:
    """Draw top-1 of the deciding target, with its interval, over cost per clip; points are numbered. None if no cost is known."""
    title = "Accuracy over FLOPs" if in_flops else "Accuracy over latency"
    shown = [(i, n.name, n.action, *found) for i, n in enumerate(comparison.networks, 1) if (found := _cost(n, in_flops=in_flops))]
    if not shown:
        return None
    spoken = [f"{i}, {name}: {percent(a.top1)} {percent_interval(a.top1_interval)}, {words}" for i, name, a, _, words in shown]
    x = [cost for *_, cost, _ in shown]
    with page_style():
        figure = new_drawing(*CHART_SIZE)
        axes = figure.add_subplot()
        majority = comparison.networks[0].action.majority_top1
        axes.axhline(majority, color=GREY, linewidth=1.2, linestyle=(0, (5, 4)))
        for number, _, action, cost, _ in shown:
            axes.plot([cost, cost], action.top1_interval, color=GREY, linewidth=1.6, clip_on=False)
            axes.annotate(str(number), (cost, action.top1), (6, 5), textcoords="offset points", color=INK, fontweight="bold")
        y = [action.top1 for _, _, action, *_ in shown]
        axes.scatter(x, y, 48, color=BLUE, edgecolors=PAGE, linewidths=1, zorder=3, clip_on=False, gid="networks")
        reach = (max(x) - min(x)) or max(x) or 1
        axes.set_xlim(max(0.0, min(x) - ROOM * reach), max(x) + ROOM * reach)
        axes.set_ylim(0, 1)
        axes.set(xlabel="billion FLOPs per clip" if in_flops else "seconds per clip, median", ylabel=f"{comparison.targets[-1]} top-1, %")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.grid(axis="y", clip_on=False)
        words = f"{'; '.join(spoken)}. Bars are 95 % confidence intervals; the dashed line is always predicting the most frequent {comparison.targets[-1]}: {percent(majority)}."
        drawn = svg(figure, f"networks-{'flops' if in_flops else 'latency'}", title, words, {"networks": spoken})
    return Chart(title, drawn, CHART_SIZE[0] + 60)
