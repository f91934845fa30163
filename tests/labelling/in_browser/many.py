"""Write a store with very many clips; their files are those of a few."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

from tasks.media.label_log import write_blocks
from tasks.results.labelling import ClipStatement, LogEntry
from tasks.results.video import ClipsFile, VideoRecord
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tests.labelling.in_browser import shop

ACTIONS = tuple((f"verb{number % 30}", f"noun{number % 80}") for number in range(200))


def write(store: Store, store_uri: str, like: ClipsFile, num_videos: int, num_clips: int, num_labels: int) -> None:
    """Write lists of clips as long as those in `like`, with suggestions, and a log of labels by three people."""
    record = store.read(Layout(like.clips[0].uri.partition("/clips/")[0]).video(like.video).probe)
    cuts = [_cut(like, f"{number:03x}".rjust(12, "c").ljust(64, "d"), num_clips) for number in range(num_videos)]

    def put(cut: ClipsFile) -> None:
        place = Layout(store_uri).video(cut.video)
        store.write(Clips(f"{Layout(store_uri).clips_of(cut.video)}{cut.recipe}/"), cut)
        store.write(
            place.probe, VideoRecord.model_validate({**record.model_dump(), "video": cut.video, "names": (f"{cut.video[9:12]}.mp4",)})
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, cuts))
    shop.suggest(store, store_uri, cuts, ACTIONS)
    write_blocks(store, store_uri, _log(cuts, num_labels))


def _cut(like: ClipsFile, video: str, num_clips: int) -> ClipsFile:
    clips = []
    for number, clip in enumerate(islice(cycle(like.clips), num_clips)):
        length = clip.stop_seconds - clip.start_seconds
        start = number * length
        uid = f"{video[:12]}_{round(start * 1000):09d}-{round((start + length) * 1000):09d}"
        said = {"uid": uid, "video": video, "index": number, "start_seconds": start, "stop_seconds": start + length}
        clips.append(clip.model_copy(update=said))
    return like.model_copy(update={"video": video, "clips": tuple(clips)})


def _log(cuts: Sequence[ClipsFile], num_labels: int) -> list[LogEntry]:
    """Label the last clips of each video; blocks hold all of the log, so `num_labels` is a number of whole blocks."""
    clips = (clip for together in zip(*(reversed(cut.clips) for cut in cuts), strict=True) for clip in together)
    return [
        LogEntry(
            statement=ClipStatement(
                token=f"token-{number:08d}",
                by=("berta", "cleo", "dora")[number % 3],
                at="2026-01-01T00:00:00Z",
                video=clip.video,
                uid=clip.uid,
                start_seconds=clip.start_seconds,
                stop_seconds=clip.stop_seconds,
                answer="action",
                verb=f"verb{number % 30}",
                noun=f"noun{number % 80}",
            )
        )
        for number, clip in enumerate(islice(clips, num_labels))
    ]
