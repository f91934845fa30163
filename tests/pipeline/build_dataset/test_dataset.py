"""From labelled clips to a dataset: which labels make one, how its classes are numbered, and that it is never read by halves."""

import hashlib

import pytest

from tasks.data.split.split import assign_splits, read_split_csv
from tasks.errors import BadInput, NothingToDo
from tasks.pipeline.build_dataset import split
from tasks.store.layout import Layout
from tasks.store.records.dataset import NO_OBJECT, DatasetResult, LabelsFile, Manifest
from tasks.store.records.record import TARGETS
from tasks.store.records.training import UnlabelledClips
from tests.data.labels.records import clip_record, video_of
from tests.pipeline.in_process import LABELS, STORE, Bench
from tests.pipeline.shelf import Fragile, Killed, taken_in

FOUR = ("put meat/a.mp4", "put meat/b.mp4", "take bag/c.mp4", "take bag/d.mp4")


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    monkeypatch.setattr("tasks.pipeline.build_dataset.dataset.histograms", lambda manifest: dict.fromkeys(TARGETS, b"a picture"))


@pytest.fixture
def bench():
    return Bench()


def manifest_of(bench, dataset):
    return bench.store.read(f"{dataset.dataset_uri}manifest.json", Manifest)


def splits_of(bench):
    return read_split_csv(bench.store.read_bytes(Layout(STORE).split_file))


def test_labels_that_make_no_dataset_leave_none(bench):
    taken_in(bench.store, FOUR[:2])
    with pytest.raises(BadInput, match="training needs at least two actions: label another"):
        bench.split()
    assert not list(bench.store.list(f"{STORE}/datasets/"))


def test_without_any_label_there_is_nothing_to_do(bench):
    taken_in(bench.store, ("a.mp4", "b.mp4"))
    with pytest.raises(NothingToDo, match=r"none of 2 clips has a label yet: .*page Label.*'put meat'.*uid,verb,noun"):
        bench.split()


def test_two_splits_at_the_same_time_keep_each_others_sources(bench, monkeypatch):
    """A second run ends between the first one's reading of split.csv and its writing."""
    split_file, others = f"{STORE}/datasets/split.csv", Bench()
    taken_in(bench.store, FOUR)
    taken_in(others.store, [name.replace("/", "/other ") for name in FOUR])
    others.split()
    theirs = others.store.read_bytes(split_file)

    def assign_meanwhile(*arguments):
        if not bench.store.exists(split_file):
            bench.store.write_bytes(split_file, theirs)
        return assign_splits(*arguments)

    monkeypatch.setattr(split, "assign_splits", assign_meanwhile)
    bench.split()
    assert bench.store.read_bytes(split_file).startswith(theirs)
    assert read_split_csv(bench.store.read_bytes(split_file)).keys() > read_split_csv(theirs).keys()


def test_a_film_that_taught_a_student_without_a_label_is_dealt_to_train(bench):
    others = Bench()
    for made in (others, bench):
        taken_in(made.store, FOUR)
    videos = set(map(video_of, FOUR))
    others.split()
    (held_out,) = {name for name, dealt in splits_of(others).items() if dealt == "val"} & videos
    bench.store.write(Layout(STORE).run("0123").train.unlabelled, UnlabelledClips(clips=(clip_record(held_out),)))
    bench.split()
    dealt = splits_of(bench)
    assert dealt[held_out] == "train"
    assert "val" in {dealt[video] for video in videos}


def test_a_dataset_that_is_cut_off_at_any_write_is_never_read():
    bench = Bench(Fragile())
    taken_in(bench.store, FOUR)
    bench.split()
    for limit in range(100):
        bench.store.num_writes, bench.store.dies_at = 0, limit
        try:
            bench.run("dataset", labels=LABELS)
            is_done = True
        except Killed:
            is_done = False
        written = {stored.name for stored in bench.store.list(f"{STORE}/datasets/")}
        if "manifest.json" in written:
            assert {"train.csv", "val.csv", "test.csv", "verbs.png", "nouns.png", "actions.png"} <= written
        assert ("result.json" in written) == is_done
        if is_done:
            break
    assert 8 <= limit < 20


def test_folders_of_any_words_make_a_dataset_and_ids_stay_when_classes_are_added_and_merged(bench):
    def label(num_labelled, hints):
        labelled = bench.run("label")
        assert (labelled.num_labelled, labelled.num_problems, labelled.first_hints) == (num_labelled, 0, hints)
        clips = bench.store.read(f"{LABELS}labels.json", LabelsFile).clips
        return {clip.action: (clip.verb_class, clip.noun_class) for clip in clips if clip.action}

    taken_in(bench.store, [f"{name}/{n}.mp4" for name in ("knit sock", "наливать чай", "wave", "day 1") for n in (1, 2)])
    dataset = bench.build()
    manifest = manifest_of(bench, dataset)
    ids = {"knit sock": (125, 353), "wave": (126, 352), "наливать чай": (127, 354)}
    assert {clip.action: (clip.verb_class, clip.noun_class) for clip in manifest.clips} == ids
    assert (manifest.vocabulary.num_verbs, manifest.vocabulary.num_nouns, len(manifest.clips)) == (128, 355, 6)
    train = bench.store.read_bytes(f"{dataset.dataset_uri}train.csv")
    assert f",wave,{NO_OBJECT},wave,126,352\n".encode() in train

    taken_in(bench.store, ["waves/3.mp4", "sew/4.mp4"])
    bench.store.write_bytes(f"{STORE}/annotations/train.csv", train)
    hint = "'wave' 2 clips, 'waves' 1 clip: the same class? Say so in classes.csv"
    assert label(8, (hint,)) == ids | {"sew": (128, 352), "waves": (129, 352)}

    bench.store.write_bytes(f"{STORE}/annotations/classes.csv", b"target,name,same_as\nverb,waves,wave\n")
    assert label(8, ()) == ids | {"sew": (128, 352)}
    assert f"{STORE}/classes/verbs/129.json" in bench.store.objects


