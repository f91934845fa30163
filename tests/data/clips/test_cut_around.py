"""Clips around labelled intervals are cut when labels change, and labelled for datasets."""

import hashlib
from contextlib import nullcontext
from functools import cache
from unittest.mock import Mock

import pytest

from tasks.data.clips import cut_videos
from tasks.data.clips.gather_labels import given_labels, intervals_to_cut, intervals_to_export, label_now
from tasks.data.clips.label_inputs import append_to_log, count_entries
from tasks.data.clips.stored_clips import find_cut
from tasks.data.labels.exported import exported_labels, video_spans
from tasks.data.labels.formats import formats
from tasks.data.split.manifest import dataset_digest
from tasks.data.video.cut import FrameSpan
from tasks.data.video.ffmpeg import SECONDS_PER_VIDEO_SECOND
from tasks.errors import BadInput, BadVideo, MissingObject, NothingToDo, OutOfMemory, Unavailable
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.pipeline.build_dataset import dataset, label, split
from tasks.pipeline.build_dataset.contract import LabelArguments, SplitArguments
from tasks.pipeline.ingest_videos import ingest, segment
from tasks.pipeline.ingest_videos.contract import IngestArguments, SegmentArguments
from tasks.store.layout import Dataset, Layout
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.record import SetAside
from tasks.store.records.video import Interval
from tests.data.labels.records import INTERVALS
from tests.data.labels.test_statements import Span, Writer
from tests.pipeline.shelf import Shelf

STORE = "s3://retake"
BASE = {"store": STORE, "clip_seconds": 2, "min_clip_seconds": 1}
CHAPTERS = "GX010123.MP4", "GX020123.MP4"


@pytest.fixture(scope="module")
def film(sounding):
    return sounding(5, None).read_bytes()


@pytest.fixture(scope="module")
def taken_in(film):
    """Films and their intervals in a store of one's own, cut in this way if any."""

    @cache
    def filled(cut, names):
        made = Shelf()
        for name in names:
            made.write_bytes(f"{STORE}/inbox/{name}", film + name.encode())
        annotate(made, "1.csv", "".join(f"{name},0.5,1.5,put,meat\n{name},2,4.5,take,bag\n" for name in names))
        if cut:
            take_in(made, cut)
        return made

    return lambda cut, *names: filled(cut, names).copy()


@pytest.fixture
def store(taken_in):
    """A store with a film that was not ingested yet."""
    return taken_in(None, "a.mp4")


@pytest.fixture
def cut_store(taken_in):
    """A store whose film was cut around its intervals."""
    return taken_in("intervals", "a.mp4")


@pytest.fixture
def chapters(taken_in):
    """A store and videos of two chapters, cut both ways before an interval across them."""
    store = taken_in("both", *CHAPTERS)
    annotate(store, "2.csv", f"{CHAPTERS[0]},4.7,5,put,bag\n{CHAPTERS[1]},0,0.5,put,bag\n")
    return store, *(video_of(store, name) for name in CHAPTERS)


def annotate(store, name, lines):
    store.write_bytes(f"{STORE}/annotations/{name}", (INTERVALS + lines).encode())


def take_in(store, cut):
    """Ingest and cut; return the number of clips."""
    return sum(result.num_clips for result in cut_batches(store, cut))


def assert_nothing_new(store, cut):
    with pytest.raises(NothingToDo):
        take_in(store, cut)


def cut_batches(store, cut):
    """Ingest and cut; return the result of each batch."""
    result = ingest.run(IngestArguments(**BASE, cut=cut, out=f"{STORE}/ingests/x/"), store)
    return [segment.run(SegmentArguments(**BASE, cut=cut, batch=batch.uri), store) for batch in result.batches]


def labelled(store, cut, **chosen):
    label.run(LabelArguments(**BASE, cut=cut, **chosen), store)
    return store.read(Layout(STORE).labels(recipe_of(options(cut))).clips, LabelsFile)


