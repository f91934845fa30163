"""New films predicted by two networks against a real store and a real MLflow: by hand, and by `dag.test()`."""

import csv
import hashlib
import io
import json
import logging
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from tasks.__main__ import main
from tasks.dataset.split_file import read_split_csv
from tasks.prediction.scored import read_scored
from tasks.results.dataset import LabelsFile
from tasks.results.prediction import PredictPlanResult, PredictReportResult
from tasks.video.ffmpeg import find_ffmpeg
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "models:/retake-tsn@challenger"


@pytest.fixture(scope="module")
def films(tmp_path_factory, ffmpeg):
    """Two new films, one of a single frame, one that is none, and a table, which is no video."""
    folder = tmp_path_factory.mktemp("new") / "new & <films>"
    make_samples(folder, seed=7, num_videos=2, video_seconds=16, ffmpeg=ffmpeg)
    one_frame = ["-f", "lavfi", "-i", "testsrc=s=320x240:r=30:d=1", "-frames:v", "1", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *one_frame, folder / "one frame.mp4"], check=True)
    (folder / "words.mp4").write_text("no video")
    return folder


@pytest.fixture
def predict(workshop, monkeypatch, capsys, caplog):
    """`python -m tasks predict` in this process: the exit code, the result and what was logged."""

    def call(*argv):
        for name, value in workshop.environment.items():
            monkeypatch.setenv(name, value)
        caplog.clear()
        caplog.set_level(logging.INFO, "retake")
        code = main(["predict", *map(str, argv)])
        shown = capsys.readouterr().out.strip()
        return code, json.loads(shown.splitlines()[-1]) if shown else None, caplog.messages

    return call


