import json
from types import SimpleNamespace

import pytest

from tasks.data.clips.label_inputs import append_to_log
from tasks.options import EvaluateOptions, PredictOptions, SegmentOptions, Weights
from tasks.pipeline.build_dataset import label
from tasks.pipeline.build_dataset.contract import LabelArguments
from tasks.pipeline.predict_videos._chosen import NetworkWithPlans, baseline_of, names_of, registered
from tasks.pipeline.predict_videos.contract import PredictPlanArguments
from tasks.pipeline.predict_videos.predict_plan import _against, _labels_today, _met_by
from tasks.pipeline.retrain.plan import evaluations
from tasks.pipeline.retrain.register import _served
from tasks.store.layout import Dataset
from tasks.store.records.dataset import NOTHING, ClassRef, Vocabulary
from tasks.store.records.training import PlanResult, WeightsResult
from tasks.store.run_layout import Evaluations, Run
from tasks.tracking.registry import RegisteredVersion
from tests.data.labels.records import clip_record, video_of
from tests.data.labels.test_statements import Writer
from tests.pipeline.predict_videos.trained import STORE, score
from tests.pipeline.shelf import (
    RUN,
    Shelf,
    cut_into,
    dataset_clip,
    manifest_of,
    plan_result,
    predict_plan,
    predictor,
    weights_result,
)


@pytest.fixture
def shelf():
    made = Shelf()
    made.write_bytes(f"{RUN}c.ckpt", b"weights")
    return made


def trained(crops):
    """A training that was tested with so many crops."""
    planned = tuple(evaluations(Evaluations(f"{RUN}{crops}/"), ["train", "val"], "val", None))
    return plan_result(planned, evaluate=EvaluateOptions(crops=crops), decision_uri=f"{RUN}decisions/{crops}/")


def baseline(shelf, *plans, crops=10, precision=None):
    return baseline_of(NetworkWithPlans(predictor("m version 1"), RUN, plans), crops, shelf, precision).predictor


def test_a_baseline_was_trained_by_what_its_training_began_with(shelf):
    earlier = Run(f"{STORE}/runs/456789abcdef0123/")
    for weights, trainings in ((Weights.TRAINED, (earlier,)), (Weights.NONE, ())):
        plan = plan_result(weights=weights_result(weights=weights, uri=f"{earlier.folder_uri}train/best.pt"))
        shelf.write_bytes(plan.weights.uri, b"weights")
        model = NetworkWithPlans(predictor("m version 1"), RUN, (plan,))
        assert (model.trainings, baseline_of(model, 10, shelf).trainings) == ((Run(RUN),), trainings)


def test_without_a_training_the_stores_dataset_says_what_a_network_met_and_not_that_of_the_other(shelf):
    unknown, known = (NetworkWithPlans(predictor(name), run, plans) for name, run, plans in (("m", None, ()), ("n", RUN, (plan_result(),))))
    manifests = {uri: manifest_of([dataset_clip(video=uri)]) for uri in ("s3://retake/datasets/x/", "s3://retake/datasets/y/")}
    shelf.write(f"{RUN}decisions/d/plan/result.json", known.plans[0])
    shelf.write("s3://retake/datasets/x/manifest.json", manifests["s3://retake/datasets/x/"])
    for against, met in ((None, set(manifests)), (known, {"s3://retake/datasets/y/"})):
        assert _met_by(unknown, against, STORE, manifests, shelf)["model"].in_train - {"a"} == met


def test_a_word_of_epics_lists_names_its_class_though_no_dataset_has_it(shelf):
    shelf.write_bytes(f"{STORE}/pretrained/EPIC_verb_classes.csv", b"verb_id,class_key,verbs\n1,put,\"['put']\"\n77,knit,\"['knit']\"\n")
    names = names_of(predict_plan(predictor("m version 1")), shelf, ())
    assert [names.name("verb", class_id) for class_id in (0, 77, 78)] == ["take", "knit", "verb-78"]


def test_temperatures_are_of_answers_with_as_many_crops(shelf):
    latest, earlier = trained(1), trained(10)
    score(shelf, latest, 200)
    predicts = baseline(shelf, latest, earlier)
    assert (predicts.calibration_crops, predicts.is_calibrated) == (1, True)
    score(shelf, earlier, 100)
    predicts = baseline(shelf, latest, earlier)
    assert predicts.calibration_crops == 10
    assert predicts.calibration.endswith("fitted on 100 val clips (10 crops per frame, openvino bfloat16)")
    assert baseline(shelf, latest, earlier, crops=1).calibration_crops == 1


@pytest.mark.parametrize("name", ["result.json", "predictions.parquet"])
@pytest.mark.parametrize("data", [b"", b"{}", b"PAR1" + bytes(40) + b"PAR1"])
def test_damaged_answers_are_the_reason_why_nothing_is_calibrated(shelf, name, data):
    plan, other = trained(10), trained(1)
    out = score(shelf, plan, 200)
    shelf.write_bytes(f"{out}{name}", data)
    predicts = baseline(shelf, plan, other)
    assert (predicts.is_calibrated, predicts.verb_temperature, predicts.calibration_crops) == (False, 1, None)
    assert predicts.calibration.startswith(f"not calibrated: {out}{name} ")
    score(shelf, other, 100)
    assert baseline(shelf, plan, other).calibration_crops == 1


