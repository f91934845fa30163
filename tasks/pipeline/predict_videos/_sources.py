"""Find the source recordings of the videos of a prediction."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tasks.data.labels.recordings import detect_recordings
from tasks.data.labels.video_names import lacks_label
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelledClip, Manifest
from tasks.store.records.experiments import PredictedVideo
from tasks.store.records.video import VideoRecord

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