@pytest.fixture(scope="module")
def predicted(workshop, chain, films):
    """One prediction of the folder, in a process of its own as a person starts it."""
    command = [*workshop.command("predict"), str(films), f"--model={MODEL}", "--crops=1", "--preview", "--num-to-label=3"]
    done = subprocess.run(command, env=workshop.environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return PredictReportResult.model_validate_json(done.stdout.splitlines()[-1])


def read_table(workshop, uri):
    return list(csv.DictReader(io.StringIO(workshop.store.read_bytes(uri).decode())))


def test_a_folder_is_predicted_and_bad_files_cost_themselves(workshop, predicted):
    assert (predicted.num_videos, predicted.num_clips) == (2, 4)
    reasons = {bad.name: bad.reason for bad in predicted.first_set_aside}
    assert "shorter than the minimum of 2 s" in reasons["one frame.mp4"]
    assert "not a video" in reasons["words.mp4"]
    rows = read_table(workshop, predicted.table_uri)
    assert len(rows) == 4 * 2 * 5
    assert {row["network"] for row in rows} == {"retake-tsn version 1", "baseline"}


def test_every_clip_has_the_best_five_of_both_networks(workshop, predicted):
    rows = read_table(workshop, predicted.table_uri)
    by_clip = {}
    for row in rows:
        by_clip.setdefault((row["uid"], row["network"]), []).append(row)
    assert {len(own) for own in by_clip.values()} == {5}
    assert {(row["start_seconds"], row["stop_seconds"]) for row in rows} == {("0.0", "8.0"), ("8.0", "16.0")}
    for own in by_clip.values():
        assert [int(row["rank"]) for row in own] == [1, 2, 3, 4, 5]


def test_probabilities_are_those_of_the_kept_logits_at_each_networks_temperatures(workshop, predicted, tmp_path):
    plan, rows = plan_of(workshop, predicted), read_table(workshop, predicted.table_uri)
    scored = [found for found in workshop.store.list(f"{plan.prediction_uri}scored/") if found.name.endswith(".parquet")]
    assert len(scored) == 2
    for number, found in enumerate(scored):
        path = tmp_path / f"{number}.parquet"
        workshop.store.read_file(found.uri, path)
        (clips,) = read_scored(path)
        for role, network in (("model", plan.model), ("against", plan.against)):
            for head, temperature, logits in zip(
                ("verb", "noun"), (network.verb_temperature, network.noun_temperature), clips.logits[role], strict=True
            ):
                likely = np.exp(logits.astype(np.float64) / temperature)
                likely /= likely.sum(axis=1, keepdims=True)
                for uid, own in zip(clips.uids, likely, strict=True):
                    told = [row for row in rows if (row["uid"], row["network"]) == (uid, network.label)]
                    assert [float(row[f"{head}_probability"]) for row in told] == pytest.approx(sorted(own)[:-6:-1], abs=1e-6)


@pytest.fixture
def labels(workshop, chain):
    """The address of the chain's labels, which are the same after the test as before."""
    address = f"{STORE}/labels/{RECIPE}/"
    before = {found.uri: workshop.store.read_bytes(found.uri) for found in workshop.store.list(address)}
    yield address
    for uri, data in before.items():
        workshop.store.write_bytes(uri, data)


def test_a_prediction_labels_nothing(workshop, chain, labels, films, predict, tmp_path):
    trained = Path(chain.confs["ingest_videos"]["sources"][0])
    train = {name for name, split in splits(workshop).items() if split == "train"}
    copied = next(path for path in sorted(trained.rglob("*.mp4")) if hashlib.sha256(path.read_bytes()).hexdigest() in train)
    folder = tmp_path / "put bag"
    folder.mkdir()
    shutil.copy(copied, folder / "copy.mp4")
    # Another content under the name of a video that is labelled by its name, in a folder that would label it.
    make_samples(tmp_path / "other", seed=11, num_videos=1, video_seconds=8, ffmpeg=find_ffmpeg(None))
    shutil.copy(next((tmp_path / "other").glob("*.mp4")), folder / copied.name)

    def labelled():
        workshop.run("label", store=STORE)
        found = workshop.store.read(f"{labels}labels.json", LabelsFile)
        return {one.clip.uid: one for one in found.clips if one.verb or one.noun}, found.problems, found.changes

    before = labelled()
    assert before[0]
    code, result, _ = predict(folder, f"--model={MODEL}", "--crops=1", "--against=none")
    assert (code, result["num_videos"]) == (0, 1)
    assert {bad["name"]: "it was trained on" in bad["reason"] for bad in result["first_set_aside"]} == {"copy.mp4": True}
    assert labelled() == before


def test_each_network_says_whether_its_probabilities_are_calibrated_on_val(workshop, predicted):
    plan = plan_of(workshop, predicted)
    page = workshop.store.read_bytes(predicted.page_uri).decode()
    for network in (plan.model, plan.against):
        assert "val clip" in network.calibration
        assert network.is_calibrated == ("fitted on" in network.calibration)
        assert (f"{network.label}: not calibrated" in page) == (not network.is_calibrated)


def test_page_tables_tracks_and_previews_are_in_the_store_and_in_mlflow(workshop, predicted, monkeypatch):
    folder = predicted.page_uri.removesuffix("report.html")
    stored = {found.uri.removeprefix(folder) for found in workshop.store.list(folder)}
    tracks = {name for name in stored if name.endswith(".vtt")}
    assert len(tracks) == 4
    files = {"predictions.csv", "predictions.parquet", "report.html", "to_label.csv", "confusion.csv"}
    assert stored == {*files, "result.json", *tracks}
    for name, value in workshop.environment.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(workshop.environment["RETAKE_MLFLOW_URI"])
    run_id = predicted.mlflow_run_url.rpartition("/")[2]
    logged = {found.path for found in client.list_artifacts(run_id)}
    assert logged == {*files, "tracks"}
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.get_run(run_id).data.metrics["action_agreement"] == predicted.action_agreement
    assert predicted.report_url == f"{predicted.mlflow_run_url}/artifacts/report.html"
    page = workshop.store.read_bytes(predicted.page_uri).decode()
    assert page.count("data:video/mp4") == 4 + 2  # the clips that differ, and the previews
    previews = list(workshop.store.list(f"{plan_of(workshop, predicted).prediction_uri}previews/"))
    assert len(previews) == 2


def test_with_a_stride_it_says_when_an_action_happens(workshop, predicted, predict, films, tmp_path):
    table = (films / "intervals.csv").read_bytes()
    options = (f"--model={MODEL}", "--crops=1", "--stride-seconds=2", "--interval-precision=0.5", f"--to={tmp_path}")
    code, result, _ = predict(films, *options)
    assert code == 0
    result = PredictReportResult.model_validate(result)
    plan = plan_of(workshop, result)
    assert plan.key != plan_of(workshop, predicted).key
    rows = list(csv.DictReader((tmp_path / "intervals.csv").read_text().splitlines()))
    assert result.num_intervals == sum(row["network"] == plan.model.label for row in rows)
    for role, network in plan.predictors.items():
        assert "too few to choose a threshold" in network.interval_words
        assert (network.interval_threshold, network.reports_intervals) == (None, True)
        own = [row for row in rows if row["network"] == network.label]
        assert {row["video"] for row in own} == {"kitchen_01.mp4", "kitchen_02.mp4"}
        written = json.loads((tmp_path / f"intervals.{role}.json").read_text())["results"]
        assert sorted((one["segment"][0], one["label"]) for found in written.values() for one in found) == sorted(
            (float(row["start_seconds"]), row["action"]) for row in own
        )
        tracks = list((tmp_path / "tracks").glob(f"*.{role}.intervals.vtt"))
        assert len(tracks) == len(written) == 2
        assert sum(track.read_text().count("-->") for track in tracks) == len(own)
    page = (tmp_path / "report.html").read_text()
    assert "Yellow lines, marked <em>when</em>, show intervals from windows every 2 s" in page
    assert read_table(workshop, result.table_uri) == read_table(workshop, predicted.table_uri), "clips are predicted as before"
    scores = list(csv.DictReader((tmp_path / "when.csv").read_text().splitlines()))
    labelled = (films / "intervals.csv").read_text().splitlines()[1:]
    assert {row["num_labelled"] for row in scores if row["class"] == "(mean of classes)"} == {str(len(labelled))}, (
        "the table beside the films"
    )
    assert {row["network"] for row in scores} == {network.label for network in plan.predictors.values()} | {"always guessing"}
    assert not [found.uri for found in workshop.store.list(f"{STORE}/annotations/") if workshop.store.read_bytes(found.uri) == table]


def test_where_val_has_enough_clips_a_threshold_is_fitted_or_nothing_is_reported(workshop, predict, films, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.prediction.thresholds.MIN_CLIPS", 1)
    code, result, told = predict(
        films, f"--model={MODEL}", "--crops=1", "--stride-seconds=2", "--interval-precision=0.55", f"--to={tmp_path}"
    )
    assert code == 0
    plan = plan_of(workshop, PredictReportResult.model_validate(result))
    rows = list(csv.DictReader((tmp_path / "intervals.csv").read_text().splitlines()))
    for network in plan.predictors.values():
        own = [float(row["probability"]) for row in rows if row["network"] == network.label]
        assert f"intervals of {network.label}: {network.interval_words}" in told
        if network.reports_intervals:
            assert network.interval_threshold > 0
            assert all(probability >= network.interval_threshold - 1e-6 for probability in own)
        else:
            assert not own


def test_a_stride_that_does_not_fit_the_clips_is_refused(predict, predicted, films):
    code, _, told = predict(films, f"--model={MODEL}", "--stride-seconds=3")
    assert code == 65
    assert "choose for example 8, 4, 2, 1" in told[-1]


def test_the_list_to_label_is_taken_as_annotations(workshop, predicted, tmp_path):
    rows = read_table(workshop, predicted.to_label_uri)
    assert len(rows) == 3
    assert {(row["verb"], row["noun"]) for row in rows} == {("", "")}
    assert all("less similar to the training clips" in row["reason"] for row in rows)
    filled = workshop.store.read_bytes(predicted.to_label_uri).decode().replace(",,,,,", ",put,meat,,,")
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "to_label.csv").write_text(filled)
    plan = plan_of(workshop, predicted)
    store = "s3://retake-predict-labels"
    for found in workshop.store.list(f"{STORE}/"):
        # Only what labels are gathered from: a store of its own, so that the chain's stays as it is.
        if ("/videos/" in found.uri and found.name == "probe.json") or found.name == "clips.json":
            workshop.store.ensure_bucket(store)
            workshop.store.write_bytes(found.uri.replace(STORE, store), workshop.store.read_bytes(found.uri))
    workshop.store.write_bytes(f"{store}/annotations/to_label.csv", filled.encode())
    labelled = workshop.run("label", store=store, **plan.segment.model_dump())
    assert (labelled["num_labelled"], labelled["num_problems"]) == (3, 0)


def test_a_second_run_does_nothing_but_lead_to_the_page_and_copy_what_is_there(workshop, predicted, predict, films, tmp_path):
    before = [(found.uri, found.etag) for found in workshop.store.list(STORE)]
    code, result, told = predict(films, f"--model={MODEL}", "--crops=1", "--preview", "--num-to-label=3", f"--to={tmp_path / 'out'}")
    assert code == 0
    assert PredictReportResult.model_validate(result) == predicted
    assert f"predicted by these networks before: {predicted.report_url}" in " ".join(told)
    after = [(found.uri, found.etag) for found in workshop.store.list(STORE)]
    assert after == before
    copied = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"report.html", "predictions.csv", "predictions.parquet", "to_label.csv"} <= copied
    assert sorted(path.partition("/")[0] for path in copied if "/" in path) == ["previews"] * 2 + ["tracks"] * 4


