"""The step `report`, without servers or ffmpeg."""

import json

import jsonschema
import numpy as np
import pytest

from tasks.errors import BadInput, Unavailable
from tasks.judge.report import style
from tasks.judge.statistics import data_checks
from tasks.judge.statistics.answers import to_parquet
from tasks.options import GateOptions, SplitOptions, TrainOptions
from tasks.pipeline import _media
from tasks.pipeline.retrain import _evidence, report
from tasks.pipeline.retrain.contract import ReportArguments
from tasks.store.records.curves import NoLearningCurve
from tasks.store.records.dataset import UnseenClip
from tasks.store.records.decisions import CompareResult, DecideResult, RegisterResult
from tasks.store.records.export import ExportResult, PackageCosts, PackedNetwork
from tasks.store.records.metrics import Metrics
from tasks.store.records.training import Epoch, Evaluation, PlanResult
from tasks.store.records.video import SoundResult
from tasks.store.run_layout import Run
from tasks.tracking.runs import RUN_KEY_TAG
from tests.data.labels.records import video_of
from tests.pipeline.mlflow_in_memory import MlflowInMemory, connected
from tests.pipeline.shelf import RUN, Shelf, dataset_clip, manifest_of, plan_result, train_result, weights_result, words
from tests.records import some

DECISION = f"{RUN}decisions/9f86/"
NAMES = {"report.html", "metrics.json", "metrics.schema.json", "README.md"}
AIRFLOW_RUN = "http://airflow/dags/retrain/runs/r"


def reported(shelf, folder, mlflow=None, *, is_retried=False, **flags):
    """Run the step without drawings, which tests/judge/report draws; return its result and the run in MLflow."""

    def frames(store, clips, spec, root=None):
        paths = {}
        for number, clip in enumerate(clips):
            paths[clip.uid] = folder / f"{clip.uid}.npy"
            np.save(paths[clip.uid], np.random.default_rng(number).integers(0, 256, (spec.num_segments, 48, 64, 3), dtype=np.uint8))
        return paths

    with pytest.MonkeyPatch.context() as patch:
        mlflow = connected(mlflow or MlflowInMemory(), patch)
        patch.setenv("RETAKE_AIRFLOW_URL", AIRFLOW_RUN)
        patch.setattr(style, "chart", lambda *_: style.Chart("", "", 0))
        for module in (report, _media):
            patch.setattr(module, "cache_test_frames", frames)
        arguments = ReportArguments(store="s3://retake", plan=f"{DECISION}plan/", **flags)
        result = report.run(arguments, shelf)
        if is_retried:
            before = dict(shelf.written)
            assert report.run(arguments, shelf) == result
            assert shelf.written == before, "a second run writes nothing"
    return result, mlflow.named("0123")


