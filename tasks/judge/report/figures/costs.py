"""Draw the accuracy of compared networks over their cost per clip."""

from matplotlib.ticker import MaxNLocator, PercentFormatter

from tasks.judge.report.figures.svg import BLUE, GREY, INK, PAGE, Chart, new_drawing, page_style, svg
from tasks.store.records.comparison import ComparedNetwork, Comparison
from tasks.wording import duration, percent, percent_interval, quantity

SIZE = (420, 300)
ROOM = 0.12
"""Margin on either side of the outermost points, as a share of the width."""


def cost_chart(comparison: Comparison, *, in_flops: bool) -> Chart | None:
    """Draw top-1 of the deciding target, with its interval, over cost per clip.

    Points are numbered. None if no cost is known.
    """
    title = "Accuracy over FLOPs" if in_flops else "Accuracy over latency"
    shown = [(i, n.name, n.action, *found) for i, n in enumerate(comparison.networks, 1) if (found := _cost(n, in_flops=in_flops))]
    if not shown:
        return None
    spoken = [f"{i}, {name}: {percent(a.top1)} {percent_interval(a.top1_interval)}, {words}" for i, name, a, _, words in shown]
    x = [cost for *_, cost, _ in shown]
    with page_style():
        figure = new_drawing(*SIZE)
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
    return Chart(title, drawn, SIZE[0] + 60)


def _cost(network: ComparedNetwork, *, in_flops: bool) -> tuple[float, str] | None:
    """Compute the cost per clip, as axis value and as text; None if unknown."""
    if not in_flops:
        return network.latency.inference_median_seconds, duration(network.latency.inference_median_seconds)
    return None if network.num_flops is None else (network.num_flops / 1e9, f"{quantity(network.num_flops)} FLOPs")
