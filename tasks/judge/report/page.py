"""Render the report as one self-contained HTML file.

No requests, no web fonts, readable without scripts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tasks.judge.gate.attempts import attempt_in_words
from tasks.judge.report.beside_probe import probe_section
from tasks.judge.report.classes import change_tables, histograms
from tasks.judge.report.confusion_tables import matrix_groups
from tasks.judge.report.figures.curves import training_charts
from tasks.judge.report.figures.reliability import reliability_charts
from tasks.judge.report.formats import leaning
from tasks.judge.report.inputs import ReportInputs
from tasks.judge.report.learning_curve import curve_section
from tasks.judge.report.long_training import long_section
from tasks.judge.report.machine import machine_rows
from tasks.judge.report.mistake_cards import mistake_cards
from tasks.judge.report.nameable_scores import nameable_rows, unnamed_of
from tasks.judge.report.nothing_scores import LEGEND, TITLES, nothing_caption, nothing_rows
from tasks.judge.report.page_scores import cautions, deciding_results, facts_of, label_of, opponent_of, target_tables, verdict_of
from tasks.judge.report.templating import frame_script, rendered
from tasks.keys import JOINED
from tasks.next_steps import next_steps
from tasks.options import Options, TrainOptions
from tasks.settings import label_url
from tasks.store.records.metrics import Metrics, NamedClip
from tasks.store.records.record import MODELS
from tasks.wording import stretch

SECTIONS = (
    ("scores", "Scores"),
    ("next", "Next"),
    ("gate", "Gate"),
    ("classes", "Classes"),
    ("confusion", "Confusion"),
    ("training", "Training"),
    ("more-labels", "More labels"),
    ("labels", "Labels"),
    ("calibration", "Calibration"),
    ("mistakes", "Mistakes"),
    ("checks", "Data checks"),
    ("speed", "Speed"),
    ("provenance", "Provenance"),
    ("reading", "Help"),
)


@dataclass(frozen=True)
class Setting:
    """One option: title, value and description."""

    title: str
    value: object
    description: str


def page(inputs: ReportInputs) -> str:
    """Render the page as HTML. Names are escaped."""
    metrics = inputs.metrics
    opponent = opponent_of(metrics)
    results = deciding_results(metrics)
    tables = target_tables(metrics)
    challenger = next((r for r in results if r.model == "fine-tuned"), None)
    scored_on = (challenger or results[0]).hardware if results else {}
    labels = {role: label_of(role, metrics) for role in MODELS}
    clip_of = partial(_clip, metrics, {clip.uid: clip for clip in metrics.clips})
    script, script_hash = frame_script()
    return rendered(
        "page.html.j2",
        m=metrics,
        clip_of=clip_of,
        names_of=lambda uids: [clip_of(uid)[0] or uid for uid in uids],
        script=script,
        script_hash=script_hash,
        sections=SECTIONS,
        results=results,
        challenger=challenger,
        deciding_size=next((s for s in metrics.splits if s.split == metrics.deciding_split), None),
        labels=labels,
        opponent=opponent,
        verdict=verdict_of(metrics),
        cautions=cautions(metrics),
        steps=tuple(next_steps(facts_of(metrics))),
        leaning=leaning(metrics.deciding_split),
        attempt=attempt_in_words(metrics.attempt, metrics.deciding_split),
        tables=tables,
        unnamed=unnamed_of(metrics),
        nameable_rows=nameable_rows(metrics, tables),
        num_nothing=sum(size.num_nothing for size in metrics.splits),
        nothing_rows=nothing_rows((labels[result.model], result.nothing) for result in results),
        nothing_caption=nothing_caption(result.nothing for result in results),
        nothing_titles=TITLES,
        nothing_legend=LEGEND,
        gate_settings=settings_of(metrics.gate),
        change_tables=change_tables(metrics.class_changes),
        matrix_groups=matrix_groups(metrics.confusions, MODELS),
        training_charts=training_charts(metrics.epochs, metrics.best_epoch, metrics.provenance.train.validation_crops),
        long_section=long_section(metrics),
        beside_probe=probe_section(metrics),
        curve=curve_section(metrics.learning_curve) if metrics.learning_curve else None,
        histograms=histograms(metrics.label_counts),
        reliability_charts=reliability_charts(metrics),
        mistakes=mistake_cards(inputs),
        machines=(("Scored on", machine_rows(scored_on)), ("Trained on", machine_rows(metrics.provenance.trained_on))),
        option_groups=(("Training", training_settings(metrics)), ("Evaluation", settings_of(metrics.provenance.evaluate))),
    )


def _clip(metrics: Metrics, clips: Mapping[str, NamedClip], uid: str) -> tuple[str, str, str, str]:
    """Return a clip's name, uid, address on Label, and link to its frames.

    The name is empty if it is not known.
    """
    frames = next((f"#mistake-{place}" for place, one in enumerate(metrics.mistakes, start=1) if one.uid == uid), "")
    return (*clip_in_words(clips, metrics.provenance.airflow_run, metrics.provenance.dataset_uri, uid), frames)


def clip_in_words(clips: Mapping[str, NamedClip], airflow_run: str, dataset_uri: str, uid: str) -> tuple[str, str, str]:
    """Return a clip's name, uid, and address on the page Label.

    The name is empty if it is not known.
    """
    named = clips.get(uid)
    name = f"{named.file} {stretch(named.start_seconds, named.stop_seconds)}" if named else ""
    return name, uid, label_url(airflow_run, uid, uri=dataset_uri)


def training_settings(metrics: Metrics) -> Sequence[Setting]:
    """List the training options; for a fusion, only those with an effect on it."""
    train, fields = metrics.provenance.train, TrainOptions.model_fields
    shown = {fields[name].title for name in (*(JOINED if train.join == "features" else ()), "fuse")}
    return [one for one in settings_of(train) if not (train.fuse or metrics.fusion) or one.title in shown]


def settings_of(options: Options) -> Sequence[Setting]:
    """List options with their titles in the trigger form."""
    fields = type(options).model_fields
    return [Setting(info.title or name, getattr(options, name), info.description or "") for name, info in fields.items()]