def test_videos_that_were_trained_on_are_refused_by_name(workshop, chain, predict, predicted, films):
    trained = chain.confs["ingest_videos"]["sources"][0]
    train = {name for name, split in splits(workshop).items() if split == "train"}
    code, result, _ = predict(trained, films, f"--model={MODEL}", "--crops=1", "--against=none", "--num-to-label=0")
    assert code == 0
    refused = {bad["name"] for bad in result["first_set_aside"] if "it was trained on" in bad["reason"]}
    assert len(refused) == len({video for video in train if len(video) == 64})
    assert refused
    paths = [f"{trained}/{name}" for name in sorted(refused)]
    code, _, told = predict(*paths, f"--model={MODEL}")
    assert code == 65
    assert "nothing to predict: " in told[-1]
    assert all(f"{name}: it was trained on" in told[-1] for name in refused)


def test_allowed_ones_are_predicted_beside_their_labels(workshop, chain, predict, predicted):
    trained = chain.confs["ingest_videos"]["sources"][0]
    code, result, _ = predict(trained, f"--model={MODEL}", "--crops=1", "--allow-trained")
    assert (code, result["num_videos"], result["num_clips"]) == (0, 3, 6)
    assert result["num_to_label"] == 0
    assert "Accuracy on labelled clips" in workshop.store.read_bytes(result["page_uri"]).decode()