def say(store, log):
    """Append the new entries of a log."""
    for number in range(count_entries(store, STORE), len(log.entries)):
        append_to_log(store, STORE, log.entries[number].statement, number)


def options(cut):
    return SegmentOptions(clip_seconds=2, min_clip_seconds=1, cut=cut)


def video_of(store, name="a.mp4"):
    return hashlib.sha256(store.objects[f"{STORE}/inbox/{name}"]).hexdigest()


def cut_of(store, video=None, cut="intervals"):
    return find_cut(store, STORE, video or video_of(store), options(cut))


def shown(labels):
    return [(clip.clip.start_seconds, clip.clip.stop_seconds, clip.action) for clip in labels.clips if clip.names == ("a.mp4",)]


def uncut(labels):
    """Hints that intervals changed since they were cut."""
    return [hint for hint in labels.hints if "run ingest_videos to cut the new ones" in hint]


AROUND = [(0, 2, "put meat"), (2, 4, "take bag"), (2.5, 4.5, "take bag")]


def test_clips_around_intervals_have_the_labels_of_their_intervals(cut_store):
    labels = labelled(cut_store, "intervals")
    assert shown(labels) == AROUND
    around = {clip.clip.around for clip in labels.clips}
    assert around == {Interval(start_seconds=0.5, stop_seconds=1.5), Interval(start_seconds=2, stop_seconds=4.5)}
    names = [(clip.index, clip.uri.rpartition("/")[2]) for clip in cut_of(cut_store).clips]
    assert names == [(0, "000000000-000002000.mp4"), (1, "000002000-000004000.mp4"), (2, "000002500-000004500.mp4")]


@pytest.mark.parametrize(
    "files",
    [["a.mp4,1,1.1,put,meat\na.mp4,1.3,1.6,take,bag\n"], ["a.mp4,1,2.5,put,meat\n", "a.mp4,2,3,take,bag\n"]],
    ids=["short", "later"],
)
def test_a_short_or_an_earlier_interval_labels_its_clip_beside_another(store, files):
    for number, lines in enumerate(files, start=1):
        annotate(store, f"{number}.csv", lines)
    take_in(store, "intervals")
    for min_overlap in (0, 0.25):
        assert [action for _, _, action in shown(labelled(store, "intervals", min_overlap=min_overlap))] == ["put meat", "take bag"]


def test_only_new_intervals_are_cut_and_clips_that_are_gone_stay_for_older_datasets(cut_store, monkeypatch):
    store, before, written = cut_store, cut_of(cut_store), []
    keep = store.write_file
    monkeypatch.setattr(store, "write_file", lambda uri, path: written.append(uri) or keep(uri, path))
    annotate(store, "2.csv", "a.mp4,1.9,3.9,move,sauce\na.mp4,0,0.2,put,bag\n")
    take_in(store, "intervals")
    assert [uri.rpartition("/")[2] for uri in written] == ["000001900-000003900.mp4"]
    after = cut_of(store)
    # The later file covers most of `take bag`.
    assert [(clip.start_seconds, clip.around.start_seconds) for clip in after.clips] == [(0, 0.5), (1.9, 1.9)]
    assert after.recipe == before.recipe
    assert {clip.uri for clip in before.clips} <= store.objects.keys()
    assert [action for _, _, action in shown(labelled(store, "intervals"))] == ["put meat", "move sauce"]
    written.clear()
    assert_nothing_new(store, "intervals")
    assert not written


