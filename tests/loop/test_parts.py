"""The parts of the summary, made from the records of steps."""

from tasks.loop.parts import MAX_PREDICTIONS, agreement_in_words, dataset_status, films_status, labels_status, with_prediction
from tasks.store.records.dataset import Agreement, DatasetResult, LabelledClip, LabelResult, LabelsFile, ReadFolder
from tasks.store.records.status import DatasetChange, PredictionStatus
from tasks.store.records.video import SummaryResult
from tests.data.labels.records import clip_record
from tests.records import some

AT = tuple(f"2026-11-{day}T08:00:00.000Z" for day in (10, 11, 12, 13))


def test_an_ingest_that_brings_nothing_new_keeps_the_time_of_the_last_film():
    summary = some(SummaryResult, num_clips=30, num_set_aside=0)
    first = films_status(None, summary, 3, AT[0])
    assert (first.num_videos, first.num_new, first.new_at) == (3, 0, AT[0])
    second = films_status(first, summary, 5, AT[1])
    third = films_status(second, summary, 5, AT[2])
    assert {(part.num_videos, part.num_new, part.new_at) for part in (second, third)} == {(5, 2, AT[1])}
    fewer = films_status(third, summary, 4, AT[3])
    assert (fewer.num_videos, fewer.num_new, fewer.new_at) == (4, 2, AT[1])


def test_labels_are_counted_by_folder_file_and_person():
    origins = ["folder put meat"] * 2 + ["labels.csv:12", "labels.csv:13", "other: tool.json, video 3"] + ["the page Label"] * 2 + [None]
    clips = tuple(some(LabelledClip, clip=clip_record("v", uid=f"u{number}"), origin=origin) for number, origin in enumerate(origins))
    labels = some(LabelsFile, clips=clips, folders=(some(ReadFolder, folder="put meat"),), agreement=None)
    result = some(LabelResult, num_clips=8, num_labelled=7, num_statements=2)
    part = labels_status(labels, result, {"u5": "ada", "u6": "bea"}, AT[0])
    assert {(origin.kind, origin.name): origin.num_clips for origin in part.by_origin} == {
        ("folder", "put meat"): 2,
        ("file", "labels.csv"): 2,
        ("file", "other: tool.json"): 1,
        ("person", "ada"): 1,
        ("person", "bea"): 1,
    }
    assert (part.num_clips, part.num_labelled, part.num_statements, part.agreement) == (8, 7, 2, "")


def test_agreement_is_told_in_a_sentence():
    agreement = Agreement(num_clips=40, num_videos=5, share=0.9, kappa=0.8123, interval=(0.6, 0.95))
    assert agreement_in_words(agreement) == (
        "Two readers give the same answer to 90.0 % of 40 clips of 5 videos; Cohen's kappa 0.81 [0.60, 0.95], 95 % interval over videos."
    )
    assert "kappa cannot be told" in agreement_in_words(agreement.model_copy(update={"kappa": None, "interval": None}))


def test_a_dataset_keeps_its_change_and_its_place_until_another_comes():
    def result(digest):
        counts = {"train": 4, "val": 2, "test": 0}
        return some(DatasetResult, digest=digest, num_clips=counts, num_sources=counts)

    change = some(DatasetChange, before="d1")
    first = dataset_status(None, result("d1"), None, AT[0])
    second = dataset_status(first, result("d2"), change, AT[1])
    again = dataset_status(second, result("d2"), None, AT[2])
    assert (again.change, again.datasets) == (change, second.datasets)
    back = dataset_status(again, result("d1"), change, AT[3])
    assert [(kept.digest, kept.at) for kept in back.datasets] == [("d1", AT[3]), ("d2", AT[1])]
    assert [(split.split, split.num_clips) for split in back.splits] == [("train", 4), ("val", 2), ("test", 0)]


def test_the_latest_predictions_are_kept_each_once():
    kept = None
    for number in (*range(MAX_PREDICTIONS + 2), 5):
        kept = with_prediction(kept, some(PredictionStatus, prediction_uri=f"p{number}"))
    assert [known.prediction_uri for known in kept.predictions] == ["p5", "p11", "p10", "p9", "p8", "p7", "p6", "p4", "p3", "p2"]
