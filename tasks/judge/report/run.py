"""Report a run as a page, a model card, and its approval's question.

The page is one HTML file: no requests, no web fonts, readable without scripts. Card and question are Markdown with all names escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from tasks.judge.gate.gate import attempt_in_words
from tasks.judge.gate.verdict import cautions, deciding_results, facts_of, figures_in_words, opponent_of, verdict_of
from tasks.judge.report.class_tables import change_tables, histograms, matrix_groups
from tasks.judge.report.curves import curve_answer, curve_section, long_section
from tasks.judge.report.page_charts import reliability_charts, training_charts
from tasks.judge.report.scores import (
    NOTHING_LEGEND,
    Table,
    label_of,
    nameable_table,
    nothing_table,
    seeds_table,
    target_tables,
    unnamed_in_words,
    unnamed_of,
)
from tasks.judge.report.templating import about_split, coverage, data_uri, frame_script, leaning, machine_rows, rendered, styles_of
from tasks.keys import JOINED
from tasks.options import Options, TrainOptions
from tasks.report_next_steps import report_steps
from tasks.settings import label_url
from tasks.store.records.dataset import NO_OBJECT, action_name
from tasks.store.records.evaluation import ActivationMap
from tasks.store.records.metrics import MAX_DOUBTFUL, Metrics, Mistake, NamedClip
from tasks.store.records.record import MODELS
from tasks.wording import count, markdown_text, stretch

SECTIONS = (
    ("scores", "Scores"),
    ("next", "Next"),
    ("gate", "Gate"),
    ("classes", "Classes"),
    ("groups", "Where it fails"),
    ("confusion", "Confusion"),
    ("training", "Training"),
    ("more-labels", "More labels"),
    ("labels", "Labels"),
    ("doubtful", "Doubtful labels"),
    ("calibration", "Calibration"),
    ("mistakes", "Mistakes"),
    ("checks", "Data checks"),
    ("speed", "Speed"),
    ("machines", "Other machines"),
    ("provenance", "Provenance"),
    ("reading", "Help"),
)


@dataclass(frozen=True)
class ReportInputs:
    """A run's metrics, and its pictures by clip uid.

    The page omits or flags missing pictures.

    Attributes:
        sheets: JPEG contact sheets.
        activations: class activation maps with their PNGs.
        clips: MP4s of the worst mistakes; for a missing clip the page gives its address.
        thumbnails: small JPEGs of named clips.
        spectrograms: PNGs of their sound, for a network that hears; empty bytes for a clip in which there is nothing to hear.
    """

    metrics: Metrics
    sheets: Mapping[str, bytes] = field(default_factory=dict)
    activations: Mapping[str, Sequence[tuple[ActivationMap, bytes]]] = field(default_factory=dict)
    clips: Mapping[str, bytes] = field(default_factory=dict)
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    spectrograms: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """One option: title, value and description."""

    title: str
    value: object
    description: str


@dataclass(frozen=True)
class MistakeCard:
    """One mistake; `sheet`, `video` and `spectrogram` are data URIs, empty if missing.

    Attributes:
        words: the predicted verb and noun, each with whether it is right; only the verb if truth and prediction have no object.
        opponent_words: the same of the opponent.
        maps: captions and data URIs of class activation maps.
        hears: the network hears; then there was nothing to hear in a clip without a spectrogram.
    """

    mistake: Mistake
    true: str
    predicted: str
    words: tuple[tuple[str, bool], ...]
    opponent_words: tuple[tuple[str, bool], ...]
    sheet: str
    video: str
    maps: tuple[tuple[str, str], ...]
    spectrogram: str
    hears: bool


def page(inputs: ReportInputs) -> str:
    """Render the page as HTML. Names are escaped."""
    metrics = inputs.metrics
    results, shared = deciding_results(metrics), _shared(metrics)
    scored_on = (shared["challenger"] or results[0]).hardware if results else {}
    clip_of = partial(_clip, metrics, {clip.uid: clip for clip in metrics.clips}, styles_of(inputs.thumbnails))
    script, script_hash = frame_script()
    return rendered(
        "page.html.j2",
        **shared,
        clip_of=clip_of,
        thumbnails=inputs.thumbnails,
        names_of=lambda uids: [clip_of(uid)[0] or uid for uid in uids],
        script=script,
        script_hash=script_hash,
        sections=SECTIONS,
        results=results,
        deciding_size=next((s for s in metrics.splits if s.split == metrics.deciding_split), None),
        labels={role: label_of(role, metrics) for role in MODELS},
        opponent=opponent_of(metrics),
        cautions=cautions(metrics),
        steps=tuple(report_steps(facts_of(metrics))),
        unnamed=unnamed_of(metrics),
        nameable_table=nameable_table(metrics, metrics.targets),
        num_nothing=sum(size.num_nothing for size in metrics.splits),
        nothing_legend=NOTHING_LEGEND,
        gate_settings=settings_of(metrics.gate),
        groups=[(column, list(own)) for column, own in groupby(metrics.groups, key=attrgetter("column"))],
        change_tables=change_tables(metrics.class_changes),
        matrix_groups=matrix_groups(metrics.confusions, MODELS),
        training_charts=training_charts(metrics.epochs, metrics.best_epoch, metrics.provenance.train.validation_crops),
        long_section=long_section(metrics),
        curve=curve_section(metrics.learning_curve) if metrics.learning_curve else None,
        histograms=histograms(metrics.label_counts),
        audit=metrics.audit,
        doubtful=metrics.audit.doubtful[:MAX_DOUBTFUL] if metrics.audit else (),
        action_name=action_name,
        reliability_charts=reliability_charts(metrics),
        mistakes=tuple(_card(mistake, inputs) for mistake in metrics.mistakes),
        machines=(("Scored on", machine_rows(scored_on)), ("Trained on", machine_rows(metrics.provenance.trained_on))),
        option_groups=(("Training", training_settings(metrics)), ("Evaluation", settings_of(metrics.provenance.evaluate))),
    )


def model_card(metrics: Metrics) -> str:
    """Render the card, YAML and Markdown, under 5,000 characters unless names are very long."""
    shared = _shared(metrics)
    challenger = shared["challenger"]
    return rendered(
        "card.md.j2",
        **shared,
        cautions=[words for words, _ in cautions(metrics)],
        unnamed=unnamed_in_words(metrics.nameable) if metrics.nameable else "",
        nameable_table=_card_nameable_table(metrics),
        scores=[(target, getattr(challenger, target)) for target in metrics.targets] if challenger else [],
        opponent=label_of(opponent_of(metrics), metrics),
        worse={target: [c.name for c in metrics.class_changes if c.target == target and c.is_worse] for target in metrics.targets},
        more_labels=curve_answer(metrics.learning_curve) if metrics.learning_curve else "",
        max_worse=10,
        max_pages=5,
    )


def _shared(metrics: Metrics) -> dict[str, Any]:
    """Collect what page and card show."""
    results = deciding_results(metrics)
    return {
        "m": metrics,
        "challenger": next((result for result in results if result.model == "fine-tuned"), None),
        "verdict": verdict_of(metrics),
        "leaning": leaning(metrics.deciding_split, chose_epoch=metrics.val_chose),
        "about_split": about_split(metrics),
        "coverage": coverage(metrics),
        "attempt": attempt_in_words(metrics.attempt, metrics.deciding_split),
        "tables": target_tables(metrics),
        "seeds": seeds_table(metrics),
        "nothing": nothing_table((label_of(result.model, metrics), result.nothing) for result in results),
    }


def _card_nameable_table(metrics: Metrics) -> Table | None:
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


def _clip(metrics: Metrics, clips: Mapping[str, NamedClip], pictures: Mapping[str, str], uid: str) -> tuple[str, str, str, str, str]:
    """Return a clip's name, uid, address on Label, frames' link and picture's class."""
    frames = next((f"#mistake-{place}" for place, mistake in enumerate(metrics.mistakes, start=1) if mistake.uid == uid), "")
    return (*clip_in_words(clips, metrics.provenance.airflow_run, metrics.provenance.dataset_uri, uid), frames, pictures.get(uid, ""))


