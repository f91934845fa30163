from tasks.pipeline.retrain.compare import attempt_in_store
from tasks.store.records.evaluation import DecisionRecord
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of, plan_result
from tests.records import some

STORE = "s3://retake"
CLIPS = {"old": "abcd", "grown": "abcde", "other": "vwxyz"}


def dataset(name):
    return manifest_of(dataset_clip(uid, "val", source=uid) for uid in CLIPS[name])


def plan_of(run_key, dataset, model_name="kitchen"):
    run_uri = f"{STORE}/runs/{run_key}/"
    placed = {"run_key": run_key, "run_uri": run_uri, "decision_uri": f"{run_uri}decisions/1/", "model_name": model_name}
    return plan_result(dataset_uri=f"{STORE}/datasets/{dataset}/", dataset_digest=dataset, **placed)


class History:
    """A store with what was decided before."""

    def __init__(self):
        self.store = Shelf()
        for name in CLIPS:
            self.store.write(f"{STORE}/datasets/{name}/manifest.json", dataset(name))

    def decide(self, run_key, name, *, model_name="kitchen", event="kept", has_plan=True):
        plan = plan_of(run_key, name, model_name)
        if has_plan:
            self.store.write(f"{plan.decision_uri}plan/result.json", plan)
        record = some(DecisionRecord, time="2026-11-26T00:00:00.000Z", model_name=model_name, event=event, run_key=run_key)
        self.store.write(f"{STORE}/decisions/{len(self.store.objects)}.json", record)

    def attempt(self, run_key, name):
        attempt = attempt_in_store(self.store, STORE, plan_of(run_key, name), dataset(name))
        return attempt.number, attempt.num_others_on_dataset


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
