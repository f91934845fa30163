"""Clips around labelled intervals in the store: what is cut again when labels change, and what datasets have of it."""

import hashlib
from dataclasses import replace

import pytest

from tasks.contracts.build_dataset import DatasetArguments, LabelArguments, SplitArguments
from tasks.contracts.ingest_videos import IngestArguments, SegmentArguments
from tasks.dataset.exported import exported_labels
from tasks.dataset.formats.written import WRITERS
from tasks.dataset.manifest import dataset_digest
from tasks.dataset.spans import video_spans
from tasks.errors import BadInput, NothingToDo
from tasks.keys import recipe_of
from tasks.media import cutting
from tasks.media.clips import find_cut
from tasks.media.label_log import append, count_entries
from tasks.media.labelled_intervals import intervals_to_export
from tasks.options import LabelOptions, SegmentOptions
from tasks.results.dataset import LabelsFile
from tasks.results.video import Interval
from tasks.steps._labelling import label_now
from tasks.steps.build_dataset import dataset, label, split
from tasks.steps.ingest_videos import ingest, segment
from tasks.store.layout import Dataset, Layout
from tests.dataset.test_statements import Span, Writer
from tests.steps.shelf import Shelf, filmed

STORE = "s3://retake"
NAMES = ("a.mp4", "b.mp4", "c.mp4")
HEADER = "video,start_seconds,stop_seconds,verb,noun\n"
LINES = "".join(f"{name},0.5,1.5,put,meat\n{name},2,4.5,take,bag\n" for name in NAMES)
BASE = {"store": STORE, "clip_seconds": 2, "min_clip_seconds": 1}


class Dated(Shelf):
    """A store that keeps times: later names are later."""

    def ensure_bucket(self, store_uri):
        pass

    def stat(self, uri):
        found = super().stat(uri)
        return found and replace(found, modified="2026-11-27T11:00:00+00:00")


@pytest.fixture(scope="module")
def film(ffmpeg, tmp_path_factory):
    return filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds=5).read_bytes()


@pytest.fixture
def store(film):
    made = Dated()
    for name in NAMES:
        made.write_bytes(f"{STORE}/inbox/{name}", film + name.encode())
    annotate(made, "1.csv", LINES)
    return made


def annotate(store, name, lines):
    store.write_bytes(f"{STORE}/annotations/{name}", (HEADER + lines).encode())


def take_in(store, cut):
    """Ingest and cut; return the number of clips."""
    result = ingest.run(IngestArguments(**BASE, cut=cut, out=f"{STORE}/ingests/x/"), store)
    return sum(segment.run(SegmentArguments(**BASE, cut=cut, batch=batch.uri), store).num_clips for batch in result.batches)


def labelled(store, cut):
    label.run(LabelArguments(**BASE, cut=cut), store)
    return store.read(Layout(STORE).labels(recipe_of(options(cut))).clips, LabelsFile)


def say(store, log):
    """Append what is new of a log."""
    for number in range(count_entries(store, STORE), len(log.entries)):
        append(store, STORE, log.entries[number].statement, number)


def options(cut):
    return SegmentOptions(clip_seconds=2, min_clip_seconds=1, cut=cut)


def video_of(film, name):
    return hashlib.sha256(film + name.encode()).hexdigest()


def shown(labels, name="a.mp4"):
    return [(one.clip.start_seconds, one.clip.stop_seconds, one.action) for one in labels.clips if one.names == (name,)]


AROUND = [(0, 2, "put meat"), (2, 4, "take bag"), (2.5, 4.5, "take bag")]


