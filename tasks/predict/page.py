"""Render a prediction as one self-contained HTML file.

No requests, no web fonts, readable without scripts.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter

from jinja2 import ChoiceLoader, PackageLoader

from tasks.judge.report.class_tables import matrix_between
from tasks.judge.report.templating import data_uri, frame_script, styles_of, templates
from tasks.judge.statistics.detection import MIN_SOURCES, TIOUS
from tasks.judge.statistics.mistakes import Confusion
from tasks.predict.agreement import Accuracy, Agreement, Pair
from tasks.predict.interval_scores import ReportedScores, WhenScores
from tasks.predict.shift import FALSE_ALARMS, FAR, Shift, shift_in_words
from tasks.predict.timeline import Bar, Drawing, Guess, ShownClip, ShownInterval, Span, drawing, interval_bars, spans
from tasks.predict.to_label import ToLabel
from tasks.report_steps import Facts, report_steps
from tasks.settings import label_url
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.prediction import Predictor, PredictorRole
from tasks.store.records.record import SetAside, Target
from tasks.wording import count, percent

MAX_SPANS_OPEN = 12
"""Rows of a video's table; a longer table is folded."""

MAX_NOT_REPORTED = 2000
"""Intervals of a page that are not reported, the likeliest. One takes 300 bytes, and a film of an hour may have tens of thousands."""


@dataclass(frozen=True)
class ShownVideo:
    """One video on the page, with all or the first of its `num_clips` clips.

    `intervals` are those that are reported, by network; it is empty without windows. `labelled` are those of people.
    """

    name: str
    video: str
    clips: tuple[ShownClip, ...]
    num_clips: int
    is_trained_on: bool
    intervals: Mapping[PredictorRole, tuple[ShownInterval, ...]] = field(default_factory=dict)
    labelled: tuple[ShownInterval, ...] = ()


@dataclass(frozen=True)
class Differing:
    """A clip on which the networks differ strongly; `media` is the embedded clip, if any."""

    uid: str
    uri: str
    file: str
    start_seconds: float
    stop_seconds: float
    divergence: float
    model: tuple[Guess, ...]
    against: tuple[Guess, ...]
    truth: str | None
    media: bytes | None


@dataclass(frozen=True)
class PredictionProvenance:
    """The provenance of a prediction; `engines` lists each engine with its number of clips."""

    key: str
    created: str
    code_version: str
    prediction_uri: str
    airflow_run: str
    mlflow_run_url: str
    crops: int
    engines: Mapping[PredictorRole, tuple[tuple[EngineUsed, int], ...]]
    known: str
    scoring_seconds: float


@dataclass(frozen=True)
class PageInputs:
    """The page's data. `videos` are those of `num_videos` that fit on the page; timelines show the last of `targets`.

    `stride_seconds` is that of the windows, None without intervals. `when` has scores where intervals are labelled, and `reported` those of
    reported intervals. `shift` says how far the videos outside the model's dataset lie from its training clips, None if there is none, or no
    training clip is known.
    """

    model: Predictor
    against: Predictor | None
    missing: tuple[str, ...]
    targets: tuple[Target, ...]
    num_videos: int
    num_videos_trained_on: int
    num_clips: int
    num_labelled: int
    videos: tuple[ShownVideo, ...]
    agreements: tuple[Agreement, ...]
    pairs: Mapping[Target, tuple[Pair, ...]]
    num_differing: Mapping[Target, int]
    confusions: Mapping[Target, Confusion]
    accuracies: tuple[Accuracy, ...]
    differing: tuple[Differing, ...]
    to_label: tuple[ToLabel, ...]
    set_aside: tuple[SetAside, ...]
    warnings: tuple[SetAside, ...]
    provenance: PredictionProvenance
    stride_seconds: float | None = None
    when: tuple[WhenScores, ...] = ()
    reported: tuple[ReportedScores, ...] = ()
    shift: Shift | None = None
    clip_names: Mapping[str, str] = field(default_factory=dict)
    """Film and time of the clips that the cells of `confusions` list."""
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    """Small JPEGs of named clips, by uid."""

    @property
    def named_uids(self) -> tuple[str, ...]:
        """List the uids of all clips that are named, first those to label."""
        listed = (*(each.clip.uid for each in self.to_label), *(clip.uid for clip in self.differing))
        cells = (cell for matrix in reversed(tuple(self.confusions.values())) for cell in matrix.wrong)
        return tuple(dict.fromkeys((*listed, *(uid for cell in cells for uid in cell.uids))))


@dataclass(frozen=True)
class IntervalRow:
    """A network's intervals in one video as bars and list; `num_left` more do not fit."""

    bars: tuple[Bar, ...]
    listed: tuple[ShownInterval, ...]
    num_left: int
    spoken: str


@dataclass(frozen=True)
class Timeline:
    """A video's timeline; `is_of_both`: both networks predicted it; `has_blanks`: some parts were not predicted."""

    video: ShownVideo
    spans: tuple[Span, ...]
    drawing: Drawing
    is_of_both: bool
    has_blanks: bool
    is_long: bool
    spoken: str
    intervals: Mapping[PredictorRole, IntervalRow]
    labelled: tuple[Bar, ...]


