"""What a person is shown who approves a promotion: Markdown for Airflow's page, without anything that a class name could add to it."""

import re

from tasks.results.metrics import Metrics

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


def approval_question(metrics: Metrics, report_url: str) -> str:
    """The verdict, the rules and the way to the report."""
    champion = f"version {metrics.champion_version}" if metrics.champion_version else "none yet"
    rules = "\n".join(
        f"- {_plain(rule.title)}: **{'passed' if rule.passed else 'failed'}**, {_plain(rule.detail)}" for rule in metrics.rules
    )
    return (
        f"{_plain(metrics.verdict)}\n\n"
        f"**[Read the report]({report_url})**: tables, mistakes that can be played, checks of the data.\n\n"
        f"Champion now: {champion}. The rules say:\n\n{rules}\n\n"
        "*Approve* makes the new version champion; *Reject*, or no answer in time, leaves everything as it is. "
        "A comment is kept with the decision."
    )


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
