"""Draw top-1 of the networks side by side, on every target."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from tasks.evaluation.majority import readable
from tasks.report.figures.canvas import BLUE, GREY, INK, ORANGE, new_figure, png, short, styled
from tasks.report.score_tables import MODELS, by_split
from tasks.results.evaluation import EvaluateResult

COLOURS = {"baseline": GREY, "champion": ORANGE, "fine-tuned": BLUE}
GROUP_WIDTH = 0.76


def comparison_figure(results: Sequence[EvaluateResult], title: str) -> bytes:
    """Draw top-1 with 95 % confidence intervals as PNG bytes, one panel per split.

    A dashed line marks the majority class.

    Args:
        results: the networks' scores on one or several splits, at least one.
        title: title of the figure.
    """
    splits = by_split(results)
    with styled():
        figure = new_figure(1.2 + 4.2 * len(splits), 4.2)
        panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
        for axes, split_results in zip(panels, splits, strict=True):
            _panel(axes, split_results)
        panels[0].set_ylabel("top-1")
        handles = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        order = [label for label in (*MODELS, "majority class") if label in handles]
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        figure.legend([handles[label] for label in order], order, loc="outside lower left", ncols=4)
        return png(figure)


def _panel(axes: Axes, results: Sequence[EvaluateResult]) -> None:
    width = GROUP_WIDTH / len(results)
    targets = results[0].targets
    for k, result in enumerate(results):
        metrics = [getattr(result, target) for target in targets]
        left = [g - GROUP_WIDTH / 2 + k * width for g in range(len(targets))]
        top1 = [m.top1 for m in metrics]
        axes.bar(left, top1, width * 0.94, align="edge", color=COLOURS[result.model], label=result.model)
        for x, m in zip(left, metrics, strict=True):
            low, high = m.top1_interval
            middle = x + width * 0.47
            axes.plot([middle, middle], [low, high], color=INK, linewidth=1.2, marker="_", markersize=7)
            axes.annotate(f"{100 * m.top1:.0f}", (middle, high), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    majority = [getattr(results[0], target) for target in targets]
    for g, m in enumerate(majority):
        ends = (g - GROUP_WIDTH / 2 - 0.06, g + GROUP_WIDTH / 2 + 0.06)
        axes.plot(ends, (m.majority_top1, m.majority_top1), color=INK, linewidth=1.4, linestyle="--", label="majority class")
    axes.set_xticks(range(len(targets)), [f"{t}s\n({short(readable(m.majority_class))})" for t, m in zip(targets, majority, strict=True)])
    axes.set_title(f"{results[0].split}: {results[0].num_clips} clips, {results[0].num_sources} sources")
    axes.set_ylim(0, 1.08)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y")
    axes.tick_params(axis="x", length=0)