def test_without_videos_every_one_that_was_not_trained_on_is_taken(workshop, predict, predicted):
    code, result, _ = predict(f"--model={MODEL}", "--crops=1", "--against=none", f"--store={STORE}")
    train = {name for name, split in splits(workshop).items() if split == "train" and len(name) == 64}
    assert code == 0
    ingested = {found.uri.split("/")[-2] for found in workshop.store.list(f"{STORE}/videos/") if found.name == "probe.json"}
    assert train < ingested
    assert result["num_videos"] + result["num_set_aside"] == len(ingested - train)
    assert (result["action_agreement"], result["missing"]) == (None, [])


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("models:/retake-tsn/99", "models:/retake-tsn/99 does not exist; retake-tsn has the versions 1 and the aliases"),
        ("models:/retake-tsn@gone", "models:/retake-tsn@gone does not exist; retake-tsn has the versions 1"),
        ("models:/nobody/1", "there is no registered model nobody; MLflow has: "),
    ],
)
def test_a_model_that_does_not_exist_is_one_line_that_names_those_that_do(predict, predicted, films, reference, told):
    code, _, lines = predict(films, f"--model={reference}", f"--store={STORE}")
    assert code == 65
    assert told in lines[-1]
    assert "\n" not in lines[-1]
    code, result, _ = predict(films, f"--model={MODEL}", "--crops=1", f"--against={reference}")
    assert code == 0
    assert told in result["missing"][0]
    assert result["action_agreement"] is None


