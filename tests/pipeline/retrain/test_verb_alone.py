"""Clips whose labels name no object, every step from the training to the registered model real, but for the store and MLflow."""

import re

import mlflow
import pytest

from tasks.learn.networks.checkpoints import load
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import VERB_ALONE
from tasks.tracking.flavours import TENSORS
from tasks.wording import percent

OF_OBJECTS = re.compile(r"noun|action|\(none\)", re.IGNORECASE)


@pytest.mark.slow
def test_one_target_from_the_training_to_the_registered_model(verbs, tmp_path, caplog):
    caplog.set_level("INFO")
    shelf = verbs.store
    plan = verbs.decide(engine="openvino")
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
