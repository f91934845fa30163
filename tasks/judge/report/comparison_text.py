"""Write a comparison as Markdown and as plain text.

It has the original experiment's tables, and the gate's verdict.
"""

import textwrap
from collections.abc import Mapping, Sequence

from tasks.judge.gate.gate import Judgement
from tasks.judge.gate.verdict import MajorityScores, majority_scores, readable
from tasks.judge.report.scores import (
    NOTHING_LEGEND,
    Table,
    difference_label,
    markdown_table,
    nameable_in_words,
    nothing_table,
    unnamed_in_words,
)
from tasks.judge.report.templating import leaning
from tasks.store.records.evaluation import EvaluateResult, NameableClips, PairedDifference, TargetMetrics
from tasks.store.records.record import IN_TABLES, MODELS, SplitName, Target
from tasks.wording import count, crops_in_words, markdown_text, p_value, percent, percent_interval, signed

SPLIT_ORDER: tuple[SplitName, ...] = ("test", "val", "train")
COLUMNS = ("top-1 [95 % interval]", "top-5", "precision, weighted", "recall, weighted", "precision, macro", "recall, macro")
SPEED_COLUMNS = (
    "Loss and speed",
    "loss",
    "cached frames, median s",
    "cached frames, p90 s",
    "inference, median s",
    "inference, p90 s",
    "FPS",
)
LEGEND = (
    "95 % confidence intervals show how far a score would vary with other source videos that came to this split in the same way; few videos make them wide, a single one makes them useless. "
    "Rows with an arrow are differences in percentage points on the same clips, with the exact McNemar test, which assumes independent clips. "
    'Weighted averages weight each class by its support (the original experiment\'s "average class"; weighted recall equals top-1); '
    "macro averages weight all classes that occur equally. "
    "The majority class is the most frequent class of this split."
)
ACTION_LEGEND = " An action is correct if its verb and its noun are."
LOSS_OF_FEWER = "A network's loss is the mean over the clips whose classes it can name."
TEXT_WIDTH = 100
COLUMN_WIDTH = 22


def headline(judgement: Judgement) -> str:
    """Join verdict and consequence, which may differ if `beat_guessing` is off."""
    return f"{judgement.verdict} {judgement.consequence}"


def markdown(
    results: Sequence[EvaluateResult],
    ours: EvaluateResult,
    differences: Sequence[PairedDifference],
    judgement: Judgement,
    baseline: str,
    nameable: NameableClips | None = None,
    previous_version: int | None = None,
    *,
    val_chose: bool = True,
) -> str:
    """Write the comparison as Markdown: verdict, rules, and scores per split.

    Scores are per target, with loss and speed.

    Args:
        ours: the new network on the deciding split.
        differences: fine-tuned minus opponents there, any targets.
        baseline: description of the baseline, as in `WeightsResult.description`; a sentence without its full stop.
        val_chose: whether val chose an epoch, or the weights of a fusion.
    """
    names = IN_TABLES | ({"previous": f"version {previous_version} (previous)"} if previous_version else {})
    deciding = ours.split
    rules = [(rule.title, "passed" if rule.passed else "**failed**", markdown_text(rule.detail)) for rule in judgement.rules]
    parts = [
        f"**{markdown_text(headline(judgement))}**",
        markdown_text(judgement.why),
        markdown_table(Table(("Rule", "outcome", "detail"), tuple(rules)), align=":---"),
        f"Baseline: {markdown_text(baseline)}.",
    ]
    if caution := leaning(deciding, chose_epoch=val_chose):
        parts.append(markdown_text(caution))
    if nameable:
        parts += [markdown_text(unnamed_in_words(nameable)), markdown_text(f"{nameable_in_words(nameable)} {LOSS_OF_FEWER}")]
    for split_results in by_split(results):
        first = split_results[0]
        split_differences = differences if first.split == deciding else ()
        parts.append(f"## {first.split.capitalize()}: {_sample(first)}, {crops_in_words(first.crops)}")
        parts += [_target_table(split_results, split_differences, target, names) for target in first.targets]
        nothing = nothing_table((names[result.model], result.nothing) for result in split_results)
        parts += [markdown_table(nothing)] if nothing else []
        parts.append(_speed_table(split_results, names))
    legend = LEGEND + (ACTION_LEGEND if "action" in ours.targets else "") + (f" {NOTHING_LEGEND}" if ours.nothing else "")
    return "\n\n".join((*parts, legend)) + "\n"


def text(
    results: Sequence[EvaluateResult],
    ours: EvaluateResult,
    differences: Sequence[PairedDifference],
    judgement: Judgement,
    baseline: str,
    nameable: NameableClips | None = None,
) -> str:
    """Write the comparison for logs and terminals, 100 columns wide.

    Verdict, top-1 with interval, loss, FPS and rules.

    Args:
        ours: the new network on the deciding split.
        differences: fine-tuned minus opponents there, any targets.
    """
    deciding = ours.split
    lines = [*_wrapped(headline(judgement)), "", *_wrapped(judgement.why), ""]
    if nameable:
        lines += [*_wrapped(unnamed_in_words(nameable)), *_wrapped(nameable_in_words(nameable)), ""]
    for split_results in by_split(results):
        first = split_results[0]
        lines += [
            f"{first.split}: {_sample(first)}, {crops_in_words(first.crops)}",
            _text_row("top-1 %", [f"{target}s" for target in first.targets]) + f"{'loss':>6}{'FPS':>8}",
        ]
        for result in split_results:
            scores = [_top1(getattr(result, target), width=5) for target in result.targets]
            lines.append(_text_row(IN_TABLES[result.model], scores) + f"{_loss(result, 2):>6}{result.latency.fps:>8.2f}")
        if first.split == deciding:
            lines += _text_differences(differences, first.targets)
        lines += [_text_row("majority class", [_majority_text(getattr(first, target)) for target in first.targets]).rstrip()]
        lines += [*_text_nothing(split_results), ""]
    lines += [*_wrapped(f"baseline: {baseline}"), "gate:"]
    for rule in judgement.rules:
        lines += _wrapped(f"{'pass' if rule.passed else 'FAIL'}  {rule.title}: {rule.detail}", indent="  ")
    return "\n".join(lines) + "\n"


