"""Gather the labels of videos, to hand them to other tools."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.data.labels.intervals import ROUNDING_SECONDS
from tasks.data.labels.video_names import video_names, without_extension
from tasks.store.records.dataset import NO_OBJECT, action_name
from tasks.store.records.video import VideoRecord


@dataclass(frozen=True)
class LabelSpan:
    """A part of a video with a label; `score` is the probability of a prediction, `origin` the line that labels it."""

    start_seconds: float
    stop_seconds: float
    verb: str
    noun: str
    verb_class: int | None = None
    noun_class: int | None = None
    origin: str | None = None
    score: float | None = None

    @property
    def text(self) -> str:
        """Return the label as one text, which is read as the same verb and noun again."""
        # A verb of several words alone would be read as a verb and a noun.
        return f"{self.verb} {NO_OBJECT}" if self.noun == NO_OBJECT and "-" in self.verb else action_name(self.verb, self.noun)


@dataclass(frozen=True)
class VideoSpans:
    """A video under a name that finds it again, with its labels and predictions by time."""

    name: str
    uri: str
    fps: float
    duration_seconds: float
    labels: tuple[LabelSpan, ...]
    predictions: tuple[LabelSpan, ...]

    @property
    def name_without_extension(self) -> str:
        """Return the name as data sets of videos have it."""
        return without_extension(self.name)


def video_spans(
    videos: Sequence[VideoRecord], labels: Mapping[str, Sequence[LabelSpan]], predicted: Mapping[str, Sequence[LabelSpan]]
) -> list[VideoSpans]:
    """List the videos by name, with labels that begin before the end, by time. Equal predictions in a row are one span."""
    names = video_names(videos)
    found = [
        VideoSpans(
            name=names[video.video],
            uri=video.uri,
            fps=video.fps,
            duration_seconds=video.duration_seconds,
            labels=tuple(
                sorted(
                    (span for span in labels.get(video.video, ()) if span.start_seconds < video.duration_seconds),
                    key=lambda span: (span.start_seconds, span.stop_seconds),
                )
            ),
            predictions=tuple(joined_alike(predicted.get(video.video, ()))),
        )
        for video in videos
    ]
    return sorted(found, key=lambda video: video.name)


def joined_alike(spans: Iterable[LabelSpan]) -> Iterator[LabelSpan]:
    """Join spans that follow one another with the same label of the same line; the score is their mean over time."""
    together: list[LabelSpan] = []
    for span in sorted(spans, key=lambda span: span.start_seconds):
        if together and not _continues(together[-1], span):
            yield _joined(together)
            together = []
        together.append(span)
    if together:
        yield _joined(together)


def _continues(one: LabelSpan, other: LabelSpan) -> bool:
    same = (one.verb, one.noun, one.origin) == (other.verb, other.noun, other.origin)
    return same and abs(other.start_seconds - one.stop_seconds) <= ROUNDING_SECONDS


def _joined(spans: Sequence[LabelSpan]) -> LabelSpan:
    first, last = spans[0], spans[-1]
    seconds = [(span.stop_seconds - span.start_seconds, span.score) for span in spans]
    known = [(length, score) for length, score in seconds if score is not None]
    total = sum(length for length, _ in known)
    score = sum(length * score for length, score in known) / total if total else first.score
    return LabelSpan(
        first.start_seconds, last.stop_seconds, first.verb, first.noun, first.verb_class, first.noun_class, first.origin, score
    )
