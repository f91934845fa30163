"""Read and order the clips that can be labelled, and the suggestions of a prediction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import NamedTuple

from tasks.data.clips.label_inputs import prediction_table
from tasks.data.labels.intervals import drawn_by
from tasks.data.labels.ledger import ClipKey, key_of
from tasks.errors import BadInput, MissingObject
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.predict.output_files import action_of, rows_of
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.video import ClipsFile
from tasks.store.run_layout import Prediction, PredictionReport

NUM_THREADS = 8


class PageClip(NamedTuple):
    """A clip of the page; `key` is its part of the video, for statements."""

    uid: str
    video: str
    uri: str
    start_seconds: float
    stop_seconds: float
    num_frames: int
    key: ClipKey

    @property
    def around(self) -> None:
        """Return that the clip lies on the grid."""


@dataclass(frozen=True)
class Cut:
    """All clips that were cut with the same options, by video and by time."""

    recipe: str
    options: SegmentOptions
    by_video: Mapping[str, tuple[PageClip, ...]]
    names: Mapping[str, str]
    clips: Mapping[str, PageClip] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Index the clips by uid."""
        object.__setattr__(self, "clips", {clip.uid: clip for clips in self.by_video.values() for clip in clips})


class _OfVideo(NamedTuple):
    """The clips of a video that were cut with the same options, by time."""

    video: str
    recipe: str
    options: SegmentOptions
    clips: tuple[PageClip, ...]


class ClipFiles:
    """Reads the lists of clips of a store, each only once."""

    def __init__(self, store: Store, store_uri: str) -> None:
        self._store = store
        self._layout = Layout(store_uri)
        self._files: dict[str, _OfVideo | None] = {}
        self._names: dict[str, str] = {}

    def read(self) -> dict[str, Cut]:
        """Find all cuts, by the key of their options."""
        videos = [folder.rstrip("/").rpartition("/")[2] for folder in self._store.folders(self._layout.videos)]
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            by_folder = list(pool.map(self._of_video, videos))
        files: dict[str, dict[str, _OfVideo]] = {}
        for file in (file for files in by_folder for file in files):
            of_cut = files.setdefault(recipe_of(file.options), {})
            if file.video not in of_cut or file.recipe < of_cut[file.video].recipe:
                of_cut[file.video] = file
        return {recipe: self._cut(recipe, of_cut) for recipe, of_cut in files.items()}

    def _cut(self, recipe: str, files: Mapping[str, _OfVideo]) -> Cut:
        options = next(iter(files.values())).options
        return Cut(recipe, options, {video: file.clips for video, file in files.items()}, {video: self._names[video] for video in files})

    def _of_video(self, video: str) -> list[_OfVideo]:
        files = []
        for folder in self._store.folders(self._layout.clips_of(video)):
            if folder not in self._files:
                try:
                    self._files[folder] = _by_time(self._store.read(Clips(folder)))
                except MissingObject:
                    continue
                except BadInput:
                    self._files[folder] = None
            if file := self._files[folder]:
                files.append(file)
        if files and video not in self._names:
            record = self._store.read(self._layout.video(video).probe)
            self._names[video] = record.names[0] if record.names else video[:12]
        return files


def _by_time(file: ClipsFile) -> _OfVideo | None:
    """Keep the page's fields of clips on the grid: intervals label the others."""
    if not file.clips or file.options.cut != "grid":
        return None
    clips = (
        PageClip(clip.uid, file.video, clip.uri, clip.start_seconds, clip.stop_seconds, clip.num_frames, key_of(clip))
        for clip in file.clips
    )
    return _OfVideo(file.video, file.recipe, file.options, tuple(sorted(clips, key=lambda clip: clip.start_seconds)))


def of_use(cuts: Mapping[str, Cut]) -> Cut | None:
    """Choose the cut with the most videos; between equals, the one with the default options."""
    default = recipe_of(SegmentOptions())
    return max(cuts.values(), key=lambda cut: (len(cut.by_video), cut.recipe == default, cut.recipe), default=None)


def diverse(cut: Cut) -> list[str]:
    """Order clips to spread each prefix over all videos and each video's time."""
    orders = [_spread(clips) for _, clips in sorted(cut.by_video.items(), key=lambda item: drawn_by(item[0]))]
    return [clip.uid for together in zip_longest(*orders) for clip in together if clip]