def by_split(results: Sequence[EvaluateResult]) -> list[list[EvaluateResult]]:
    """Group results by split, unseen clips first, with the networks in table order."""
    grouped = ([r for r in results if r.split == split] for split in SPLIT_ORDER)
    return [sorted(group, key=lambda r: MODELS.index(r.model)) for group in grouped if group]


def _target_table(
    results: Sequence[EvaluateResult], differences: Sequence[PairedDifference], target: Target, names: Mapping[str, str]
) -> str:
    of_model: dict[str, TargetMetrics] = {result.model: getattr(result, target) for result in results}
    metrics = next(iter(of_model.values()))
    rows = [(names[model], _top1(own, " %"), *map(percent, _averages(own))) for model, own in of_model.items()]
    for difference in (difference for difference in differences if difference.target == target):
        gain = f"{signed(difference.difference)} {percent_interval(difference.interval)}, {p_value(difference.mcnemar_p)}"
        averages = zip(_averages(of_model["fine-tuned"]), _averages(of_model[difference.opponent]), strict=True)
        rows.append((difference_label(difference.opponent), gain, *(signed(after - before) for after, before in averages)))
    majority = majority_scores(metrics)
    rows.append((f"majority class: {readable(metrics.majority_class)}", percent(majority.top1), *map(percent, _averages(majority))))
    return markdown_table(Table((f"{target.capitalize()}s, {count(metrics.num_classes, 'class')}", *COLUMNS), tuple(rows)))


def _text_nothing(results: Sequence[EvaluateResult]) -> list[str]:
    table = nothing_table((IN_TABLES[result.model], result.nothing) for result in results)
    if table is None:
        return []
    lines = (f"  {label:<15}{recognised} recognised; false alarms {alarms}" for label, recognised, alarms in table.rows)
    return [table.titles[0], *lines]


def _speed_table(results: Sequence[EvaluateResult], names: Mapping[str, str]) -> str:
    rows = []
    for result in results:
        own = result.latency
        seconds = own.loading_median_seconds, own.loading_p90_seconds, own.inference_median_seconds, own.inference_p90_seconds
        rows.append((names[result.model], _loss(result, 3), *(f"{s:.3f}" for s in seconds), f"{own.fps:.2f}"))
    return markdown_table(Table(SPEED_COLUMNS, tuple(rows)))


def _loss(result: EvaluateResult, num_decimals: int) -> str:
    """Format the mean loss over the clips whose classes the network can name."""
    return "-" if result.loss is None else f"{result.loss:.{num_decimals}f}"


def _averages(metrics: TargetMetrics | MajorityScores) -> tuple[float, ...]:
    """List the scores of the columns after top-1."""
    return metrics.top5, metrics.precision_weighted, metrics.recall_weighted, metrics.precision_macro, metrics.recall_macro


def _top1(metrics: TargetMetrics, unit: str = "", width: int = 0) -> str:
    return f"{100 * metrics.top1:{width}.1f}{unit} {percent_interval(metrics.top1_interval)}"


def _text_row(name: str, cells: Sequence[str]) -> str:
    return f"  {name:<15}" + "".join(f"{cell:<{COLUMN_WIDTH}}" for cell in cells)


def _text_differences(differences: Sequence[PairedDifference], targets: Sequence[Target]) -> list[str]:
    """Write two rows per opponent: gain with its interval, and the McNemar test."""
    lines = []
    for opponent in dict.fromkeys(d.opponent for d in differences):
        of_target = {d.target: d for d in differences if d.opponent == opponent}
        ordered = [of_target.get(target) for target in targets]
        gains = [f"{signed(d.difference):>5} {percent_interval(d.interval)}" if d else "" for d in ordered]
        tests = [f"      {p_value(d.mcnemar_p)}" if d else "" for d in ordered]
        lines += [_text_row(f"over {opponent}", gains).rstrip(), _text_row("  McNemar", tests).rstrip()]
    return lines


def _wrapped(line: str, indent: str = "") -> list[str]:
    return textwrap.wrap(line, TEXT_WIDTH, initial_indent=indent, subsequent_indent=f"{indent}      " if indent else "")


def _majority_text(metrics: TargetMetrics) -> str:
    name = readable(metrics.majority_class)
    return f"{100 * metrics.majority_top1:5.1f} {name if len(name) <= 13 else name[:12] + '…'}"


def _sample(result: EvaluateResult) -> str:
    return f"{count(result.num_clips, 'clip')} of {count(result.num_sources, 'source video')}"
