"""Find the labels and the source recordings of the videos of a prediction."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter

from tasks.data.clips.gather_labels import LabelledParts, label_now
from tasks.data.labels.intervals import overlap_finder, without
from tasks.data.labels.recordings import detect_recordings
from tasks.data.labels.video_names import lacks_label
from tasks.errors import BadInput
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.pipeline._results import log
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NOTHING, LabelledClip, Manifest
from tasks.store.records.prediction import KnownLabel, KnownLabels, PredictedVideo
from tasks.store.records.video import Interval, VideoRecord

NUM_THREADS = 16


def labelled_sources(manifests: Iterable[Manifest], latest: Iterable[LabelledClip]) -> dict[str, str]:
    """Map each video to its source recording, by the latest labels, else by the datasets.

    The latest labels also know videos without labels.
    """
    sources = {clip.video: clip.source for manifest in manifests for clip in manifest.clips}
    return sources | {labelled.clip.video: labelled.source for labelled in latest}


def sources_of_new(videos: Sequence[PredictedVideo], sources: Mapping[str, str], store_uri: str, store: Store) -> dict[str, str]:
    """Map videos that were never ingested to the source of their recording, as far as their given names tell it.

    That is the source of an ingested video of the recording, else its first video. `sources` are known ones, which people may have corrected.
    """

    def read(video: PredictedVideo) -> VideoRecord:
        return store.read(Layout(store_uri).video(video.video).probe)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        records = list(pool.map(read, videos))
    new = {
        record.video
        for record in records
        if sources.get(record.video, record.video) == record.video and all(lacks_label(name, record.video) for name in record.names)
    }
    given = [record.model_copy(update={"names": (video.name,)}) for video, record in zip(videos, records, strict=True)]
    return {
        video: next((sources.get(other, other) for other in recording.videos if other not in new), recording.videos[0])
        for recording in detect_recordings(given).recordings
        for video in recording.videos
        if video in new
    }


def labels_today(store_uri: str, segment: SegmentOptions, store: Store) -> tuple[LabelledClip, ...]:
    """Label all clips anew, by the options of the last build; nothing is written."""
    clips = Layout(store_uri).labels(recipe_of(segment)).clips
    built = store.read(clips) if store.exists(clips.uri) else None
    try:
        return label_now(store, store_uri, segment, built.options if built else LabelOptions()).labelling.clips
    except BadInput as error:
        (log.warning if built else log.info)("labels since the last build are left out: %s", error)
    return built.clips if built else ()


def labels_of(videos: Iterable[PredictedVideo], manifests: Iterable[Manifest], latest: Iterable[LabelledClip]) -> KnownLabels:
    """Collect the labels of these videos' clips on the grid: the latest, else those of the datasets."""
    wanted = {video.video for video in videos}
    labels: dict[str, KnownLabel] = {}
    for clip in (clip for manifest in manifests for clip in manifest.clips if clip.video in wanted and clip.around is None):
        labels[clip.uid] = KnownLabel(uid=clip.uid, verb_class=clip.verb_class, noun_class=clip.noun_class)
    for labelled in latest:
        if (
            labelled.clip.video in wanted
            and labelled.clip.around is None
            and labelled.verb_class is not None
            and labelled.noun_class is not None
        ):
            labels[labelled.clip.uid] = KnownLabel(uid=labelled.clip.uid, verb_class=labelled.verb_class, noun_class=labelled.noun_class)
    return KnownLabels(labels=tuple(labels[uid] for uid in sorted(labels)))


def covered_by(parts: LabelledParts, latest: Iterable[LabelledClip]) -> dict[str, tuple[Interval, ...]]:
    """List the time of each video in which labels say when something happens.

    Clips labelled as nothing add to that of files, unless a labelled interval overlaps them: it says nothing about the rest of a clip. Clips of an
    action are left out unless an interval of it overlaps them, because their labels do not say when it begins and ends.
    """
    in_files = {video: overlap_finder(own) for video, own in parts.covered.items()}
    actions = {video: overlap_finder(own) for video, own in groupby(sorted(parts.intervals, key=attrgetter("video")), attrgetter("video"))}
    idle: dict[str, list[Interval]] = {}
    acting: dict[str, list[Interval]] = {}
    for labelled in latest:
        clip, classes = labelled.clip, (labelled.verb_class, labelled.noun_class)
        if labelled.action is None or clip.around is not None:
            continue
        span = Interval(start_seconds=clip.start_seconds, stop_seconds=clip.stop_seconds)
        if labelled.verb == NOTHING:
            if clip.video not in in_files or not any(in_files[clip.video](clip)):
                idle.setdefault(clip.video, []).append(span)
        elif clip.video not in actions or all((own.verb_class, own.noun_class) != classes for own in actions[clip.video](clip)):
            acting.setdefault(clip.video, []).append(span)
    return {
        video: tuple(without([*parts.covered.get(video, ()), *idle.get(video, ())], acting.get(video, ())))
        for video in sorted({*parts.covered, *idle})
    }