def test_clips_around_intervals_have_the_labels_of_their_intervals(store, film):
    assert take_in(store, "intervals") == 9
    labels = labelled(store, "intervals")
    assert shown(labels) == AROUND
    assert {one.clip.around for one in labels.clips} == {
        Interval(start_seconds=0.5, stop_seconds=1.5),
        Interval(start_seconds=2, stop_seconds=4.5),
    }
    file = find_cut(store, STORE, video_of(film, "a.mp4"), options("intervals"))
    assert [clip.uri.rpartition("/")[2] for clip in file.clips] == [
        "000000000-000002000.mp4",
        "000002000-000004000.mp4",
        "000002500-000004500.mp4",
    ]
    assert [clip.index for clip in file.clips] == [0, 1, 2]


def test_a_short_action_is_labelled_though_it_covers_little_of_its_clip(store):
    annotate(store, "1.csv", "a.mp4,1,1.1,put,meat\na.mp4,1.3,1.6,take,bag\n" + LINES.partition("take,bag\n")[2])
    take_in(store, "intervals")
    labels = labelled(store, "intervals")
    assert shown(labels) == [
        (pytest.approx(0.05, abs=0.02), pytest.approx(2.05, abs=0.02), "put meat"),
        (pytest.approx(0.45, abs=0.02), pytest.approx(2.45, abs=0.02), "take bag"),
    ]


def test_only_new_intervals_are_cut_and_clips_that_are_gone_stay_for_older_datasets(store, film, monkeypatch):
    take_in(store, "intervals")
    before = find_cut(store, STORE, video_of(film, "a.mp4"), options("intervals"))
    written = []
    keep = store.write_file
    monkeypatch.setattr(store, "write_file", lambda uri, path: written.append(uri) or keep(uri, path))
    annotate(store, "2.csv", "a.mp4,1.9,3.9,move,sauce\na.mp4,0,0.2,put,bag\n")
    take_in(store, "intervals")
    assert [uri.rpartition("/")[2] for uri in written] == ["000001900-000003900.mp4"]
    after = find_cut(store, STORE, video_of(film, "a.mp4"), options("intervals"))
    # The later file covers most of what was `take bag`.
    assert [(clip.start_seconds, clip.around.start_seconds) for clip in after.clips] == [(0, 0.5), (1.9, 1.9)]
    assert after.recipe == before.recipe
    assert {clip.uri for clip in before.clips} <= store.objects.keys()
    assert [action for _, _, action in shown(labelled(store, "intervals"))] == ["put meat", "move sauce"]
    written.clear()
    with pytest.raises(NothingToDo):
        take_in(store, "intervals")
    assert not written


def test_another_version_of_ffmpeg_adds_clips_in_a_folder_of_its_own(store, film, debians, monkeypatch):
    take_in(store, "intervals")
    before = find_cut(store, STORE, video_of(film, "a.mp4"), options("intervals"))
    monkeypatch.setenv("RETAKE_FFMPEG", str(debians))
    annotate(store, "2.csv", "a.mp4,4,4.5,put,bag\n")
    take_in(store, "intervals")
    after = find_cut(store, STORE, video_of(film, "a.mp4"), options("intervals"))
    assert after.recipe != before.recipe
    (new,) = {clip.uri for clip in after.clips} - {clip.uri for clip in before.clips}
    assert after.recipe in new
    assert len(after.clips) == len(before.clips) + 1
    monkeypatch.delenv("RETAKE_FFMPEG")
    annotate(store, "3.csv", "a.mp4,4.2,4.6,put,bag\n")
    take_in(store, "intervals")
    assert find_cut(store, STORE, video_of(film, "a.mp4"), options("intervals")).revision == 2


def test_the_time_limit_grows_with_the_labelled_time_and_not_with_the_video(store, monkeypatch):
    annotate(store, "1.csv", "".join(f"a.mp4,{start / 30:.3f},{start / 30 + 0.5:.3f},put,meat\n" for start in range(30, 110)))
    limits, cut_really = [], cutting.cut_spans

    def cut(*arguments, spans, time_limit_seconds, **options):
        limits.append((time_limit_seconds, len(spans)))
        return cut_really(*arguments, spans=spans[:1], time_limit_seconds=time_limit_seconds, **options)

    monkeypatch.setattr(cutting, "cut_spans", cut)
    take_in(store, "intervals")
    ((limit_seconds, num_spans),) = limits
    assert num_spans > 50
    assert limit_seconds >= cutting.SECONDS_PER_VIDEO_SECOND * BASE["clip_seconds"] * num_spans


