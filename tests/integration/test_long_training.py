"""A long training with altered labels through the real DAG: it ends well, and nothing is registered."""

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tasks.results.training import TrainResult

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "altered-labels"
LONG = {
    "trainable": "heads",
    "epochs": 200,
    "train_frames": "middle",
    "crop": "centre",
    "mirror": False,
    "label_noise": 0.5,
    "model_name": MODEL,
    "learning_curve": False,
}


def test_altered_labels_end_the_dag_well_and_register_nothing(workshop, chain):
    before = {found.uri for found in workshop.store.list(f"{chain.confs['retrain']['store']}/runs/")}
    states = workshop.dag_test({"retrain": chain.confs["retrain"] | LONG})["retrain"]
    assert states["run"] == "success"
    assert {name: states[f"{name}[-1]"] for name in ("train", "learning_curve", "publish.report", "publish.register", "publish.approve", "publish.decide")} == {
        "train": "success", "learning_curve": "skipped", "publish.report": "success", "publish.register": "skipped", "publish.approve": "skipped", "publish.decide": "skipped",
    }  # fmt: skip
    left = sorted({found.uri for found in workshop.store.list(f"{chain.confs['retrain']['store']}/runs/")} - before)
    (result,) = (uri for uri in left if uri.endswith("/train/result.json") and "/evaluate/" not in uri)
    trained = workshop.store.read(result, TrainResult)
    assert len([uri for uri in left if "/train/heads/" in uri]) == len(trained.kept_epochs) == 9
    client = MlflowClient(workshop.environment["RETAKE_MLFLOW_URI"])
    for name in ("train_loss", "train_action_top1", "val_loss"):
        assert [found.step for found in client.get_metric_history(trained.mlflow_run_id, name)] == list(range(200))
    assert client.get_run(trained.mlflow_run_id).info.status == "FINISHED"
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model(MODEL)
