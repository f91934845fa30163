"""New films predicted by two networks on a real store and a real MLflow: by hand, and by `dag.test()`."""

import shutil

import pytest
from mlflow import MlflowClient

from tasks.store.records.prediction import PredictPlanResult, PredictReportResult
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE as STORE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "models:/retake-tsn@challenger"


@pytest.fixture(scope="module")
def films(tmp_path_factory, ffmpeg):
    """Two new films, and one that is none."""
    folder = tmp_path_factory.mktemp("new") / "new & <films>"
    make_samples(folder, seed=7, num_videos=2, video_seconds=16, ffmpeg=ffmpeg)
    (folder / "words.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def predicted(workshop, chain, films):
    """The command, in a process that has imported its packages."""
    return PredictReportResult.model_validate(workshop.run("predict", str(films), model=MODEL, crops=1, num_to_label=2))


def test_page_tables_and_tracks_are_in_the_store_and_in_mlflow(workshop, predicted):
    assert (predicted.num_videos, predicted.num_clips) == (2, 4)
    assert [bad.name for bad in predicted.first_set_aside] == ["words.mp4"]
    folder = predicted.page_uri.removesuffix("report.html")
    stored = {listed.uri.removeprefix(folder) for listed in workshop.store.list(folder)}
    tracks = {name for name in stored if name.endswith(".vtt")}
    files = {"predictions.csv", "predictions.parquet", "report.html", "shift.csv", "to_label.csv", "to_label.parquet"}
    assert stored == {*files, "result.json", *tracks}
    assert len(tracks) == 2
    client = MlflowClient(workshop.environment["RETAKE_MLFLOW_URI"])
    run_id = predicted.mlflow_run_url.rpartition("/")[2]
    assert {artifact.path for artifact in client.list_artifacts(run_id)} == {*files, "tracks"}
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics["num_clips"], predicted.action_agreement) == ("FINISHED", 4, None)
    assert predicted.report_url == f"{predicted.mlflow_run_url}/artifacts/report.html"
    plan = plan_of(workshop, predicted)
    assert [predictor.label for predictor in plan.predictors.values()] == ["retake-tsn version 1"]
    assert "its heads are untrained" in plan.missing[0]


def test_the_dag_predicts_once_and_is_skipped_the_second_time(workshop, chain, films, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(films, folder)
    conf = {"predict_videos": {"store": STORE, "videos": [str(folder)], "model": MODEL, "crops": 1, "num_to_label": 1}}
    states = workshop.dag_test(conf)["predict_videos"]
    unneeded = ("flows[-1]", "flow[-1]", "sound[-1]")
    assert {task: state for task, state in states.items() if state != "success"} == dict.fromkeys(unneeded, "skipped")
    mapped = {f"{task}[{number}]" for task in ("cut", "predict") for number in range(2)}
    assert set(states) == {"run", "plan[-1]", "known[-1]", "report[-1]", *unneeded, *mapped}
    again = workshop.dag_test(conf)["predict_videos"]
    assert again.pop("run") == "success"
    assert set(again.values()) == {"skipped"}
    lacking = workshop.dag_test({"predict_videos": conf["predict_videos"] | {"model": "models:/retake-tsn/99"}})["predict_videos"]
    assert (lacking.pop("run"), lacking.pop("plan[-1]")) == ("failed", "failed")
    assert set(lacking.values()) == {"upstream_failed"}


def plan_of(workshop, predicted):
    uri = predicted.page_uri.removesuffix("report/report.html")
    return workshop.store.read(f"{uri}plan/result.json", PredictPlanResult)
