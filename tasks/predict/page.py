"""Render a prediction as one HTML file that loads nothing and needs no scripts."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TypeVar

from jinja2 import ChoiceLoader, PackageLoader

from tasks.judge.report.class_tables import matrix_between
from tasks.judge.report.templating import data_uri, frame_script, styles_of, templates
from tasks.judge.statistics.detection import MIN_SOURCES, TIOUS
from tasks.judge.statistics.mistakes import Confusion
from tasks.predict.agreement import Accuracy, Agreement, Pair
from tasks.predict.interval_scores import ReportedScores, WhenScores
from tasks.predict.output_files import ShownInterval
from tasks.predict.shift import FALSE_ALARMS, FAR, Shift, shift_in_words
from tasks.predict.to_label import ToLabel
from tasks.report_next_steps import Facts, report_steps
from tasks.settings import label_url
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.prediction import Predictor, PredictorRole
from tasks.store.records.record import SetAside, Target
from tasks.wording import clock, count, listed, percent

Value = TypeVar("Value")

MAX_SPANS_OPEN = 12
"""Rows of a video's table; a longer table is folded."""

MAX_NOT_REPORTED = 2000
"""Intervals of a page that are not reported, the likeliest. One takes 300 bytes, and a video of an hour may have tens of thousands."""

PERCENT_PER_LETTER, PERCENT_PER_LETTER_ON_PHONES = 0.8, 2.2
"""Width of a letter in percent of the page. A bar narrower than its text stays empty, since the table below has the text."""


@dataclass(frozen=True)
class Guess:
    """A network's best action on one clip."""

    action: str
    probability: float


@dataclass(frozen=True)
class ShownClip:
    """One clip on the page, with the second network's guess and the label, if any."""

    uid: str
    start_seconds: float
    stop_seconds: float
    model: Guess
    against: Guess | None
    truth: str | None


@dataclass(frozen=True)
class Span:
    """Adjacent clips with equal predictions of both networks; probabilities are means."""

    start_seconds: float
    stop_seconds: float
    num_clips: int
    model: Guess
    against: Guess | None
    truth: str | None

    @property
    def differs(self) -> bool:
        """Check whether two networks predict different actions."""
        return self.against is not None and self.against.action != self.model.action


@dataclass(frozen=True)
class Bar:
    """A prediction's stretch: start and width in percent, text if it fits, and tooltip."""

    x: float
    width: float
    shown: str
    spoken: str
    is_not_reported: bool = False

    @property
    def is_tight(self) -> bool:
        """Check whether the text is too long for a phone."""
        return len(self.shown) * PERCENT_PER_LETTER_ON_PHONES > self.width


@dataclass(frozen=True)
class Drawing:
    """The bars of a video's timeline: each network's predictions, and where they differ."""

    model: tuple[Bar, ...]
    against: tuple[Bar, ...]
    differ: tuple[Bar, ...]


def spans(clips: Sequence[ShownClip]) -> tuple[Span, ...]:
    """Merge equal neighbours of clips in time order, but not across unpredicted parts."""
    groups = _stretches([(clip, (clip.model.action, clip.against.action if clip.against else None, clip.truth)) for clip in clips])
    return tuple(
        Span(
            start_seconds=group[0].start_seconds,
            stop_seconds=group[-1].stop_seconds,
            num_clips=len(group),
            model=_mean([clip.model for clip in group]),
            against=_mean([clip.against for clip in group if clip.against]) if group[0].against else None,
            truth=group[0].truth,
        )
        for _, group in groups
    )


def drawing(clips: Sequence[ShownClip]) -> Drawing:
    """Draw clips of one video, in time order; parts that were not predicted stay blank."""
    total = _length(clips)
    both = [(clip, clip.against) for clip in clips if clip.against]
    differences = [(clip, "" if theirs.action == clip.model.action else "they differ") for clip, theirs in both]
    return Drawing(
        model=_bars([(clip, clip.model.action) for clip in clips], total),
        against=_bars([(clip, theirs.action) for clip, theirs in both], total),
        differ=tuple(bar for bar in _bars(differences, total) if bar.spoken),
    )


def interval_bars(intervals: Sequence[ShownInterval], clips: Sequence[ShownClip]) -> tuple[Bar, ...]:
    """Draw a network's intervals that begin before the last clip of the same video ends."""
    total = _length(clips)
    return tuple(
        _bar(i.start_seconds, min(i.stop_seconds, total), i.action, _likely(i), total, is_not_reported=i.is_not_reported)
        for i in intervals
        if i.start_seconds < total
    )


def _bars(pairs: Sequence[tuple[ShownClip, str]], total: float) -> tuple[Bar, ...]:
    return tuple(_bar(clips[0].start_seconds, clips[-1].stop_seconds, words, "", total) for words, clips in _stretches(pairs))


