"""The original experiment's tables: every network beside the others and beside always guessing the commonest class."""

from collections.abc import Sequence

from tasks.evaluation.decision import contenders, count, decide, percent
from tasks.results.evaluation import EvaluateResult, TargetMetrics
from tasks.results.record import TARGETS, SplitName, Target

MODELS = ("baseline", "champion", "fine-tuned")
SPLIT_ORDER: tuple[SplitName, ...] = ("test", "val", "train")
COLUMNS = (
    "top-1 [95 % interval]",
    "top-5",
    "precision, weighted",
    "recall, weighted",
    "precision, macro",
    "recall, macro",
)
LEGEND = (
    "Intervals resample source videos, not clips, and are widened where there are few of them; one video alone gives [0, 100]. "
    'Weighted averages weigh each class by its clips (the original experiment\'s "average class", so recall equals top-1); '
    "macro averages treat the classes that occur alike. "
    "The majority class is this split's own commonest. An action is right when verb and noun are right."
)


def headline(results: Sequence[EvaluateResult]) -> str:
    """One sentence: who won on the split that decides, by how much, and whether the network beats always guessing the commonest action.

    Raises:
        BadInput: neither test nor val was scored with both networks.
    """
    ours, theirs = contenders(results)
    verdict = "better than" if ours.action.top1 > theirs.action.top1 else "no better than"
    majority = ours.action.majority_top1
    beside = "and better" if verdict == "better than" else "but better"
    if ours.action.top1 <= majority:
        beside = "but no better" if verdict == "better than" else "and no better"
    return (
        f"The fine-tuned network names {percent(ours.action.top1)} of the actions right on {_sample(ours)} ({ours.split}): "
        f"{verdict} the {theirs.model} ({percent(theirs.action.top1)}), {beside} than always guessing "
        f"'{ours.action.majority_class}' ({percent(majority)})."
    )


def markdown(results: Sequence[EvaluateResult], baseline: str) -> str:
    """The comparison as a Markdown page: headline, decision, and for each split three tables of scores and one of loss and speed.

    Args:
        results: the networks' scores on one or several splits.
        baseline: what the baseline is, as in `WeightsResult.description`; a sentence without its full stop.

    Raises:
        BadInput: neither test nor val was scored with both networks.
    """
    decision = decide(*contenders(results))
    parts = [
        f"**{_escape(headline(results))}**",
        f"Decision: {'promote' if decision.promote else 'do not promote'}, since {_escape(decision.reason)}.",
        f"Baseline: {_escape(baseline)}.",
    ]
    for split_results in by_split(results):
        first = split_results[0]
        parts.append(f"## {first.split.capitalize()}: {_sample(first)}, {_crops(first)}")
        parts += [_target_table(split_results, target) for target in TARGETS]
        parts.append(_speed_table(split_results))
    return "\n\n".join((*parts, LEGEND)) + "\n"


def text(results: Sequence[EvaluateResult], baseline: str) -> str:
    """The same in fixed width for logs and terminals: top-1 with its interval, loss and FPS.

    Args:
        results: the networks' scores on one or several splits.
        baseline: what the baseline is.
    """
    lines = []
    for split_results in by_split(results):
        first = split_results[0]
        lines += [
            f"{first.split}: {_sample(first)}, {_crops(first)}",
            f"  {'top-1 %':<15}" + "".join(f"{target + 's':<21}" for target in TARGETS) + f"{'loss':>6}{'FPS':>8}",
        ]
        for result in split_results:
            scores = "".join(f"{_top1(getattr(result, target), width=5):<21}" for target in TARGETS)
            lines.append(f"  {result.model:<15}{scores}{result.loss:>6.2f}{result.latency.fps:>8.2f}")
        guesses = "".join(f"{_majority_text(getattr(first, target)):<21}" for target in TARGETS)
        lines += [f"  {'majority class':<15}{guesses}".rstrip(), ""]
    return "\n".join((*lines, f"baseline: {baseline}")) + "\n"


def by_split(results: Sequence[EvaluateResult]) -> list[list[EvaluateResult]]:
    """The splits that were scored, unseen clips first, each with its networks in the order of the tables."""
    grouped = ([r for r in results if r.split == split] for split in SPLIT_ORDER)
    return [sorted(group, key=lambda r: MODELS.index(r.model)) for group in grouped if group]


def _target_table(results: Sequence[EvaluateResult], target: Target) -> str:
    rows: list[tuple[str, list[str]]] = [(result.model, _scores(getattr(result, target))) for result in results]
    metrics: TargetMetrics = getattr(results[0], target)
    rows.append((f"majority class: {metrics.majority_class}", _majority_scores(metrics)))
    return _table((f"{target.capitalize()}s, {metrics.num_classes} classes", *COLUMNS), rows)


def _speed_table(results: Sequence[EvaluateResult]) -> str:
    header = ("Loss and speed", "loss", "cached frames, median s", "cached frames, p90 s", "inference, median s", "inference, p90 s", "FPS")
    rows: list[tuple[str, list[str]]] = []
    for result in results:
        latency = result.latency
        seconds = (
            latency.loading_median_seconds,
            latency.loading_p90_seconds,
            latency.inference_median_seconds,
            latency.inference_p90_seconds,
        )
        rows.append((result.model, [f"{result.loss:.3f}", *(f"{s:.3f}" for s in seconds), f"{latency.fps:.2f}"]))
    return _table(header, rows)


def _table(header: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *((_escape(name), *cells) for name, cells in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _scores(metrics: TargetMetrics) -> list[str]:
    averages = (metrics.top5, metrics.precision_weighted, metrics.recall_weighted, metrics.precision_macro, metrics.recall_macro)
    return [_top1(metrics, " %"), *(percent(value) for value in averages)]


def _majority_scores(metrics: TargetMetrics) -> list[str]:
    """What always giving the commonest class first, the second commonest next and so on would score."""
    share = metrics.majority_top1
    top5 = sum(sorted((c.support for c in metrics.classes), reverse=True)[:5]) / metrics.num_clips
    values = (share, top5, share * share, share, share / metrics.num_classes, 1 / metrics.num_classes)
    return [percent(value) for value in values]


def _top1(metrics: TargetMetrics, unit: str = "", width: int = 0) -> str:
    low, high = metrics.top1_interval
    return f"{100 * metrics.top1:{width}.1f}{unit} [{100 * low:.1f}, {100 * high:.1f}]"


def _majority_text(metrics: TargetMetrics) -> str:
    name = metrics.majority_class
    return f"{100 * metrics.majority_top1:5.1f} {name if len(name) <= 13 else name[:12] + '…'}"


def _sample(result: EvaluateResult) -> str:
    return f"{count(result.num_clips, 'clip')} of {count(result.num_sources, 'source video')}"


def _crops(result: EvaluateResult) -> str:
    return "centre crop" if result.crops == 1 else f"{result.crops} crops"


def _escape(name: str) -> str:
    return " ".join(name.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").split())
