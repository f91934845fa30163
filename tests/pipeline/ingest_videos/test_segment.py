"""How the videos of a batch share a machine, and what one of them costs the others."""

import threading

import pytest

from tasks.data.clips import cut_videos
from tasks.data.clips.cut_videos import num_at_once
from tasks.data.video.cut import cut
from tasks.data.video.ffmpeg import ffmpeg_version, find_ffmpeg
from tasks.errors import BadVideo, OutOfMemory, OutOfRoom, Unavailable
from tasks.keys import clip_recipe_of
from tasks.options import SegmentOptions
from tasks.pipeline.ingest_videos.contract import SEGMENT, SegmentArguments
from tasks.pipeline.ingest_videos.segment import run
from tasks.store.records.record import SetAside
from tasks.store.records.video import Batch, VideoRecord
from tests.pipeline.shelf import Shelf, recorded

STORE = "s3://retake"
ARGUMENTS = SegmentArguments(store=STORE, batch=f"{STORE}/ingests/x/batches/0000.json")
NAMES = ("a", "b", "c")


def in_store(film=b""):
    """A batch of videos that show this film, or whose bytes are their names."""
    made = Shelf()
    made.write(ARGUMENTS.batch, Batch(videos=NAMES))
    for name in NAMES:
        made.write(f"{STORE}/videos/{name}/probe.json", recorded(name, f"{name}.mp4"))
        made.write_bytes(f"{STORE}/videos/{name}/source.mp4", film or name.encode())
    return made


@pytest.fixture(autouse=True)
def four_processes(monkeypatch):
    monkeypatch.setenv("RETAKE_NUM_PROCESSES", "4")


def test_videos_are_cut_side_by_side_and_told_in_their_order(one_clip):
    together = threading.Barrier(len(NAMES), timeout=30)
    one_clip(lambda _: together.wait(), warnings=("source.mp4: it is dark",))
    store = in_store()
    result = run(ARGUMENTS, store)
    assert (result.num_videos, result.num_clips) == (3, 3)
    assert result.warnings == tuple(SetAside(name=f"{name}.mp4", reason="it is dark") for name in NAMES)
    recipe = clip_recipe_of(SegmentOptions(), ffmpeg_version(find_ffmpeg(None)))
    for name in NAMES:
        assert store.objects[f"{STORE}/clips/{name}/{recipe}/0000.mp4"] == name.encode()


def refusing_b(error):
    def before(content):
        if content == b"b":
            raise error

    return before


def test_a_video_that_cannot_be_cut_costs_itself_and_a_full_disk_or_a_store_that_is_off_the_batch(one_clip, monkeypatch):
    one_clip(refusing_b(BadVideo("source.mp4: nothing of it decodes")))
    store = in_store()
    result = run(ARGUMENTS, store)
    assert (result.num_videos, result.num_clips) == (3, 2)
    assert result.set_aside == (SetAside(name="b.mp4", reason="nothing of it decodes"),)
    assert run(ARGUMENTS, store) == result

    def fail(*_):
        raise Unavailable("the disk is full, or the store off")

    one_clip(fail)
    store = in_store()
    with pytest.raises(Unavailable):
        run(ARGUMENTS, store)
    monkeypatch.setattr(store, "read_file", fail)
    one_clip()
    with pytest.raises(Unavailable):
        run(ARGUMENTS, store)
    assert not store.exists(SEGMENT.address(ARGUMENTS).uri)


@pytest.mark.parametrize(
    ("num_cores", "memory_gib", "at_once"), [(1, 4, 1), (2, 4, 2), (4, 4, 3), (16, 4, 8), (128, 64, 8), (16, 1, 4), (16, 0.1, 1)]
)
def test_as_many_videos_at_once_as_have_every_core_busy_and_fit_the_memory(num_cores, memory_gib, at_once):
    assert num_at_once(num_cores, int(memory_gib * 2**30)) == at_once


@pytest.mark.slow
def test_videos_that_are_too_large_side_by_side_are_cut_one_after_the_other(video, monkeypatch):
    monkeypatch.setenv("RETAKE_NUM_PROCESSES", "6")
    monkeypatch.setattr(cut_videos, "SHARE_BYTES", 1)
    monkeypatch.setattr(cut_videos, "usable_bytes", lambda: 160 << 20)
    shares = []

    def noted(*args, memory, **options):
        shares.append(memory)
        return cut(*args, memory=memory, **options)

    monkeypatch.setattr(cut_videos, "cut", noted)
    result = run(ARGUMENTS, in_store(video))
    assert (result.num_clips, result.set_aside) == (3, ())
    assert sorted((memory.size_bytes >> 20, memory.is_scarce) for memory in shares) == [(40, True)] * 3 + [(160, False)] * 3


def test_a_video_whose_log_tells_of_a_full_disk_that_has_room_is_tried_again_and_not_told_to_wait_for_memory(one_clip):
    one_clip(refusing_b(OutOfRoom("source.mp4: No space left")))
    store = in_store()
    assert run(ARGUMENTS, store).set_aside == (SetAside(name="b.mp4", reason="No space left"),)
    one_clip()
    result = run(ARGUMENTS, store)
    assert (result.num_clips, result.set_aside) == (3, ())


def test_what_had_too_little_memory_is_cut_where_there_is_more(one_clip, monkeypatch):
    one_clip(refusing_b(OutOfMemory("source.mp4: more")))
    store = in_store()
    monkeypatch.setattr(cut_videos, "usable_bytes", lambda: 3 << 30)
    (bad,) = run(ARGUMENTS, store).set_aside
    assert bad == SetAside(name="b.mp4", reason="more; it had 3 GiB: scale it down, or take it again where a step has more")
    one_clip()
    assert run(ARGUMENTS, store).set_aside == (bad,)
    monkeypatch.setattr(cut_videos, "usable_bytes", lambda: 4 << 30)
    result = run(ARGUMENTS, store)
    assert (result.num_clips, result.set_aside) == (3, ())
    assert run(ARGUMENTS, store) == result


@pytest.mark.slow
def test_a_video_that_an_older_version_took_is_looked_into_again(video):
    store = in_store(video)
    for name in NAMES:
        record = recorded(name, f"{name}.mp4").model_dump(exclude={"is_hdr", "video_index", "audio_index"})
        store.write(f"{STORE}/videos/{name}/probe.json", VideoRecord(**record))
    assert run(ARGUMENTS, store).num_clips == 3