def test_a_baseline_that_is_gone_is_named_and_the_model_goes_on_alone(workshop, predict, predicted, films):
    uri = plan_of(workshop, predicted).against.checkpoint_uri
    kept = workshop.store.read_bytes(uri)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    workshop.store._client.remove_object(bucket_name=bucket, object_name=key)
    try:
        code, result, _ = predict(films, f"--model={MODEL}", "--crops=1")
    finally:
        workshop.store.write_bytes(uri, kept)
    assert code == 0
    assert "was never fetched, or is gone" in result["missing"][0]
    page = workshop.store.read_bytes(result["page_uri"]).decode()
    assert "Missing:" in page


def test_a_baseline_that_was_changed_is_named_and_a_clip_that_is_gone_costs_itself(workshop, predict, predicted, films):
    plan = plan_of(workshop, predicted)
    folder = f"{STORE}/clips/{read_table(workshop, predicted.table_uri)[0]['uid'][:12]}"
    uri = next(found.uri for found in workshop.store.list(f"{STORE}/clips/") if found.uri.startswith(folder) and found.name == "0000.mp4")
    kept = {one: workshop.store.read_bytes(one) for one in (plan.against.checkpoint_uri, uri)}
    for one in kept:
        workshop.store.write_bytes(one, b"something else")
    try:
        code, result, _ = predict(films, f"--model={MODEL}", "--crops=1", "--num-to-label=1")
    finally:
        for one, data in kept.items():
            workshop.store.write_bytes(one, data)
    assert (code, result["num_videos"], result["num_clips"], result["action_agreement"]) == (0, 2, 3, None)
    assert plan.against.checkpoint_uri in result["missing"][0]
    assert "0-8 s" in " ".join(bad["name"] for bad in result["first_set_aside"])
    assert "Missing:" in workshop.store.read_bytes(result["page_uri"]).decode()


def test_two_networks_that_are_one_are_refused(predict, predicted, films):
    code, _, told = predict(films, f"--model={MODEL}", "--against=models:/retake-tsn/1")
    assert code == 78
    assert "is retake-tsn version 1 itself" in told[-1]


def test_a_file_that_does_not_exist_costs_itself(predict, predicted, films):
    code, result, _ = predict(films / "nowhere.mp4", films, f"--model={MODEL}", "--crops=1", "--against=none")
    assert code == 0
    assert "does not exist" in next(bad["reason"] for bad in result["first_set_aside"] if "nowhere" in bad["name"])
    code, _, told = predict(films / "words.mp4", f"--model={MODEL}")
    assert code == 65
    assert "nothing to predict" in told[-1]


def test_the_dag_predicts_once_and_is_skipped_the_second_time(workshop, chain, films, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(films, folder)
    conf = {"predict_videos": {"store": STORE, "videos": [str(folder)], "model": MODEL, "crops": 1, "num_to_label": 2}}
    states = workshop.dag_test(conf)["predict_videos"]
    assert {task: state for task, state in states.items() if state != "success"} == dict.fromkeys(
        ("flows[-1]", "flow[-1]", "sound[-1]"), "skipped"
    )
    mapped = {f"{task}[{number}]" for task in ("cut", "predict") for number in range(2)}
    assert set(states) == {"run", "plan[-1]", "known[-1]", "flows[-1]", "flow[-1]", "sound[-1]", "report[-1]", *mapped}
    again = workshop.dag_test(conf)["predict_videos"]
    assert again.pop("run") == "success"
    assert set(again.values()) == {"skipped"}
    lacking = workshop.dag_test({"predict_videos": conf["predict_videos"] | {"model": "models:/retake-tsn/99"}})["predict_videos"]
    assert (lacking.pop("run"), lacking.pop("plan[-1]")) == ("failed", "failed")
    assert set(lacking.values()) == {"upstream_failed"}


def plan_of(workshop, predicted):
    uri = predicted.page_uri.removesuffix("report/report.html")
    return workshop.store.read(f"{uri}plan/result.json", PredictPlanResult)


def splits(workshop):
    return read_split_csv(workshop.store.read_bytes(f"{STORE}/datasets/split.csv"))
