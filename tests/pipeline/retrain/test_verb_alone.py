"""Clips whose labels name no object, every step from the training to a prediction real, but for the store and MLflow."""

import csv
import io
import re

import mlflow
import pytest

from tasks.keys import recipe_of
from tasks.learn.networks.checkpoints import load
from tasks.options import EvaluateOptions, PredictOptions, SegmentOptions
from tasks.store.records.experiments import KnownLabels, PredictedVideo, PredictionBatch
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import VERB_ALONE
from tasks.store.records.video import BatchRef
from tasks.tracking.flavours import TENSORS
from tasks.wording import percent
from tests.pipeline.in_process import STORE
from tests.pipeline.retrain.bench import DATASET
from tests.pipeline.shelf import cut_into, predict_plan, predictor

PREDICTION = f"{STORE}/predictions/p/"
OF_OBJECTS = re.compile(r"noun|action|\(none\)", re.IGNORECASE)


@pytest.mark.slow
def test_one_target_from_the_training_to_the_registered_model_and_a_prediction(verbs, tmp_path, caplog):
    caplog.set_level("INFO")
    shelf = verbs.store
    plan = verbs.decide(epochs=2, engine="openvino")
    trained = verbs.run("train")
    assert all(epoch.val_verb_top1 is not None and epoch.val_action_top1 is None for epoch in trained.epochs)
    shelf.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    assert not load(tmp_path / "best.pt").classes.has_objects
    results = {model: result for (model, split), result in verbs.evaluate().items() if split == "val"}
    compared, reported = verbs.report()
    assert {result.targets for result in results.values()} == {VERB_ALONE}
    assert all(result.verb == result.action for result in results.values())
    assert f"baseline on 4 val clips: top-1 of verbs {percent(results['baseline'].verb.top1)}" in caplog.messages
    assert {"baseline/val/confusion_verbs.png", "fine-tuned/val/loss_per_clip.png"} <= verbs.logged.artifacts.keys()
    assert {difference.target for difference in compared.differences} == set(VERB_ALONE)
    assert "4 of 4 val clips belong to classes that the baseline cannot name: verb 'wave' and verb 'наливать'." in shelf.objects[
        compared.table_uri
    ].decode().replace("\\", "")
    metrics = shelf.read(reported.metrics_uri, Metrics)
    assert (metrics.targets, metrics.network) == (VERB_ALONE, plan.weights.network)
    assert "of the verbs" in compared.verdict
    page = re.sub(r'<table class="settings">.*?</table>', "", verbs.page(reported), flags=re.DOTALL)
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "Verbs" in shown
    run = verbs.logged
    texts = (shown, reported.question, compared.reason, run.data.tags["mlflow.note.content"], *run.data.metrics, *run.artifacts)
    assert [text for text in texts if OF_OBJECTS.search(text)] == []
    assert {"fine-tuned/val/verb_top1", "gain/val/verb_top1_over_baseline", "val_verb_top1"} <= run.data.metrics.keys()
    assert "to predict the verb of short video clips" in shelf.objects[reported.card_uri].decode()
    assert (unregistered := verbs.logged.info.run_name).startswith("TSN test_resnet · ")
    verbs.register()
    assert verbs.logged.info.run_name == f"v1 · {unregistered}"
    assert mlflow.models.get_model_info(f"{verbs.model}/{TENSORS}").signature.outputs.input_names() == ["verb_logits"]

    predict(verbs, trained)
    rows = list(csv.DictReader(io.StringIO(shelf.objects[f"{PREDICTION}report/predictions.csv"].decode())))
    assert {row["network"] for row in rows} == {"model", "baseline"}
    assert not [name for name in rows[0] if OF_OBJECTS.search(name)]
    told = re.sub(r"<style>.*?</style>|<[^>]+>", " ", shelf.objects[f"{PREDICTION}report/report.html"].decode(), flags=re.DOTALL)
    assert "The two networks predict the same verb on " in told
    assert not OF_OBJECTS.search(told)


def predict(bench, trained):
    """Both networks on a new video."""
    store, plan, video, recipe = bench.store, bench.plan, "a" * 64, recipe_of(SegmentOptions())
    store.clip_bytes = bench.films[0]
    cut_into(store, video, store.clips(video, 2, recipe), recipe=recipe)
    store.write(f"{PREDICTION}labels.json", KnownLabels(labels=()))
    batch = BatchRef(name="0", uri=f"{PREDICTION}batches/0000.json", out=f"{PREDICTION}batches/0000/")
    store.write(batch.uri, PredictionBatch(videos=(PredictedVideo(video=video, name="new.mp4"),)))
    planned = predict_plan(
        predictor("model", trained.checkpoint_uri, trained.checkpoint_sha256),
        predictor("baseline", plan.weights.uri, plan.weights.sha256),
        evaluate=EvaluateOptions(crops=1, engine="pytorch", bootstrap_resamples=100),
        predict=PredictOptions(),
        run_uri=plan.run_uri,
        model_dataset_uri=DATASET,
        dataset_uris=(DATASET,),
        batches=(batch,),
    )
    store.write(f"{PREDICTION}plan/result.json", planned)
    for step, its_batch in (("predict_known", {}), ("predict_batch", {"batch": batch.uri}), ("predict_report", {})):
        bench.run(step, **{"plan": f"{PREDICTION}plan/"} | its_batch)
