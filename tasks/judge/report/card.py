"""Write the model card and the approval request: Markdown with all names escaped."""

from dataclasses import replace

from tasks.judge.gate.gate import attempt_in_words
from tasks.judge.gate.verdict import cautions, deciding_results, figures_in_words, opponent_of, verdict_of
from tasks.judge.report.scores import (
    Table,
    label_of,
    nameable_table,
    nothing_table,
    seeds_table,
    target_tables,
    unnamed_in_words,
    unnamed_of,
)
from tasks.judge.report.sections import curve_answer
from tasks.judge.report.templating import about_split, coverage, leaning, rendered
from tasks.store.records.metrics import Metrics
from tasks.wording import count, markdown_text

MAX_WORSE_NAMED, MAX_PAGES_NAMED = 10, 5


def model_card(metrics: Metrics) -> str:
    """Render the card: YAML front matter and Markdown; under 5,000 characters unless names are very long."""
    results = deciding_results(metrics)
    tables = target_tables(metrics)
    challenger = next((result for result in results if result.model == "fine-tuned"), None)
    worse = {target: [c.name for c in metrics.class_changes if c.target == target and c.is_worse] for target in metrics.targets}
    return rendered(
        "card.md.j2",
        m=metrics,
        verdict=verdict_of(metrics),
        cautions=[words for words, _ in cautions(metrics)],
        leaning=leaning(metrics.deciding_split, chose_epoch=metrics.val_chose),
        about_split=about_split(metrics),
        coverage=coverage(metrics),
        attempt=attempt_in_words(metrics.attempt, metrics.deciding_split),
        tables=tables,
        unnamed=unnamed_in_words(metrics.nameable) if metrics.nameable else "",
        nameable_table=_nameable_table(metrics),
        seeds=seeds_table(metrics),
        nothing=nothing_table((label_of(result.model, metrics), result.nothing) for result in results),
        challenger=challenger,
        scores=[(target, getattr(challenger, target)) for target in metrics.targets] if challenger else [],
        opponent=label_of(opponent_of(metrics), metrics),
        worse=worse,
        more_labels=curve_answer(metrics.learning_curve) if metrics.learning_curve else "",
        max_worse=MAX_WORSE_NAMED,
        max_pages=MAX_PAGES_NAMED,
    )


def _nameable_table(metrics: Metrics) -> Table | None:
    """Build the table of the last target on the clips that every network can name."""
    table = nameable_table(metrics, metrics.targets[-1:])
    if table is None or metrics.nameable is None:
        return None
    nameable = f"{count(metrics.nameable.num_clips, 'clip')} that every network can name"
    return replace(table, titles=(f"{metrics.targets[-1]}s, top-1", "all clips", nameable, "95 % CI"))


def approval_question(metrics: Metrics, report_url: str) -> str:
    """Write the verdict, the rules and a link to the report, the only link."""
    doubts = "; ".join(words for words, _ in cautions(metrics))
    champion = (
        "none yet"
        if metrics.champion_version is None
        else f"version {metrics.champion_version}{' (provisional)' if metrics.champion_is_provisional else ''}"
    )
    caution = leaning(metrics.deciding_split, chose_epoch=metrics.val_chose)
    rules = "\n".join(
        f"- {markdown_text(rule.title)}: **{'passed' if rule.passed else 'failed'}**, {markdown_text(rule.detail)}"
        for rule in metrics.rules
    )
    parts = (
        markdown_text(f"{metrics.verdict} {verdict_of(metrics).then}"),
        f"**{figures}**" if (figures := markdown_text(figures_in_words(metrics))) else "",
        markdown_text(metrics.why),
        markdown_text(f"Perhaps too optimistic: {doubts}." if doubts else ""),
        markdown_text(caution),
        markdown_text(unnamed_of(metrics)),
        f"**[Read the report]({report_url})**: tables, videos of the worst mistakes, data checks.",
        f"Current champion: {champion}. Gate rules:",
        rules,
        f"*Approve* makes the new version {'the provisional ' if metrics.provisional else ''}champion; *Reject*, or no answer in time, changes nothing. "
        "Your comment is stored with the decision.",
    )
    return "\n\n".join(part for part in parts if part)