def clip_in_words(clips: Mapping[str, NamedClip], airflow_run: str, dataset_uri: str, uid: str) -> tuple[str, str, str]:
    """Return a clip's name, empty if unknown, its uid, and address on the page Label."""
    named = clips.get(uid)
    name = f"{named.file} {stretch(named.start_seconds, named.stop_seconds)}" if named else ""
    return name, uid, label_url(airflow_run, uid, uri=dataset_uri)


def training_settings(metrics: Metrics) -> Sequence[Setting]:
    """List the training options; for a fusion, only those with an effect on it."""
    train, fields = metrics.provenance.train, TrainOptions.model_fields
    shown = {fields[name].title for name in (*(JOINED if train.join == "features" else ()), "fuse")}
    return [setting for setting in settings_of(train) if not (train.fuse or metrics.fusion) or setting.title in shown]


def settings_of(options: Options) -> Sequence[Setting]:
    """List options with their titles in the trigger form; those of earlier versions by name."""
    fields = type(options).model_fields
    values = {**dict(options), **options.gone}
    current = [Setting(info.title or name, values[name], info.description or "") for name, info in fields.items()]
    return [*current, *(Setting(name, value, "Removed since") for name, value in options.gone.items() if name not in fields)]


def _card(mistake: Mistake, inputs: ReportInputs) -> MistakeCard:
    sheet, clip, spectrogram = (media.get(mistake.uid) for media in (inputs.sheets, inputs.clips, inputs.spectrograms))
    return MistakeCard(
        mistake=mistake,
        true=action_name(mistake.true_verb, mistake.true_noun),
        predicted=action_name(mistake.predicted_verb, mistake.predicted_noun),
        words=_answer_words(mistake, mistake.predicted_verb, mistake.predicted_noun),
        opponent_words=_answer_words(mistake, mistake.opponent_verb, mistake.opponent_noun),
        sheet=data_uri(sheet, "image/jpeg") if sheet else "",
        video=data_uri(clip, "video/mp4") if clip else "",
        maps=tuple(
            (f"{activation.target} '{activation.class_name}'", data_uri(png, "image/png"))
            for activation, png in inputs.activations.get(mistake.uid, ())
        ),
        spectrogram=data_uri(spectrogram, "image/png") if spectrogram else "",
        hears=spectrogram is not None,
    )


def _answer_words(mistake: Mistake, verb: str, noun: str) -> tuple[tuple[str, bool], ...]:
    of_verb, of_noun = (verb, verb == mistake.true_verb), (noun, noun == mistake.true_noun)
    return (of_verb,) if noun == mistake.true_noun == NO_OBJECT else (of_verb, of_noun)
