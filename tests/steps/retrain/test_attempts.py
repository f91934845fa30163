from tasks.options import EvaluateOptions, GateOptions, LabelOptions, SegmentOptions, SplitOptions, TrainOptions, Weights
from tasks.results.dataset import DatasetClip, Manifest, Vocabulary
from tasks.results.decision import DecisionRecord
from tasks.results.training import PlanResult, WeightsResult
from tasks.steps.retrain.compare import attempt_in_store
from tests.steps.shelf import Shelf

STORE = "s3://retake"
CLIPS = {"old": "abcd", "grown": "abcde", "other": "vwxyz"}


def clip(uid):
    where = {"uid": uid, "split": "val", "source": uid, "names": (), "video": uid, "uri": f"{STORE}/{uid}", "sha256": uid}
    cut = {"start_seconds": 0, "stop_seconds": 8, "num_frames": 240, "width": 320, "height": 180}
    return DatasetClip(**where, **cut, verb="put", noun="meat", verb_class=1, noun_class=26, origin="test")


def manifest_of(dataset):
    return Manifest(
        recipe="r",
        segment=SegmentOptions(),
        label=LabelOptions(),
        split=SplitOptions(),
        vocabulary=Vocabulary(verbs=(), nouns=()),
        clips=tuple(clip(uid) for uid in CLIPS[dataset]),
        excluded=(),
        warnings=(),
    )


def plan_of(run_key, dataset, model_name="kitchen"):
    run_uri = f"{STORE}/runs/{run_key}/"
    weights = WeightsResult(backbone="b", network="n", weights=Weights.NONE, uri="u", sha256="0", description="none", is_chance=True)
    return PlanResult(
        run_key=run_key,
        run_uri=run_uri,
        dataset_uri=f"{STORE}/datasets/{dataset}/",
        dataset_digest=dataset,
        train=TrainOptions(),
        evaluate=EvaluateOptions(),
        gate=GateOptions(),
        decision_uri=f"{run_uri}decisions/1/",
        num_champions=0,
        model_name=model_name,
        weights=weights,
        champion=None,
        evaluations=(),
    )


class History:
    """A store with what was decided before."""

    def __init__(self):
        self.store = Shelf()
        for dataset in CLIPS:
            self.store.write(f"{STORE}/datasets/{dataset}/manifest.json", manifest_of(dataset))

    def decide(self, run_key, dataset, *, model_name="kitchen", event="kept", has_plan=True):
        plan = plan_of(run_key, dataset, model_name)
        if has_plan:
            self.store.write(f"{plan.decision_uri}plan/result.json", plan)
        record = DecisionRecord(
            time="2026-11-26T00:00:00.000Z",
            model_name=model_name,
            version=1,
            event=event,
            champion_before=None,
            champion_after=None,
            promotion="auto",
            decided_by="rules",
            reason="?",
            run_key=run_key,
            mlflow_run_url="u",
        )
        self.store.write(f"{STORE}/decisions/{len(self.store.objects)}.json", record)

    def attempt(self, run_key, dataset):
        found = attempt_in_store(self.store, STORE, plan_of(run_key, dataset), manifest_of(dataset))
        return found.number, found.num_others_on_dataset


def test_decisions_on_these_clips_under_this_name_are_counted_and_no_others():
    history = History()
    assert history.attempt("1", "old") == (1, 0)
    history.decide("1", "old")
    assert history.attempt("1", "old") == (1, 0)
    assert history.attempt("2", "old") == (2, 1)
    history.decide("2", "old", event="promoted")
    assert history.attempt("3", "grown") == (3, 0)
    history.decide("x", "old", model_name="another")
    history.decide("y", "other")
    history.decide("0", "old", event="rolled back")
    assert history.attempt("3", "grown") == (3, 0)


def test_a_decision_whose_plan_is_gone_is_said_to_be_left_out(caplog):
    history = History()
    history.decide("1", "old", has_plan=False)
    assert history.attempt("2", "old") == (1, 0)
    assert "run 1 was decided on, and its plan is gone" in caplog.text