@pytest.fixture(scope="module")
def written(make_clips, make_result, tmp_path_factory):
    """What the step left: its result, the store and what was logged to MLflow."""
    folder, shelf = tmp_path_factory.mktemp("frames"), Shelf()
    names = ("take", "put", "move"), ("bag", "meat", "sauce")
    vocabulary = words(*(dict(enumerate(kind)) for kind in names))
    scored = {"baseline": make_clips(skill=0.5), "fine-tuned": make_clips(skill=6.0)}
    clips = scored["fine-tuned"]
    evaluations = tuple(Evaluation(model=model, split="val", out=f"{RUN}evaluate/{model}/") for model in scored)
    manifest_clips = tuple(
        dataset_clip(
            uid,
            "val",
            source=video_of(source),
            names=(f"{source}-2.mp4",),
            video=uid,
            verb=names[0][v],
            noun=names[1][n],
            verb_class=v,
            noun_class=n,
            groups=(("camera", source[-1]), ("source video", "mine")),
        )
        for uid, source, v, n in zip(clips.uids, clips.sources, clips.verb_classes.tolist(), clips.noun_classes.tolist(), strict=True)
    )
    shown = weights_result(network="TSN resnet50 rgb, 8 segments", backbone="resnet50", sha256="5e")
    plan = plan_result(evaluations, train=TrainOptions(), weights=shown, decision_uri=DECISION)
    shelf.write(f"{DECISION}plan/result.json", plan)
    unseen = tuple(UnseenClip(uid=split, split=split, source="another", action="wave") for split in ("val", "test"))
    manifest = manifest_of(
        manifest_clips,
        vocabulary,
        split=SplitOptions(split_seed=11),
        unseen=unseen,
        drawn=("another",),
        accepted=clips.uids[:2],
        chosen=clips.uids[:3],
    )
    shelf.write(f"{plan.dataset_uri}manifest.json", manifest)
    for evaluation in evaluations:
        uri = f"{evaluation.out}predictions.parquet"
        shelf.write_bytes(uri, to_parquet(scored[evaluation.model], vocabulary))
        seen = f"{evaluation.out}fingerprints.parquet" if evaluation.model == "fine-tuned" else None
        if seen:
            shelf.write_bytes(
                seen, data_checks.to_parquet({uid: np.full(8, number + 1, np.uint64) for number, uid in enumerate(clips.uids)})
            )
        shelf.write(
            f"{evaluation.out}result.json",
            make_result(evaluation.model).model_copy(update={"predictions_uri": uri, "fingerprints_uri": seen}),
        )
    epoch = Epoch(epoch=1, train_loss=2, val_loss=1, val_verb_top1=0.5, val_noun_top1=0.5, val_action_top1=0.5)
    shelf.write(f"{RUN}train/result.json", train_result("c", "a7", best_epoch=1, epochs=(epoch,)))
    compared = some(CompareResult, split="val", opponent="baseline", gate=GateOptions(promotion="approve"), passed=True)
    shelf.write(f"{DECISION}compare/result.json", compared)

    result, run = reported(shelf, folder, is_retried=True)
    return result, shelf.objects, run


@pytest.fixture
def shelf(written):
    """A store without times, with the report."""
    made = Shelf()
    made.objects |= written[1]
    return made


@pytest.fixture
def unreported(shelf):
    shelf.remove(f"{DECISION}report/result.json")
    return shelf


@pytest.fixture
def registered(shelf):
    """Register the network, and say that it has no learning curve; return MLflow and the version."""
    shelf.write(f"{DECISION}learning_curve/skipped.json", NoLearningCurve(reason="heads do not train on 1 clip: lower the <rate>."))
    shelf.write(f"{RUN}register/result.json", RegisterResult(model_name="m", version=1, mlflow_run_id="r", mlflow_run_url="u"))
    shelf.write(f"{DECISION}decide/result.json", some(DecideResult, promoted=False, version=1, champion=1))
    mlflow = MlflowInMemory()
    mlflow.create_registered_model("m")
    return mlflow, mlflow.create_model_version("m", "s", "r", {}, description="of the latest")


def test_the_page_has_its_numbers_their_schema_and_the_card_beside_it(written):
    result, objects, _ = written
    numbers = json.loads(objects[result.metrics_uri])
    jsonschema.validate(numbers, json.loads(objects[f"{DECISION}report/metrics.schema.json"]))
    metrics = Metrics.model_validate(numbers)
    assert (metrics.provenance.split_seed, metrics.provenance.bootstrap_seed) == (11, 0)
    assert len(metrics.confusions) == 6
    assert (metrics.closed_set.num_clips, metrics.closed_set.num_actions, metrics.num_drawn) == (1, 1, 1)
    assert (metrics.num_accepted, metrics.num_chosen) == (2, 3)
    sizes = {column: sum(group.num_clips for group in metrics.groups if group.column == column) for column in ("source video", "camera")}
    assert sizes == {"source video": 20, "camera": 20}
    assert "mine" not in {group.name for group in metrics.groups}, "a column may be called as the source videos are"
    names = {group.name for group in metrics.groups if group.column == "source video"}
    assert all(name.endswith("-2.mp4") for name in names), "a file names a recording whose first file has no clip"
    assert metrics.groups[-1].top1 >= metrics.groups[-2].top1
    assert {clip.uid for clip in metrics.clips} == {*metrics.named_uids} >= {mistake.uid for mistake in metrics.mistakes}
    # The clips of one look are contradictions, and each leads to the page that mends it.
    (first, *_) = metrics.checks.label_conflicts
    assert (
        f'href="http://airflow/retake/label/?store={metrics.provenance.dataset_uri}#clip={first.uid}"'
        in objects[result.report_uri].decode()
    )
    assert sum(c.num_clips for c in metrics.label_counts if c.target == "verb") == 20
    assert objects[result.card_uri].startswith(b"---\n")