@pytest.mark.slow
def test_a_clip_across_two_chapters_lies_with_the_first_and_leaves_the_others_as_they_are(chapters):
    store, first, second = chapters
    before = [cut_of(store, first, cut) for cut in ("grid", "intervals")]
    next_source = store.read(Layout(STORE).video(second).probe).uri
    read_file = store.read_file

    def without_next(uri, path):
        if uri == next_source:
            raise MissingObject(f"{uri} is gone")
        read_file(uri, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "read_file", without_next)
        take_in(store, "both")
    alone = cut_of(store, first)
    assert len(alone.clips) == len(before[1].clips) + 1
    assert next_source in alone.warnings[0]
    assert alone.set_aside is None
    take_in(store, "both")
    grid, around = (cut_of(store, first, cut) for cut in ("grid", "intervals"))
    assert grid == before[0]
    assert {clip.uri for clip in before[1].clips} < {clip.uri for clip in alone.clips} < {clip.uri for clip in around.clips}
    assert not around.warnings
    (clip,) = (clip for clip in around.clips if clip.next_video)
    assert clip.uri.rpartition("/")[2] == f"000004100-000006100-{second[:12]}.mp4"
    assert clip.around == Interval(start_seconds=4.7, stop_seconds=5.5, next_video=second)
    assert clip.num_frames == 60
    # Also of an ingest of the first chapter alone.
    assert intervals_to_cut(store, STORE, given_labels(store, STORE), {first})[first][-1] == clip.around
    labels = labelled(store, "both")
    assert [labelled.action for labelled in labels.clips if labelled.clip.uid == clip.uid] == ["put bag"]
    assert not uncut(labels)
    assert_nothing_new(store, "both")
    annotate(store, "3.csv", f"{CHAPTERS[1]},0,0.5,move,bag\n")
    assert uncut(labelled(store, "both"))


@pytest.mark.parametrize(
    ("error", "lacked_bytes", "is_tried_hourly"),
    [(BadVideo, None, False), (OutOfMemory, 3 << 30, False), (Unavailable, 0, True), (MissingObject, 0, False)],
)
def test_a_next_chapter_that_cannot_be_read_costs_the_clips_across_alone(chapters, monkeypatch, error, lacked_bytes, is_tried_hourly):
    store, first, second = chapters
    num_before = len(cut_of(store, first).clips)
    fail, read_file, place = Mock(side_effect=error("next: it is so")), store.read_file, Layout(STORE).video(second).probe
    record = store.read(place).model_copy(update={"is_hdr": None})
    if error is BadVideo:
        store.objects[record.uri] = b"damaged"
    elif error is OutOfMemory:
        monkeypatch.setattr(cut_videos, "probe", fail)
    else:
        record = record.model_copy(update={"uri": "s3+nas://films/GX020123.MP4"})
        monkeypatch.setattr(store, "read_file", lambda uri, path: (fail if uri == record.uri else read_file)(uri, path))
    store.write(place, record)
    monkeypatch.setattr(cut_videos, "usable_bytes", lambda: 3 << 30)
    take_in(store, "both")
    alone = cut_of(store, first)
    assert (len(alone.clips), alone.set_aside, alone.lacked_bytes) == (num_before + 1, None, lacked_bytes)
    assert alone.warnings[0].startswith("no clip goes on in the next file: ")
    assert ("it had 3 GiB" in alone.warnings[0]) == (error is OutOfMemory)
    labelled(store, "both")
    with nullcontext() if is_tried_hourly else pytest.raises(NothingToDo):
        take_in(store, "both")


def test_a_video_that_lacks_memory_keeps_its_clips_and_waits_for_that_and_not_for_the_next_chapter(chapters, monkeypatch):
    store, first, second = chapters
    before = cut_of(store, first)
    del store.objects[store.read(Layout(STORE).video(second).probe).uri]
    monkeypatch.setattr(cut_videos, "usable_bytes", lambda: 3 << 30)
    monkeypatch.setattr(cut_videos, "cut_spans", Mock(side_effect=OutOfMemory("source: more")))
    take_in(store, "both")
    after = cut_of(store, first)
    assert (after.clips, after.set_aside, after.lacked_bytes) == (before.clips, None, 3 << 30)
    assert "it had 3 GiB" in after.warnings[0]


def test_parts_that_were_cut_by_earlier_versions_are_known_again():
    own, across = FrameSpan(1, 2, (0.5, 1.5)), FrameSpan(3, 4, (1.0, 2.0), "ab" * 32)
    assert [cut_videos.spans_digest(spans) for spans in ([own], [own, across])] == ["bcdecf3c1d8596ce", "232a2a555ad0cd29"]