def _spread(clips: Sequence[PageClip]) -> list[PageClip]:
    """Order a video's clips by bit reversal (van der Corput): each prefix spans its time."""
    num_bits = max(1, (len(clips) - 1).bit_length())
    places = (int(f"{number:0{num_bits}b}"[::-1], 2) for number in range(1 << num_bits))
    return [clips[place] for place in places if place < len(clips)]


NUM_SUGGESTED = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An action, and how likely the model thinks it is."""

    verb: str
    noun: str
    probability: float


@dataclass(frozen=True, slots=True)
class SuggestedInterval(Suggestion):
    """An action from one moment of a video to another."""

    start_seconds: float
    stop_seconds: float


@dataclass(frozen=True)
class Suggestions:
    """The suggestions of the latest prediction by clip, best first.

    `reasons` say why a clip is worth a label. They are in the order of the prediction's list of clips to label. `intervals` are those of
    each video, by time; only a prediction with a stride has any. Clips of `measured` videos, those of val and test, have none of these, so
    that no network biases its own test. `splits_etag` is the ETag of the splits that were read.
    """

    prediction: str | None = None
    by_clip: Mapping[str, tuple[Suggestion, ...]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, tuple[SuggestedInterval, ...]] = field(default_factory=dict)
    measured: frozenset[str] = frozenset()
    splits_etag: str = ""

    def blind(self, measured: frozenset[str], splits_etag: str) -> "Suggestions":
        """Leave out everything about these videos."""
        out = {video[:12] for video in measured}
        return replace(
            self,
            by_clip={uid: best for uid, best in self.by_clip.items() if uid[:12] not in out},
            reasons={uid: reason for uid, reason in self.reasons.items() if uid[:12] not in out},
            intervals={video: own for video, own in self.intervals.items() if video not in measured},
            measured=measured,
            splits_etag=splits_etag,
        )


def read_suggestions(store: Store, folder: str) -> Suggestions:
    """Read the tables of a prediction.

    Raises:
        BadInput: another version of Retake wrote them.
    """
    report = Prediction(folder).report
    try:
        network, by_clip = _predicted(store, report)
        reasons = {
            row["uid"]: row["reason"] for row in rows_of(prediction_table(store, report.to_label_rows, report.to_label), ("uid", "reason"))
        }
        return Suggestions(folder, by_clip, reasons, _intervals(store, report, network))
    except (LookupError, ValueError) as error:
        raise BadInput(f"{folder} has no tables that this version can read ({error}); predict again") from None


def _predicted(store: Store, report: PredictionReport) -> tuple[str | None, dict[str, tuple[Suggestion, ...]]]:
    """Read the first network's name, and its best actions of each clip."""
    columns = ("uid", "network", "rank", "verb", "verb_probability", "action", "action_probability")
    first: str | None = None
    by_clip: defaultdict[str, tuple[Suggestion, ...]] = defaultdict(tuple)
    for row in rows_of(prediction_table(store, report.table_rows, report.table), columns):
        first = first or row["network"]
        if row["network"] == first and int(row["rank"]) <= NUM_SUGGESTED:
            by_clip[row["uid"]] += (Suggestion(*action_of(row)),)
    return first, by_clip


def _intervals(store: Store, report: PredictionReport, network: str | None) -> dict[str, tuple[SuggestedInterval, ...]]:
    """Read a network's intervals of each video; without a stride there are none."""
    if not store.exists(report.intervals):
        return {}
    columns = ("video_sha256", "network", "start_seconds", "stop_seconds", "verb", "noun", "probability")
    by_video: defaultdict[str, list[SuggestedInterval]] = defaultdict(list)
    for row in rows_of(prediction_table(store, report.intervals_rows, report.intervals), columns):
        if row["network"] == network:
            start, stop, probability = (float(row[name]) for name in ("start_seconds", "stop_seconds", "probability"))
            by_video[row["video_sha256"]].append(SuggestedInterval(row["verb"], row.get("noun") or NO_OBJECT, probability, start, stop))
    return {video: tuple(sorted(own, key=lambda part: (part.start_seconds, part.stop_seconds))) for video, own in by_video.items()}
