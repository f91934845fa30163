"""Write the model card: `README.md` of a registered version.

It has the front matter that model hubs read.
"""

from tasks.judge.gate.attempts import attempt_in_words
from tasks.judge.report.formats import leaning
from tasks.judge.report.learning_curve import answer_of
from tasks.judge.report.nameable_scores import nameable_rows, unnamed_in_words
from tasks.judge.report.nothing_scores import TITLES, nothing_caption, nothing_rows
from tasks.judge.report.page_scores import cautions, deciding_results, label_of, opponent_of, target_tables, verdict_of
from tasks.judge.report.templating import rendered
from tasks.store.records.metrics import Metrics

MAX_WORSE_NAMED = 10


def model_card(metrics: Metrics) -> str:
    """Render the card: YAML front matter and Markdown.

    Under 5,000 characters unless names are very long.
    """
    results = deciding_results(metrics)
    tables = target_tables(metrics)
    challenger = next((result for result in results if result.model == "fine-tuned"), None)
    worse = {target: [c.name for c in metrics.class_changes if c.target == target and c.is_worse] for target in metrics.targets}
    return rendered(
        "card.md.j2",
        m=metrics,
        verdict=verdict_of(metrics),
        cautions=[words for words, _ in cautions(metrics)],
        leaning=leaning(metrics.deciding_split),
        attempt=attempt_in_words(metrics.attempt, metrics.deciding_split),
        tables=tables,
        unnamed=unnamed_in_words(metrics.nameable) if metrics.nameable else "",
        nameable_rows=nameable_rows(metrics, tables[-1:]),
        nothing_rows=nothing_rows((label_of(result.model, metrics), result.nothing) for result in results),
        nothing_caption=nothing_caption(result.nothing for result in results),
        nothing_titles=TITLES,
        challenger=challenger,
        scores=[(target, getattr(challenger, target)) for target in metrics.targets] if challenger else [],
        opponent=label_of(opponent_of(metrics), metrics),
        worse=worse,
        more_labels=answer_of(metrics.learning_curve) if metrics.learning_curve else "",
        max_worse=MAX_WORSE_NAMED,
    )
