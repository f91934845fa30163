"""Write the approval request for Airflow's page: Markdown with all names escaped."""

from tasks.judge.gate.attempts import attempt_in_words
from tasks.judge.report.formats import leaning
from tasks.judge.report.nameable_scores import unnamed_of
from tasks.judge.report.page_scores import cautions
from tasks.store.records.metrics import Metrics
from tasks.wording import markdown_text


def approval_question(metrics: Metrics, report_url: str) -> str:
    """Write the verdict, the rules and a link to the report, the only link."""
    doubts = "; ".join(words for words, _ in cautions(metrics))
    champion = (
        "none yet"
        if metrics.champion_version is None
        else f"version {metrics.champion_version}{' (provisional)' if metrics.champion_is_provisional else ''}"
    )
    caution = leaning(metrics.deciding_split)
    rules = "\n".join(
        f"- {markdown_text(rule.title)}: **{'passed' if rule.passed else 'failed'}**, {markdown_text(rule.detail)}"
        for rule in metrics.rules
    )
    parts = (
        markdown_text(metrics.verdict),
        markdown_text(f"Perhaps too optimistic: {doubts}." if doubts else ""),
        markdown_text(caution),
        markdown_text(unnamed_of(metrics)),
        markdown_text(attempt_in_words(metrics.attempt, metrics.deciding_split)),
        f"**[Read the report]({report_url})**: tables, videos of the worst mistakes, data checks.",
        f"Current champion: {champion}. Gate rules:",
        rules,
        f"*Approve* makes the new version {'the provisional ' if metrics.provisional else ''}champion; *Reject*, or no answer in time, changes nothing. "
        "Your comment is stored with the decision.",
    )
    return "\n\n".join(part for part in parts if part)