def test_videos_whose_intervals_changed_since_are_named(store):
    take_in(store, "intervals")
    assert not any("ingest_videos" in hint for hint in labelled(store, "intervals").hints)
    annotate(store, "2.csv", "b.mp4,4,4.5,put,bag\nc.mp4,4,4.7,put,bag\n")
    assert any(hint.startswith("2 videos: the labelled intervals changed") for hint in labelled(store, "intervals").hints)


def test_label_reads_each_annotation_file_once(store, monkeypatch):
    take_in(store, "intervals")
    read, read_bytes = [], store.read_bytes
    monkeypatch.setattr(store, "read_bytes", lambda uri: read.append(uri) or read_bytes(uri))
    labelled(store, "intervals")
    assert read.count(f"{STORE}/annotations/1.csv") == 1


def test_intervals_that_a_dataset_was_built_from_before_they_were_cut_are_cut_by_the_next_ingest(store):
    take_in(store, "intervals")
    annotate(store, "2.csv", "b.mp4,4,4.5,put,bag\n")
    assert any("run ingest_videos" in hint for hint in labelled(store, "intervals").hints)
    assert take_in(store, "intervals") == 10
    labelled(store, "intervals")
    with pytest.raises(NothingToDo):
        take_in(store, "intervals")


def test_a_grid_around_which_no_interval_is_cut_yet_is_named(store):
    take_in(store, "grid")
    assert any(hint.startswith("3 videos: the labelled intervals changed") for hint in labelled(store, "both").hints)
    take_in(store, "both")
    assert not any("ingest_videos" in hint for hint in labelled(store, "both").hints)


@pytest.mark.parametrize("min_overlap", [0, 0.25])
def test_a_later_interval_beside_it_leaves_a_clip_its_label(store, min_overlap):
    annotate(store, "1.csv", LINES.replace("a.mp4,0.5,1.5,put,meat\na.mp4,2,4.5,take,bag\n", "a.mp4,1,2.5,put,meat\n"))
    annotate(store, "2.csv", "a.mp4,2,3,take,bag\n")
    take_in(store, "intervals")
    label.run(LabelArguments(**BASE, cut="intervals", min_overlap=min_overlap), store)
    found = shown(store.read(Layout(STORE).labels(recipe_of(options("intervals"))).clips, LabelsFile))
    assert [action for _, _, action in found] == ["put meat", "take bag"]


def test_a_new_annotation_starts_another_cut_and_nothing_new_does_not(store):
    again = IngestArguments(**BASE, cut="intervals", out=f"{STORE}/ingests/x/")
    take_in(store, "intervals")
    labelled(store, "intervals")
    with pytest.raises(NothingToDo):
        ingest.run(again, store)
    annotate(store, "2.csv", "b.mp4,0,0.5,put,bag\n")
    assert ingest.run(again, store).batches


def test_a_build_starts_when_enough_labels_of_the_page_are_new_and_not_when_as_many_lines_are(store, film):
    again = IngestArguments(**BASE, min_new_labels=2, out=f"{STORE}/ingests/x/")
    take_in(store, "grid")
    labelled(store, "grid")
    video, log = video_of(film, "a.mp4"), Writer()
    for _ in range(3):
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


