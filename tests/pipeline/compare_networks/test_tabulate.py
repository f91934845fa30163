import json

import pytest

from tasks.errors import BadInput, NothingToDo
from tasks.pipeline.compare_networks import tabulate
from tasks.pipeline.compare_networks.contract import TabulateArguments
from tasks.settings import MlflowSettings, load
from tasks.store.records.experiments import Configuration, ConfigureResult
from tasks.tracking import Tracker, tracked_run
from tests.pipeline.shelf import Shelf, plan_result

CONFIGURED = "s3://retake/comparisons/x/configured/"


def test_a_result_that_cannot_be_read_is_the_reason_why_its_network_is_left_out(mlflow, monkeypatch):
    configurations = [
        Configuration(name=name, options="{}", dataset="s3://retake/datasets/x/", out=f"{CONFIGURED}{name}/", claims=CONFIGURED)
        for name in ("old", "gone")
    ]
    configured = ConfigureResult(dataset_uri="s3://retake/datasets/x/", configured_uri=CONFIGURED, configurations=tuple(configurations))
    plan = f"{CONFIGURED}old/plan/result.json"
    store = Shelf()
    store.write(f"{CONFIGURED}result.json", configured)
    store.write_bytes(plan, b'{"run_key": "1"}')
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", "http://airflow/dags/compare_networks/runs/1")
    with tracked_run(Tracker(load(MlflowSettings)), plan_result()):
        (left,) = mlflow.runs.values()
    with pytest.raises(BadInput) as caught:
        tabulate.run(TabulateArguments(store="s3://retake", configured=CONFIGURED), store)
    assert left.info.status == "FAILED"
    told = str(caught.value).removeprefix("every configuration failed: ")
    assert told.startswith(f"old: {plan} is not a PlanResult (")
    assert told.endswith(f"gone: {tabulate.NO_REASON}")
    let_be = [{"map_index": index, "step": "ask", "reason": "a person let it be"} for index in range(2)]
    with pytest.raises(NothingToDo, match="no network was to be trained"):
        tabulate.run(TabulateArguments(store="s3://retake", configured=CONFIGURED, failures=json.dumps(let_be)), store)