def page(inputs: PageInputs) -> str:
    """Render the page as HTML. Names are escaped."""
    script, script_hash = frame_script()
    left = _left(inputs)
    fix_of = partial(label_url, inputs.provenance.airflow_run, uri=inputs.provenance.prediction_uri)
    styles = styles_of(inputs.thumbnails)
    timelines = [_timeline(video, inputs, left) for video in inputs.videos]
    both: dict[PredictorRole, Predictor | None] = {"model": inputs.model, "against": inputs.against}
    # This package's templates over the report's, with its style and filters.
    loader = ChoiceLoader([PackageLoader("tasks.predict"), PackageLoader("tasks.judge.report")])
    return (
        templates()
        .overlay(loader=loader)
        .get_template("prediction.html.j2")
        .render(
            p=inputs,
            networks={role: network for role, network in both.items() if network},
            sections=_sections(inputs),
            timelines=timelines,
            has_blanks=any(timeline.has_blanks for timeline in timelines),
            clip_of=lambda uid: (inputs.clip_names.get(uid, ""), uid, fix_of(uid), "", styles.get(uid, "")),
            differing=[(clip, data_uri(clip.media, "video/mp4") if clip.media else "") for clip in inputs.differing],
            matrices=[
                (target, matrix_between(confusion, target, inputs.against.label if inputs.against else "", inputs.model.label))
                for target, confusion in inputs.confusions.items()
            ],
            headline=_headline(inputs),
            shift_words=shift_in_words(inputs.shift) if inputs.shift else "",
            steps=tuple(report_steps(Facts(num_to_label=len(inputs.to_label), label_url=fix_of()))),
            has_labels=any(timeline.labelled for timeline in timelines),
            num_not_reported_left=sum(row.num_left for timeline in timelines for row in timeline.intervals.values()),
            far=FAR,
            false_alarms=FALSE_ALARMS,
            tious=TIOUS,
            min_sources=MIN_SOURCES,
            script=script,
            script_hash=script_hash,
        )
    )


def _sections(inputs: PageInputs) -> list[tuple[str, str]]:
    are_compared = bool(inputs.agreements)
    sections = (
        ("next", "Next", bool(inputs.to_label)),
        ("timeline", "Timeline", True),
        ("shift", "New footage", inputs.shift is not None),
        ("agreement", "Agreement", are_compared),
        ("accuracy", "Accuracy", bool(inputs.accuracies)),
        ("reported", "Reported intervals", inputs.stride_seconds is not None),
        ("when", "When", bool(inputs.when)),
        ("pairs", "Differences", are_compared),
        ("differing", "Largest differences", are_compared),
        ("to-label", "To label", True),
        ("left-out", "Left out", True),
        ("provenance", "Provenance", True),
        ("reading", "How to read this", True),
    )
    return [(key, title) for key, title, is_shown in sections if is_shown]


def _headline(inputs: PageInputs) -> str:
    predicted = f"{count(inputs.num_clips, 'clip')} of {count(inputs.num_videos, 'video')}"
    if not inputs.agreements:
        return f"{predicted}, predicted only by {inputs.model.label}"
    agreement = inputs.agreements[-1]
    measured = (
        predicted
        if agreement.num_clips == inputs.num_clips
        else f"the {count(agreement.num_clips, 'clip')} that both predicted, of {predicted}"
    )
    return f"The two networks predict the same {agreement.target} on {percent(agreement.share)} of {measured}"


def _timeline(video: ShownVideo, inputs: PageInputs, left: Mapping[tuple[str, PredictorRole], Collection[int]]) -> Timeline:
    stretches = spans(video.clips)
    drawn = drawing(video.clips)
    is_of_both = bool(drawn.against)
    has_blanks = any(
        span.start_seconds != stop for span, stop in zip(stretches, (0.0, *(earlier.stop_seconds for earlier in stretches)), strict=False)
    )
    cut_off = f" of {video.num_clips:,}" if len(video.clips) < video.num_clips else ""
    spoken = f"{video.name}: {count(len(video.clips), 'clip')}{cut_off}"
    if is_of_both:
        spoken += f", the same {inputs.targets[-1]} on {sum(span.num_clips for span in stretches if not span.differs)}"
    rows = {role: _interval_row(own, video, left.get((video.video, role), ())) for role, own in video.intervals.items()}
    return Timeline(
        video,
        stretches,
        drawn,
        is_of_both,
        has_blanks,
        len(stretches) > MAX_SPANS_OPEN,
        spoken,
        rows,
        interval_bars(video.labelled, video.clips),
    )


def _interval_row(listed: tuple[ShownInterval, ...], video: ShownVideo, left: Collection[int]) -> IntervalRow:
    num_not_reported = sum(interval.is_not_reported for interval in listed)
    counted = count(len(listed) - num_not_reported, "interval") + (f" and {num_not_reported:,} not reported" if num_not_reported else "")
    shown = tuple(interval for i, interval in enumerate(listed) if i not in left)
    return IntervalRow(interval_bars(shown, video.clips), shown, len(left), counted)


def _left(inputs: PageInputs) -> Mapping[tuple[str, PredictorRole], Collection[int]]:
    """Find the intervals left out of the page: the least likely that are not reported."""
    places = [
        (-(interval.probability or 0), video.video, role, i)
        for video in inputs.videos
        for role, own in video.intervals.items()
        for i, interval in enumerate(own)
        if interval.is_not_reported
    ]
    left: defaultdict[tuple[str, PredictorRole], set[int]] = defaultdict(set)
    for _, video, role, i in sorted(places, key=itemgetter(0))[MAX_NOT_REPORTED:]:
        left[video, role].add(i)
    return left