def test_the_artifacts_are_the_latest_of_the_run_and_kept_under_the_decision(written):
    result, objects, run = written
    assert run.artifacts.keys() == NAMES | {f"decisions/9f86/{name}" for name in NAMES}
    assert all(run.artifacts[name] == run.artifacts[f"decisions/9f86/{name}"] == objects[f"{DECISION}report/{name}"] for name in NAMES)
    assert result.report_url == f"http://airflow/retake/report/?page={result.report_uri}"


def test_who_approves_is_led_to_the_kept_page(written):
    result, _, _ = written
    assert result.awaits_approval
    assert f"]({result.report_url})" in result.question


def test_the_opponent_is_that_of_the_comparison_whatever_was_planned_since(unreported, tmp_path):
    compared = unreported.read(f"{DECISION}compare/result.json", CompareResult)
    unreported.write(f"{DECISION}compare/result.json", compared.model_copy(update={"opponent": "champion"}))
    with pytest.raises(BadInput, match="its opponent; run `evaluate` for both"):
        reported(unreported, tmp_path)


def test_without_times_they_are_left_out_and_beyond_its_bound_a_page_has_links_without_pictures(written, unreported, tmp_path, monkeypatch):
    result, objects, _ = written
    num_named = len(Metrics.model_validate_json(objects[result.metrics_uri]).named_uids)
    assert objects[result.report_uri].decode().count("{ background-image: url(") == num_named
    monkeypatch.setattr(_media, "MAX_THUMBNAILS", 3)
    reported(unreported, tmp_path)
    page = unreported.objects[result.report_uri].decode()
    assert page.count("{ background-image: url(") == 3
    assert "dataset of unknown date" in page
    assert ">None<" not in page


def test_a_page_plays_the_first_clips_as_far_as_it_holds_them(monkeypatch):
    shelf, uris = Shelf(), [f"s3://retake/{size_bytes}" for size_bytes in (4, 9, 5, 2)]
    for uri in uris:
        shelf.write_bytes(uri, bytes(int(uri[-1])))
    monkeypatch.setattr(_media, "MAX_PLAYABLE_BYTES", 10)
    assert list(_media.playable(shelf, [*uris, uris[0], "s3://retake/gone"])) == [uris[0], uris[2]]


@pytest.mark.parametrize(
    ("uids", "asked"), [(("x-0001",), "People speak in 1 clip: are you allowed to keep that?"), ((), ""), (None, "not checked")]
)
def test_clips_in_which_somebody_speaks_are_among_the_data_checks(written, unreported, tmp_path, uids, asked):
    result, objects, _ = written
    assert "omebody speaks" not in objects[result.report_uri].decode()
    unreported.write(f"{RUN}sound/result.json", some(SoundResult, with_speech=uids))
    reported(unreported, tmp_path)
    page = unreported.objects[result.report_uri].decode()
    assert "omebody speaks" in page
    assert asked in page
    assert ("allowed to keep" in page) is bool(uids)


def test_a_page_without_a_learning_curve_says_that_it_comes_later_and_where_its_run_is(written):
    result, objects, _ = written
    page = objects[result.report_uri].decode()
    assert "There is no learning curve: the DAG learning_curve draws it after this page was written" in page
    assert f"{AIRFLOW_RUN}/tasks/learning_curve leads to its run" in page
    assert result.awaits_curve


def test_once_the_learning_curve_has_ended_the_report_its_artifacts_and_the_version_have_how(written, shelf, registered, tmp_path):
    result, objects, _ = written
    mlflow, version = registered
    again, run = reported(shelf, tmp_path, mlflow, is_retried=True)
    assert (again.awaits_curve, again.report_url) == (False, result.report_url)
    page = shelf.objects[result.report_uri]
    assert "There is no learning curve: heads do not train on 1 clip: lower the &lt;rate&gt;.</p>" in page.decode()
    assert ("version 1</h1>" in page.decode(), "Version 1 (new) against the baseline" in page.decode()) == (True, True)
    assert "New network against the baseline" in objects[result.report_uri].decode(), "it had no version then"
    assert ("All rules passed: it became the champion." in page.decode(), "models:/m@champion" in page.decode()) == (True, True)
    assert "a person decides in Airflow" in objects[result.report_uri].decode(), "nobody had decided then"
    assert run.artifacts["report.html"] == run.artifacts["decisions/9f86/report.html"] == page
    assert shelf.objects[result.card_uri].decode().endswith(version.description)