def test_another_version_of_ffmpeg_adds_clips_in_a_folder_of_its_own(cut_store, debians, monkeypatch):
    before = cut_of(cut_store)
    monkeypatch.setenv("RETAKE_FFMPEG", str(debians))
    annotate(cut_store, "2.csv", "a.mp4,4,4.5,put,bag\n")
    take_in(cut_store, "intervals")
    after = cut_of(cut_store)
    assert after.recipe != before.recipe
    (new,) = {clip.uri for clip in after.clips} - {clip.uri for clip in before.clips}
    assert after.recipe in new
    assert len(after.clips) == len(before.clips) + 1
    monkeypatch.delenv("RETAKE_FFMPEG")
    annotate(cut_store, "3.csv", "a.mp4,4.2,4.6,put,bag\n")
    take_in(cut_store, "intervals")
    assert cut_of(cut_store).revision == 2


def test_a_warning_about_the_sound_of_a_video_stays_as_long_as_it_has_clips(store, sounding, without_aac, monkeypatch):
    store.write_bytes(f"{STORE}/inbox/a.mp4", sounding(5, "sine").read_bytes())
    monkeypatch.setenv("RETAKE_FFMPEG", str(without_aac))
    told = [SetAside(name="a.mp4", reason="its sound does not decode and is left out")]
    for lines, warnings in (("a.mp4,0.5,1.5,put,meat\na.mp4,4,4.5,put,bag\n", told), ("a.mp4,0.5,1.5,put,meat\n", told), ("", [])):
        annotate(store, "1.csv", lines)
        assert [warning for result in cut_batches(store, "intervals") for warning in result.warnings] == warnings


def test_the_time_limit_grows_with_the_labelled_time_and_not_with_the_video(store, monkeypatch):
    annotate(store, "1.csv", "".join(f"a.mp4,{start / 30:.3f},{start / 30 + 0.5:.3f},put,meat\n" for start in range(30, 110)))
    limits, cut_really = [], cut_videos.cut_spans

    def cut(*arguments, spans, time_limit_seconds, **options):
        limits.append((time_limit_seconds, len(spans)))
        return cut_really(*arguments, spans=spans[:1], time_limit_seconds=time_limit_seconds, **options)

    monkeypatch.setattr(cut_videos, "cut_spans", cut)
    take_in(store, "intervals")
    ((limit_seconds, num_spans),) = limits
    assert num_spans > 50
    assert limit_seconds >= SECONDS_PER_VIDEO_SECOND * BASE["clip_seconds"] * num_spans


def test_intervals_that_changed_since_they_were_cut_are_named_and_cut_by_the_next_ingest_and_no_further_one(cut_store):
    assert not uncut(labelled(cut_store, "intervals"))
    assert_nothing_new(cut_store, "intervals")
    annotate(cut_store, "2.csv", "a.mp4,4,4.5,put,bag\n")
    (hint,) = uncut(labelled(cut_store, "intervals"))
    assert hint.startswith("1 video: the labelled intervals changed")
    assert take_in(cut_store, "intervals") == 4
    assert not uncut(labelled(cut_store, "intervals"))
    assert_nothing_new(cut_store, "intervals")


def test_a_build_starts_when_enough_labels_of_the_page_are_new_and_not_when_as_many_lines_are(taken_in):
    store, again = taken_in("grid", "a.mp4", "b.mp4"), IngestArguments(**BASE, min_new_labels=2, out=f"{STORE}/ingests/x/")
    labelled(store, "grid")
    video, log = video_of(store), Writer()
    log.withdraw(log.clip(Span(video, 0, 2), "put", "meat"), undo=True)
    log.clip(Span(video, 0, 2), "put", "meat")
    say(store, log)
    with pytest.raises(NothingToDo, match="1 new label of the page, a build starts at 2"):
        ingest.run(again, store)
    log.clip(Span(video, 2, 4), "take", "meat")
    say(store, log)
    assert ingest.run(again, store).batches


