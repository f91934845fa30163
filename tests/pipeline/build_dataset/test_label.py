"""`label` gives new words their ids once, whoever asks and whatever is killed on the way."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from unittest.mock import Mock, call

import pytest

from tasks.data.clips.label_inputs import MAX_ANNOTATION_BYTES, append_to_log, inputs_digest, number_words, own_classes
from tasks.data.labels.vocabulary import OwnClasses
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.pipeline.build_dataset import label
from tasks.pipeline.build_dataset.contract import LabelArguments
from tasks.predict.to_label import COLUMNS
from tasks.store.records.dataset import NO_OBJECT, LabelsFile
from tasks.store.records.labelling import ClipStatement
from tasks.wording import csv_table
from tests.pipeline.shelf import Fragile, Killed, Shelf, grown, taken_in

STORE = "s3://retake"
OUT = f"{STORE}/labels/{recipe_of(SegmentOptions())}/"
NAMES = ("knit sock/a.mp4", "наливать чай/b.mp4", "wave/c.mp4", "put meat/d.mp4", "day 1/e.mp4")


@pytest.fixture
def store():
    made = Fragile()
    taken_in(made, NAMES)
    return made


def listed(store):
    """All clips, in the order of `NAMES`."""
    label.run(LabelArguments(store=STORE), store)
    clips = store.read(f"{OUT}labels.json", LabelsFile).clips
    return [clip.clip for clip in sorted(clips, key=lambda clip: NAMES.index(clip.names[0]))]


def labelled(store):
    result = label.run(LabelArguments(store=STORE), store)
    clips = store.read(f"{OUT}labels.json", LabelsFile).clips
    return result, {clip.action: (clip.verb_class, clip.noun_class) for clip in clips if clip.action}


def test_new_words_are_numbered_in_the_store_and_a_second_run_changes_nothing(store, caplog):
    caplog.set_level("INFO", "retake")
    result, ids = labelled(store)
    assert ids == {"knit sock": (125, 353), "wave": (126, 352), "наливать чай": (127, 354), "put meat": (1, 26)}
    assert json.loads(store.objects[f"{STORE}/classes/nouns/352.json"]) == {"id": 352, "name": NO_OBJECT}
    assert (result.num_labelled, result.num_new_folders, result.num_left_out) == (4, 3, 1)
    assert "folder wave/ is read as verb 'wave', no object: 1 clip" in caplog.messages
    assert "left out: day 1/: 1 clip of 1 video: has a digit in its name, so it is not a label" in caplog.messages
    before = dict(store.objects)
    assert labelled(store) == (result, ids)
    assert store.objects == before


@pytest.mark.parametrize("cut", ["grid", "both"])
def test_each_label_file_is_read_once(store, cut, monkeypatch):
    files = [f"{STORE}/annotations/{name}" for name in ("a.csv", "b.csv")]
    for uri in files:
        store.write_bytes(uri, b"video,start_seconds,stop_seconds,verb,noun\na.mp4,0,4,put,meat\n")
    read = Mock(wraps=store.read_bytes)
    monkeypatch.setattr(store, "read_bytes", read)
    label.run(LabelArguments(store=STORE, cut=cut), store)
    assert [read.call_args_list.count(call(uri)) for uri in files] == [1, 1]


@pytest.mark.parametrize("num_writes", range(6))
def test_a_step_that_is_killed_between_two_ids_gives_none_twice(store, num_writes, monkeypatch):
    monkeypatch.setattr(label, "now_utc", lambda: "2026-01-01T00:00:00.000Z")
    whole = store.copy()
    store.dies_at = store.num_writes + num_writes
    with pytest.raises(Killed):
        labelled(store)
    store.dies_at = None
    assert labelled(store) == labelled(whole)
    assert store.objects == whole.objects


def test_of_steps_that_number_words_at_once_all_agree():
    store = Shelf()
    words = [f"word-{number}" for number in range(40)]
    shares = [words[first::step] for first, step in ((0, 1), (0, 2), (1, 2), (0, 3), (2, 3), (1, 5))]
    start = Barrier(len(shares))

    def number(share):
        own = own_classes(store, STORE)
        start.wait()
        return number_words(store, STORE, own, {"verb": share, "noun": []}).verbs

    with ThreadPoolExecutor(len(shares)) as pool:
        answers = list(pool.map(number, shares))
    given = own_classes(store, STORE)
    assert sorted(given.verbs.values()) == list(range(125, 165))
    assert all(
        {word: answer[word] for word in share} == {word: given.verbs[word] for word in share}
        for share, answer in zip(shares, answers, strict=True)
    )
    assert number_words(store, STORE, given, {"verb": words, "noun": []}) == OwnClasses(given.verbs, {})


def test_a_file_that_is_too_large_is_named_and_not_read(store, monkeypatch):
    large = f"{STORE}/annotations/films/large.json"
    store.write_bytes(large, b"{}")
    grown(store, large, MAX_ANNOTATION_BYTES + 1, monkeypatch)
    result, ids = labelled(store)
    (problem,) = result.first_problems
    assert (problem.place, problem.reason) == ("large.json", "is larger than 64 MiB and was not read; split it into several files")
    assert "put meat" in ids


def test_a_file_of_the_largest_size_is_read(store, monkeypatch):
    file = f"{STORE}/annotations/a.csv"
    store.write_bytes(file, b"uid,verb,noun\ne,take,bag\n")
    grown(store, file, MAX_ANNOTATION_BYTES, monkeypatch, is_read=True)
    assert "take bag" in labelled(store)[1]


@pytest.mark.parametrize(("columns", "is_chosen"), [(COLUMNS, True), (("uid", "verb", "noun", "reason"), False)])
def test_the_videos_of_a_filled_in_list_to_label_count_as_chosen_by_a_model(store, columns, is_chosen):
    (first, second) = listed(store)[:2]
    lines = [{"uid": clip.uid, "verb": verb, "noun": ""} for clip, verb in ((first, "wave"), (second, ""))]
    store.write_bytes(f"{STORE}/annotations/filled in.csv", csv_table(columns, lines))
    label.run(LabelArguments(store=STORE), store)
    assert store.read(f"{OUT}labels.json", LabelsFile).chosen == ((first.video,) if is_chosen else ())


def test_epics_lists_beside_its_weights_number_words(store):
    recipe = "r"
    before = inputs_digest(store, STORE, recipe)
    store.write_bytes(
        f"{STORE}/pretrained/EPIC_verb_classes.csv", b"verb_id,class_key,verbs\n77,knit,\"['knit']\"\n88,greet,\"['greet', 'wave']\"\n"
    )
    assert inputs_digest(store, STORE, recipe) != before
    assert labelled(store)[1] == {"knit sock": (77, 353), "greet": (88, 352), "наливать чай": (125, 354), "put meat": (1, 26)}


def test_the_rest_of_fully_labelled_videos_is_nothing_unless_somebody_was_unsure():
    store = Shelf()
    taken_in(store, [*NAMES, "day 2/f.mp4"])
    store.write_bytes(f"{STORE}/annotations/done.csv", b"video,fully_labelled\ne.mp4,yes\nf.mp4,yes\nd.mp4,yes\n")
    _, ids = labelled(store)
    assert "nothing" not in ids
    chosen = LabelArguments(store=STORE, nothing_share=1)
    assert label.run(chosen, store).num_labelled == 6
    labels = store.read(f"{OUT}labels.json", LabelsFile)
    assert {(clip.names, clip.origin) for clip in labels.clips if clip.action == "nothing"} == {
        (("day 1/e.mp4",), "done.csv:2"),
        (("day 2/f.mp4",), "done.csv:3"),
    }
    assert labels.vocabulary.nothing_verb == own_classes(store, STORE).verbs["nothing"]

    (clip,) = (labelled.clip for labelled in labels.clips if labelled.names == ("day 1/e.mp4",))
    unsure = ClipStatement(
        token="0" * 32, by="a", at="2026-11-27T12:00:00.000Z", video=clip.video, uid=clip.uid, start_seconds=clip.start_seconds,
        stop_seconds=clip.stop_seconds, answer="unsure",
    )  # fmt: skip
    append_to_log(store, STORE, unsure, 0)
    result = label.run(chosen, store)
    assert (result.num_labelled, result.num_unsure) == (5, 1)
    assert store.read(f"{OUT}labels.json", LabelsFile).unsure == (clip.uid,)


def test_a_clip_that_a_folder_labels_is_not_among_the_unsure_ones(store):
    clip = listed(store)[NAMES.index("put meat/d.mp4")]
    part = {name: getattr(clip, name) for name in ("video", "uid", "start_seconds", "stop_seconds")}
    append_to_log(store, STORE, ClipStatement(token="0" * 32, by="a", at="2026-11-27T12:00:00.000Z", answer="unsure", **part), 0)
    result, ids = labelled(store)
    assert (result.num_labelled, result.num_unsure, "put meat" in ids) == (4, 0, True)