def _bar(start: float, stop: float, words: str, more: str, total: float, *, is_not_reported: bool = False) -> Bar:
    width = 100 * (stop - start) / total
    spoken = f"{clock(start)} to {clock(stop)}: {words}{more}" if words else ""
    shown = words if (len(words) + 1) * PERCENT_PER_LETTER <= width else ""
    return Bar(100 * start / total, width, shown, spoken, is_not_reported)


def _likely(interval: ShownInterval) -> str:
    if interval.probability is None:
        return ""
    return f", {percent(interval.probability)}" + (", not reported" if interval.is_not_reported else "")


def _length(clips: Sequence[ShownClip]) -> float:
    return max((clip.stop_seconds for clip in clips), default=0.0) or 1.0


def _stretches(pairs: Sequence[tuple[ShownClip, Value]]) -> list[tuple[Value, list[ShownClip]]]:
    """Group adjacent clips with equal values; a gap in time starts a new group."""
    stretches: list[tuple[Value, list[ShownClip]]] = []
    for clip, words in pairs:
        if stretches and words == stretches[-1][0] and clip.start_seconds == stretches[-1][1][-1].stop_seconds:
            stretches[-1][1].append(clip)
        else:
            stretches.append((words, [clip]))
    return stretches


def _mean(guesses: Sequence[Guess]) -> Guess:
    return Guess(guesses[0].action, sum(guess.probability for guess in guesses) / len(guesses))


@dataclass(frozen=True)
class ShownVideo:
    """One video on the page, with all or the first of its `num_clips` clips.

    `trained` names the networks that were trained on it. `intervals` are by network, reported or not, and empty without windows; `labelled`
    are those of people.
    """

    name: str
    video: str
    clips: tuple[ShownClip, ...]
    num_clips: int
    trained: tuple[str, ...] = ()
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
    """The provenance of a prediction, with the number of clips of each engine."""

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
    """The page's data.

    `videos` are those of `num_videos` that fit on the page. Timelines show the last of `targets`. `stride_seconds` is None without
    intervals. `when` has the scores of all intervals, `reported` those of reported ones. `shift` is None without videos outside the model's
    dataset, or without a known training clip.
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
    num_trained_by: Mapping[str, int] = field(default_factory=dict)
    clip_names: Mapping[str, str] = field(default_factory=dict)
    """Video and time of the clips that the cells of `confusions` list."""
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    """Small JPEGs of named clips, by uid."""

    @property
    def trained_words(self) -> str:
        """Say which networks were trained on videos of this prediction."""
        is_of_all = set(self.num_trained_by.values()) <= {self.num_videos_trained_on}
        return f"{trained_in_words(tuple(self.num_trained_by), is_each=not is_of_all)} {'' if is_of_all else 'some of '}these videos"

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
    """A video's timeline; if it `has_blanks`, some parts were not predicted."""

    video: ShownVideo
    spans: tuple[Span, ...]
    drawing: Drawing
    is_of_both: bool
    has_blanks: bool
    is_long: bool
    spoken: str
    intervals: Mapping[PredictorRole, IntervalRow]
    labelled: tuple[Bar, ...]


def trained_in_words(labels: Sequence[str], *, is_each: bool = False) -> str:
    """Say that networks were trained, up to `on`."""
    return f"{listed(list(labels))} {'were' if len(labels) > 1 else 'was'}{' each' if is_each else ''} trained on"


def page(inputs: PageInputs) -> str:
    """Render the page as HTML. Names are escaped."""
    script, script_hash = frame_script()
    left = _left(inputs)
    fix_of = partial(label_url, inputs.provenance.airflow_run, uri=inputs.provenance.prediction_uri)
    styles = styles_of(inputs.thumbnails)
    timelines = [_timeline(video, inputs, left) for video in inputs.videos]
    # This package's templates over the report's, with its style and filters.
    loader = ChoiceLoader([PackageLoader("tasks.predict"), PackageLoader("tasks.judge.report")])
    return (
        templates()
        .overlay(loader=loader)
        .get_template("prediction.html.j2")
        .render(
            p=inputs,
            networks={"model": inputs.model} | ({"against": inputs.against} if inputs.against else {}),
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
            trained_in_words=trained_in_words,
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
    if agreement.num_clips != inputs.num_clips:
        predicted = f"the {count(agreement.num_clips, 'clip')} that both predicted, of {predicted}"
    return f"The two networks predict the same {agreement.target} on {percent(agreement.share)} of {predicted}"


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
    labelled, is_long = interval_bars(video.labelled, video.clips), len(stretches) > MAX_SPANS_OPEN
    return Timeline(video, stretches, drawn, is_of_both, has_blanks, is_long, spoken, rows, labelled)


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