def test_a_video_that_cannot_be_cut_is_named_once(store, ffmpeg, tmp_path):
    store.write_bytes(f"{STORE}/inbox/b.mp4", filmed(ffmpeg, tmp_path / "short.mp4", seconds=0.8).read_bytes())
    done = ingest.run(IngestArguments(**BASE, cut="both", out=f"{STORE}/ingests/x/"), store)
    results = [segment.run(SegmentArguments(**BASE, cut="both", batch=batch.uri), store) for batch in done.batches]
    (bad,) = (bad for result in results for bad in result.set_aside)
    assert "shorter than the minimum" in bad.reason


def build(store, cut):
    split_of = {"val_share": 0.34, "test_share": 0.0}
    labels = Layout(STORE).labels(recipe_of(options(cut))).place_uri
    counted = split.run(SplitArguments(store=STORE, labels=labels, **split_of), store)
    result = dataset.run(DatasetArguments(store=STORE, labels=labels, **split_of), store)
    assert counted.num_clips == result.num_clips
    return store.read(Dataset(result.dataset_uri).manifest)


def test_both_cuts_feed_one_dataset_and_val_has_the_grid_alone(store):
    assert take_in(store, "both") == 18
    labels = labelled(store, "both")
    # Two clips around intervals show what clips of the grid show.
    assert shown(labels) == [(0, 2, "put meat"), (2, 4, "take bag"), (2.5, 4.5, "take bag"), (4, 5, "take bag")]
    made = build(store, "both")
    kinds = {
        split: {(clip.start_seconds, clip.around is not None) for clip in made.clips if clip.split == split} for split in ("train", "val")
    }
    assert kinds["train"] == {(0, False), (2, False), (2.5, True), (4, False)}
    assert kinds["val"] == {(0, False), (2, False), (4, False)}
    moments = {split: {clip.video for clip in made.clips if clip.split == split} for split in ("train", "val")}
    assert moments["train"].isdisjoint(moments["val"])


def test_the_grid_is_the_same_with_and_without_intervals(store):
    take_in(store, "grid")
    labelled(store, "grid")
    alone = build(store, "grid")
    take_in(store, "both")
    labelled(store, "both")
    both = build(store, "both")
    assert [clip for clip in both.clips if clip.split == "val"] == [clip for clip in alone.clips if clip.split == "val"]
    assert dataset_digest(alone) != dataset_digest(both)


def exported(store, film):
    found = label_now(store, STORE, options("both"), LabelOptions())
    made = found.labelling
    labels = exported_labels(intervals_to_export(store, STORE, found.given), made.clips, made.by_interval, 0.25)
    return video_spans([store.read(Layout(STORE).video(video_of(film, "a.mp4")).probe)], labels, {})


def test_an_export_has_the_intervals_themselves_and_labels_the_same_clips_when_it_is_taken_in(store, film):
    annotate(store, "1.csv", "a.mp4,1.9,2.1,put,meat\na.mp4,2.6,2.9,take,bag\na.mp4,0,5,move,sauce\n")
    take_in(store, "both")
    before = labelled(store, "both")
    videos = exported(store, film)
    assert [(one.start_seconds, one.stop_seconds, one.text) for one in videos[0].labels] == [
        (0, 5, "move sauce"),
        (1.9, 2.1, "put meat"),
        (2.6, 2.9, "take bag"),
    ]
    store.write_bytes(f"{STORE}/annotations/1.csv", WRITERS["csv"][1](videos))
    take_in(store, "both")
    assert shown(labelled(store, "both")) == shown(before)


def test_a_clip_around_an_interval_that_was_labelled_otherwise_later_stands_for_its_interval(store, film):
    annotate(store, "1.csv", "a.mp4,2.6,2.9,take,bag\n")
    take_in(store, "both")
    (around,) = [one.clip.uid for one in labelled(store, "both").clips if one.clip.around]
    store.write_bytes(f"{STORE}/annotations/2.csv", f"uid,verb,noun\n{around},put,meat\n".encode())
    (video,) = exported(store, film)
    assert [(one.start_seconds, one.stop_seconds, one.text) for one in video.labels] == [(2.6, 2.9, "put meat")]