def test_without_intervals_there_is_no_clip_and_the_remedy_is_named(store):
    annotate(store, "1.csv", "")
    assert take_in(store, "intervals") == 0
    with pytest.raises(BadInput, match="label intervals and run ingest_videos"):
        labelled(store, "intervals")


def test_a_video_that_cannot_be_cut_is_named_once(store, sounding):
    store.write_bytes(f"{STORE}/inbox/b.mp4", sounding(0.8, None).read_bytes())
    (bad,) = (bad for result in cut_batches(store, "both") for bad in result.set_aside)
    assert "shorter than the minimum" in bad.reason
    labelled(store, "both")
    assert_nothing_new(store, "both")


def build(store, cut):
    split_of = {"val_share": 0.5, "test_share": 0.0}
    labels = Layout(STORE).labels(recipe_of(options(cut))).place_uri
    counted = split.run(SplitArguments(store=STORE, labels=labels, **split_of), store)
    result = dataset.run(SplitArguments(store=STORE, labels=labels, **split_of), store)
    assert counted.num_clips == result.num_clips
    return store.read(Dataset(result.dataset_uri).manifest)


@pytest.mark.slow
def test_clips_around_intervals_beside_a_grid_change_train_alone(taken_in):
    store = taken_in("grid", "a.mp4", "b.mp4")
    labelled(store, "grid")
    alone = build(store, "grid")
    (hint,) = uncut(labelled(store, "both"))
    assert hint.startswith("2 videos: the labelled intervals changed")
    assert take_in(store, "both") == 12
    labels = labelled(store, "both")
    # Two clips around intervals show what clips of the grid show.
    assert shown(labels) == [(0, 2, "put meat"), (2, 4, "take bag"), (2.5, 4.5, "take bag"), (4, 5, "take bag")]
    assert not uncut(labels)
    both = build(store, "both")
    assert {(clip.start_seconds, clip.around is not None) for clip in both.clips if clip.split == "train"} == {
        *((start, False) for start in (0, 2, 4)),
        (2.5, True),
    }
    val = [clip for clip in both.clips if clip.split == "val"]
    assert len(val) == 3
    assert val == [clip for clip in alone.clips if clip.split == "val"]
    assert {clip.video for clip in both.clips if clip.split == "train"}.isdisjoint(clip.video for clip in val)
    assert dataset_digest(alone) != dataset_digest(both)


def exported(store):
    now = label_now(store, STORE, options("both"), LabelOptions())
    made = now.labelling
    labels = exported_labels(intervals_to_export(store, STORE, now.given), made.clips, made.by_interval, 0.25)
    return video_spans([store.read(Layout(STORE).video(video_of(store)).probe)], labels, {})


def spans(videos):
    return [(label.start_seconds, label.stop_seconds, label.text) for label in videos[0].labels]


def test_an_export_has_the_intervals_themselves_and_labels_the_same_clips_when_it_is_taken_in(store):
    annotate(store, "1.csv", "a.mp4,1.9,2.1,put,meat\na.mp4,2.6,2.9,take,bag\na.mp4,0,5,move,sauce\n")
    take_in(store, "both")
    before = labelled(store, "both")
    videos = exported(store)
    assert spans(videos) == [(0, 5, "move sauce"), (1.9, 2.1, "put meat"), (2.6, 2.9, "take bag")]
    store.write_bytes(f"{STORE}/annotations/1.csv", formats().writers["csv"].write(videos))
    take_in(store, "both")
    assert shown(labelled(store, "both")) == shown(before)


def test_a_clip_around_an_interval_that_was_labelled_otherwise_later_stands_for_its_interval(store):
    annotate(store, "1.csv", "a.mp4,2.6,2.9,take,bag\n")
    take_in(store, "both")
    (around,) = [clip.clip.uid for clip in labelled(store, "both").clips if clip.clip.around]
    store.write_bytes(f"{STORE}/annotations/2.csv", f"uid,verb,noun\n{around},put,meat\n".encode())
    assert spans(exported(store)) == [(2.6, 2.9, "put meat")]