@pytest.fixture
def package(shelf):
    """A package that is newer than the report."""
    machine = {"device_name": "EPYC", "num_cores": 2}
    network = some(PackedNetwork, name="ONNX fp32", costs=some(PackageCosts), hardware=machine)
    made = some(ExportResult, networks=(network, network))
    shelf.write(Run(RUN).package("k"), made)
    return made


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({}, "it was off"),
        ({"learning_curve": False}, "it is switched off; to have it here"),
        ({"learning_curve": True}, "the DAG learning_curve draws it after"),
    ],
)
def test_a_report_that_a_command_writes_anew_says_as_before_why_there_is_no_curve_and_a_run_of_retrain_says_it_anew(
    written, shelf, package, tmp_path, flags, why
):
    uri = written[0].metrics_uri
    shelf.delete([f"{DECISION}learning_curve/skipped.json"])
    shelf.write(uri, shelf.read(uri, Metrics).model_copy(update={"no_learning_curve": "it was off"}))
    reported(shelf, tmp_path, **flags)
    metrics = shelf.read(uri, Metrics)
    assert metrics.packages == (package,)
    assert metrics.no_learning_curve.startswith(why)


@pytest.mark.parametrize("is_written_meanwhile", [False, True])
def test_a_package_is_in_the_report_also_if_another_task_wrote_it_meanwhile(
    written, shelf, package, tmp_path, monkeypatch, is_written_meanwhile
):
    if is_written_meanwhile:
        seen = iter([()])
        monkeypatch.setattr(_evidence, "packages_of", lambda *_: next(seen, (package,)))
    reported(shelf, tmp_path)
    assert shelf.read(written[0].metrics_uri, Metrics).packages == (package,)
    assert "ONNX fp32" in shelf.objects[written[0].report_uri].decode()


@pytest.mark.parametrize("address", [f"{RUN}packages/k/result.json", f"{DECISION}report/metrics.json"])
@pytest.mark.usefixtures("package")
def test_a_package_or_a_report_of_another_version_of_retake_leaves_the_report_as_it_is(written, shelf, caplog, address):
    shelf.write_bytes(address, b'{"of": "another version"}')
    assert report.run(ReportArguments(store="s3://retake", plan=f"{DECISION}plan/"), shelf) == written[0]
    assert address in caplog.text


def test_a_late_curve_of_an_older_decision_leaves_what_the_latest_one_wrote_into_run_and_registry(shelf, registered, tmp_path):
    mlflow, version = registered
    plan = shelf.read(f"{DECISION}plan/result.json", PlanResult)
    for decision_uri in (DECISION, f"{RUN}decisions/later/"):
        shelf.write(f"{decision_uri}plan/result.json", plan.model_copy(update={"decision_uri": decision_uri}))
    _, run = reported(shelf, tmp_path, mlflow)
    assert run.artifacts.keys() == {f"decisions/9f86/{name}" for name in NAMES}
    assert version.description == "of the latest"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "RUNNING"])
def test_a_report_that_fails_after_the_curve_leaves_the_run_as_the_decision_ended_it(shelf, registered, tmp_path, monkeypatch, status):
    mlflow, _ = registered
    run_id = mlflow.create_run(mlflow.create_experiment("retake"), {RUN_KEY_TAG: "0123"}).info.run_id
    mlflow.update_run(run_id, status)

    def failing(*_):
        assert mlflow.get_run(run_id).info.status == status
        raise Unavailable("MLflow")

    monkeypatch.setattr(report, "_describe_registered", failing)
    with pytest.raises(Unavailable):
        reported(shelf, tmp_path, mlflow)
    assert mlflow.get_run(run_id).info.status == status
