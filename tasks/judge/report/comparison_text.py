"""Write a comparison as plain text, and as the note of its run in MLflow."""

import textwrap
from collections.abc import Sequence

from tasks.judge.gate.gate import Judgement
from tasks.judge.gate.verdict import readable
from tasks.judge.report.scores import Table, markdown_table, nameable_in_words, nothing_table, unnamed_in_words
from tasks.judge.report.templating import leaning
from tasks.store.records.evaluation import EvaluateResult, NameableClips, PairedDifference, TargetMetrics
from tasks.store.records.record import IN_TABLES, MODELS, SplitName, Target
from tasks.wording import count, crops_in_words, markdown_text, p_value, percent_interval, signed

SPLIT_ORDER: tuple[SplitName, ...] = ("test", "val", "train")
TEXT_WIDTH = 100
COLUMN_WIDTH = 22


def headline(judgement: Judgement) -> str:
    """Join verdict and consequence."""
    return f"{judgement.verdict} {judgement.consequence}"


def mlflow_note(judgement: Judgement, baseline: str, deciding: SplitName, *, val_chose: bool) -> str:
    """Write verdict, reasons, rules and baseline as Markdown, for the run's page in MLflow.

    Args:
        baseline: its description, as in `WeightsResult.description`; a sentence without its full stop.
        val_chose: whether val chose an epoch, or the weights of a fusion.
    """
    rules = tuple((rule.title, "passed" if rule.passed else "**failed**", markdown_text(rule.detail)) for rule in judgement.rules)
    parts = [
        f"**{markdown_text(headline(judgement))}**",
        markdown_text(judgement.why),
        markdown_table(Table(("Rule", "outcome", "detail"), rules), align=":---"),
        f"Baseline: {markdown_text(baseline)}.",
    ]
    if caution := leaning(deciding, chose_epoch=val_chose):
        parts.append(markdown_text(caution))
    return "\n\n".join(parts) + "\n"


def comparison_text(
    results: Sequence[EvaluateResult],
    ours: EvaluateResult,
    differences: Sequence[PairedDifference],
    judgement: Judgement,
    baseline: str,
    nameable: NameableClips | None = None,
) -> str:
    """Write the comparison for logs and terminals, 100 columns wide.

    Args:
        ours: the new network on the deciding split.
        differences: fine-tuned minus opponents there, any targets.
    """
    deciding = ours.split
    lines = [*_wrapped(headline(judgement)), "", *_wrapped(judgement.why), ""]
    if nameable:
        lines += [*_wrapped(unnamed_in_words(nameable)), *_wrapped(nameable_in_words(nameable)), ""]
    # Unseen clips come first, and the networks in the order of other tables.
    for split in SPLIT_ORDER:
        split_results = sorted((result for result in results if result.split == split), key=lambda result: MODELS.index(result.model))
        if not split_results:
            continue
        first = split_results[0]
        lines += [
            f"{first.split}: {count(first.num_clips, 'clip')} of {count(first.num_sources, 'source video')}, {crops_in_words(first.crops)}",
            _text_row("top-1 %", [f"{target}s" for target in first.targets]) + f"{'loss':>6}{'FPS':>8}",
        ]
        for result in split_results:
            measured = [getattr(result, target) for target in result.targets]
            scores = [f"{100 * metrics.top1:5.1f} {percent_interval(metrics.top1_interval)}" for metrics in measured]
            loss = "-" if result.loss is None else f"{result.loss:.2f}"
            lines.append(_text_row(IN_TABLES[result.model], scores) + f"{loss:>6}{result.latency.fps:>8.2f}")
        if first.split == deciding:
            lines += _text_differences(differences, first.targets)
        lines += [_text_row("majority class", [_majority_text(getattr(first, target)) for target in first.targets]).rstrip()]
        lines += [*_text_nothing(split_results), ""]
    lines += [*_wrapped(f"baseline: {baseline}"), "gate:"]
    for rule in judgement.rules:
        lines += _wrapped(f"{'pass' if rule.passed else 'FAIL'}  {rule.title}: {rule.detail}", indent="  ")
    return "\n".join(lines) + "\n"


def _text_nothing(results: Sequence[EvaluateResult]) -> list[str]:
    table = nothing_table((IN_TABLES[result.model], result.nothing) for result in results)
    if table is None:
        return []
    lines = (f"  {label:<15}{recognised} recognised; false alarms {alarms}" for label, recognised, alarms in table.rows)
    return [table.titles[0], *lines]


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