def test_answers_whose_network_was_not_counted_calibrate_as_all_others_do(shelf):
    plan = trained(10)
    uri = f"{score(shelf, plan, 200)}result.json"
    expected = baseline(shelf, plan)
    result = json.loads(shelf.read_bytes(uri))
    del result["num_parameters"], result["num_flops"]
    shelf.write_bytes(uri, json.dumps(result).encode())
    assert baseline(shelf, plan) == expected
    assert expected.is_calibrated


def test_a_plan_from_before_there_was_any_network_but_one_can_be_read():
    plan = trained(10)
    plan = plan.model_copy(update={"weights": plan.weights.model_copy(update={"network": "TSN test_resnet rgb"})})
    stored = plan.model_dump(mode="json")
    del stored["weights"]["network"]
    assert PlanResult.model_validate(stored) == plan
    assert WeightsResult.model_validate(plan.weights.model_dump()) == plan.weights


def test_a_threshold_is_of_the_latest_answers_and_names_their_crops(shelf):
    plan = trained(1)
    score(shelf, plan, 200)
    predicts = baseline(shelf, plan, precision=0.5)
    assert predicts.interval_threshold > 0
    assert "(1 crop per frame)" in predicts.interval_words
    never = baseline(shelf, plan, precision=0.999999)
    assert (never.interval_threshold, never.reports_intervals) == (None, False)
    assert never.interval_words.startswith("none, because ")


def test_a_registered_model_reports_intervals_from_the_threshold_of_predictions_on(shelf):
    plan = trained(1)
    score(shelf, plan, 200, "fine-tuned")
    manifest = manifest_of([dataset_clip(str(i), verb_class=i, noun_class=i) for i in range(3)])
    shelf.write(Dataset(plan.dataset_uri).manifest, manifest)
    shelf.write(f"{plan.decision_uri}plan/result.json", plan)
    version = RegisteredVersion(1, "r", plan.run_key, f"{RUN}c.ckpt", "")
    registry = SimpleNamespace(resolve=lambda _: ("m", version))

    def threshold(*, known_pairs):
        precision = PredictOptions().interval_precision
        return registered("m", "s3://retake", 1, shelf, registry, precision, known_pairs=known_pairs).predictor.interval_threshold

    assert _served(plan, manifest, shelf).threshold == threshold(known_pairs=True) != threshold(known_pairs=False)


def test_without_answers_on_val_nothing_is_calibrated_and_intervals_of_any_probability_are_reported(shelf):
    predicts = baseline(shelf, trained(10), precision=0.8)
    assert (predicts.interval_threshold, predicts.reports_intervals) == (None, True)
    assert predicts.interval_words == "of any probability: no answers on val clips are in the store"
    assert predicts.calibration == "not calibrated: no answers on val clips are in the store"


def test_the_threshold_leaves_out_clips_that_the_network_calls_nothing_as_its_dataset_names_it(shelf):
    plan = trained(10)
    score(shelf, plan, 200)
    before = baseline(shelf, plan, precision=0.5)
    words = Vocabulary(verbs=(ClassRef(id=1, name=NOTHING),), nouns=())
    shelf.write(Dataset(plan.dataset_uri).manifest, manifest_of((), words))
    after = baseline(shelf, plan, precision=0.5)
    assert after.interval_words != before.interval_words
    assert after.calibration == before.calibration


@pytest.mark.parametrize(
    ("before", "sha256", "taken"),
    [(None, "", None), (1, "b", "m version 1"), (1, "", None), (3, "b", None)],
    ids=["the first version", "the one before", "the same network", "a later one"],
)
def test_a_baseline_whose_heads_are_untrained_is_left_out_and_named_and_the_version_before_takes_its_place(shelf, before, sha256, taken):
    model = NetworkWithPlans(predictor("m version 2"), RUN, (plan_result(weights=weights_result(is_chance=True)),))
    versions = {number: RegisteredVersion(number, "r", str(number), f"{RUN}c.ckpt", sha256) for number in (1, 2, 3)}
    shelf.write_bytes(f"{RUN}c.ckpt", b"")
    registry = SimpleNamespace(
        resolve=lambda reference: ("m", versions[int(reference.rpartition("/")[2])]), previous=lambda name, run_key: versions.get(before)
    )
    against, missing = _against(PredictPlanArguments(store="s3://retake", model="models:/m/2"), model, shelf, registry, None)
    assert (against and against.predictor.label) == taken
    assert missing == ("the baseline of m version 2: its heads are untrained, so it would answer by chance",)


def test_labels_count_from_the_moment_they_are_given(shelf):
    store, cut, log = "s3://retake", SegmentOptions(), Writer()
    clip, other = (clip_record(video_of("a.mp4"), i) for i in range(2))
    cut_into(shelf, clip.video, (clip, other))

    def actions():
        before = dict(shelf.objects)
        labels = [labelled.action for labelled in _labels_today(store, cut, shelf)]
        assert shelf.objects == before
        return labels

    def said(verb):
        log.clip(clip, verb, "meat")
        append_to_log(shelf, store, log.entries[-1].statement, len(log.entries) - 1)
        return actions()

    assert said("put") == ["put meat", None]
    label.run(LabelArguments(store=store), shelf)
    assert actions() == ["put meat", None]
    shelf.write_bytes(f"{store}/annotations/a.csv", f"uid,verb,noun\n{other.uid},wash,meat\n".encode())
    assert actions() == ["put meat", "wash meat"], "a file that no build has read"
    assert said("take") == ["take meat", "wash meat"]
    assert _labels_today(store, SegmentOptions(clip_seconds=4), shelf) == (), "nothing is cut so"