def test_the_latest_dataset_is_not_built_again_until_more_is_labelled(bench):
    taken_in(bench.store, FOUR)
    first = bench.build()
    with pytest.raises(NothingToDo, match=f"{first.digest} is the latest already"):
        bench.build()
    assert bench.store.read(f"{STORE}/datasets/result.json", DatasetResult).digest == first.digest
    taken_in(bench.store, ("put meat/e.mp4", "take bag/f.mp4"))
    assert bench.build().digest != first.digest


def test_shares_that_move_no_source_build_no_dataset(bench):
    taken_in(bench.store, FOUR)
    first = bench.build()
    with pytest.raises(NothingToDo, match=f"{first.digest} is the latest already.*Sources keep their splits"):
        bench.run("dataset", labels=bench.labels, val_share=0.4)


def test_a_retry_of_the_run_that_made_the_dataset_the_latest_still_starts_a_training(bench, monkeypatch):
    taken_in(bench.store, FOUR)
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", "http://airflow/dags/build_dataset/runs/1")
    assert bench.build() == bench.build()
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", "http://airflow/dags/build_dataset/runs/2")
    for _ in range(2):
        with pytest.raises(NothingToDo):
            bench.build()


CHAPTERS = [f"GX0{chapter}000{recording}.MP4" for recording in (1, 2, 3) for chapter in (1, 2)]
LABELLED = "uid,verb,noun\n" + "".join(f"{name},put,meat\n{name.replace('GX', 'other')},take,bag\n" for name in CHAPTERS)


def recorded(bench, names):
    taken_in(bench.store, [*names, *(name.replace("GX", "other") for name in names)])
    bench.store.write_bytes(f"{STORE}/annotations/a.csv", LABELLED.encode())


def test_the_chapters_of_a_recording_are_in_one_split_and_listed_to_be_corrected(bench, caplog):
    caplog.set_level("INFO", "retake")
    recorded(bench, CHAPTERS)
    splits = {clip.names[0]: clip.split for clip in manifest_of(bench, bench.build()).clips}
    assert all(splits[first] == splits[second] for first, second in zip(CHAPTERS[::2], CHAPTERS[1::2], strict=True))
    assert set(splits.values()) == {"train", "val"}
    assert "recording GoPro 0001: GX010001.MP4, GX020001.MP4: chapters of one GoPro recording, by their names" in caplog.messages
    result = bench.run("label")
    assert (result.num_recordings, result.recordings_uri) == (3, f"{LABELS}recordings.csv")
    assert bench.store.read_bytes(result.recordings_uri).startswith(b"video,recording,reason\nGX010001.MP4,GoPro 0001,")
    apart = "video,recording\n" + "".join(f"{name},\n" for name in CHAPTERS)
    bench.store.write_bytes(f"{STORE}/annotations/recordings.csv", apart.encode())
    assert (bench.run("label").num_recordings, bench.store.read_bytes(result.recordings_uri).count(b"GoPro")) == (0, 0)


def test_files_of_a_recording_that_were_dealt_apart_keep_their_places_and_are_counted(bench, caplog):
    dealt = dict(zip(CHAPTERS, ("train", "val", "val", "val"), strict=False))
    rows = "".join(f"{hashlib.sha256(name.encode()).hexdigest()},{split}\n" for name, split in dealt.items())
    bench.store.write_bytes(f"{STORE}/datasets/split.csv", f"source,split\n{rows}".encode())
    recorded(bench, CHAPTERS)
    warning = "1 clip of val comes from recordings that train has, too: GoPro 0001 (1)"
    assert bench.split().warnings[-1] == warning
    assert warning in caplog.text
    dataset = bench.build()
    manifest = manifest_of(bench, dataset)
    assert {clip.names[0]: clip.split for clip in manifest.clips if clip.names[0] in dealt} == dealt
    assert dataset.warnings[-1] == warning
    assert manifest.excluded == ()
    taken_in(bench.store, ["GX030001.MP4"])
    bench.store.write_bytes(f"{STORE}/annotations/b.csv", b"uid,verb,noun\nGX030001.MP4,put,meat\n")
    assert {clip.names[0]: clip.split for clip in manifest_of(bench, bench.build()).clips}["GX030001.MP4"] == "train"
