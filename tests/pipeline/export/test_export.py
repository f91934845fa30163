"""A registered version of an untrained network becomes a package, on a store in memory."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from tasks.errors import BadConfiguration, NothingToDo, Terminated, Unavailable
from tasks.keys import export_key
from tasks.options import EvaluateOptions, ExportOptions
from tasks.pipeline.commands import parse
from tasks.pipeline.distil import _student
from tasks.pipeline.export import _package, export
from tasks.pipeline.retrain._evidence import packages_of
from tasks.pipeline.retrain.contract import ReportArguments
from tasks.served.package.folder import CheckResult, Contract, Part
from tasks.store.layout import Layout
from tasks.store.records.decisions import DecideResult, ReportResult
from tasks.store.records.training import Evaluation
from tasks.store.run_layout import parse_run
from tasks.store.stored import last_name
from tests.pipeline.compare_versions.versions import PUT
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.retrain.evaluating import undrawn
from tests.records import some

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]  # torch's own, of its export

__all__ = ["undrawn"]

KEY = f"{1:016x}"
PLAN = Layout(STORE).run(KEY).decision("d").plan


@pytest.fixture
def version(versions, undrawn):
    """A version that answers all clips alike, and its scores on val."""
    versions.train(KEY, versions.dataset("d", a="train", b="val", e="val"), PUT)
    evaluate = EvaluateOptions(crops=1, engine="pytorch")
    val = Evaluation(model="fine-tuned", split="val", out=Layout(STORE).run(KEY).evaluations("k").scores("fine-tuned", "val").folder_uri)
    versions.store.write(PLAN, versions.store.read(PLAN).model_copy(update={"evaluations": (val,), "evaluate": evaluate}))
    versions.run("evaluate", plan=PLAN.folder_uri)
    return versions


@pytest.fixture
def promoted(version):
    """The same version, as `decide` left it when it became champion."""
    run_id = version.mlflow.versions["cook", "1"].run_id
    decided = some(DecideResult, model_name="cook", version=1, promoted=True, mlflow_run_id=run_id)
    version.store.write(Layout(STORE).run(KEY).decision("d").decide, decided)
    return version


def test_a_champion_is_packed_checked_and_handed_to_mlflow_and_a_command_copies_the_same_package(promoted, tmp_path, monkeypatch):
    place = Layout(STORE).run(KEY).package(export_key(ExportOptions(format="openvino", precision="fp16")))
    promoted.store.write_bytes(f"{place.files}old.txt", b"of an earlier package")
    result = promoted.run("export_champion", plan=PLAN.folder_uri, export="openvino")
    package, registered = result.networks
    name = f"openvino-fp16-{last_name(place.folder_uri)}"
    assert (result.name, package.name, registered.name) == (name, "OpenVINO fp16", "cook version 1, pytorch float32")
    assert package.scores == registered.scores
    assert {(d.against, d.against_registered, d.num_gained, d.num_lost) for d in result.differences} == {
        ("the registered model with 1 crop", True, 0, 0),
        ("PyTorch with one crop", False, 0, 0),
    }
    assert 0 < package.costs.median_seconds < package.costs.start_seconds
    run = promoted.mlflow.runs[promoted.mlflow.versions["cook", "1"].run_id]
    handed = {path.removeprefix(f"export/{name}/"): data for path, data in run.artifacts.items() if path.startswith("export/")}
    assert {"model.xml", "model.bin", "contract.json", "predict.py", "check/clip.mp4"} <= handed.keys()
    assert promoted.mlflow.versions["cook", "1"].tags[f"retake.package.{name}"] == result.artifacts_url

    before = set(promoted.store.objects)
    assert promoted.run("export", model="models:/cook/1", to=tmp_path / "out", format="openvino", precision="fp16") == result
    assert set(promoted.store.objects) == before
    copied = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert copied == handed
    assert result.size_bytes == sum(map(len, handed.values()))
    contract = Contract.model_validate_json(copied["contract.json"])
    assert (contract.registered.name, contract.window.num_frames) == ("cook", 240)
    assert b'value="Action Classification"' in copied["model.xml"]

    # Code of another version packs anew, and hands out nothing that fails its check.
    monkeypatch.setenv("RETAKE_CODE_VERSION", "the next one")
    monkeypatch.setattr(_package, "check_package", lambda folder: CheckResult((Part("network", "logits differ by 3"),), ()))
    with pytest.raises(BadConfiguration, match=r"the package of cook version 1 failed its check.*network: logits differ by 3"):
        promoted.run("export", model="models:/cook/1", to=tmp_path / "new", format="openvino", precision="fp16")
    assert not list((tmp_path / "new").iterdir())
    assert set(promoted.store.objects) == before


def test_a_folder_of_nobody_is_named():
    with pytest.raises(BadConfiguration, match="~nobody-of-this-name/x: there is no such user"):
        Bench().run("export", model="models:/cook/1", to=Path("~nobody-of-this-name/x"))


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_was(tmp_path):
    (tmp_path / "notes.txt").write_text("of a person")
    with pytest.raises(BadConfiguration, match="it is not empty; name another folder"):
        Bench().run("export", model="models:/cook/1", to=tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"notes.txt": "of a person"}


def test_a_student_is_packed_in_place_of_its_teacher_judged_beside_it_and_shown_in_the_report_of_its_teacher(
    version, tmp_path, monkeypatch, caplog
):
    untaught = {"epochs": 1, "batch_size": 8, "weights": "none", "num_segments": 2, "learning_rate": 1e-9}
    monkeypatch.setattr(_student, "HEADS", _student.HEADS | untaught)
    reported = list[str]()
    monkeypatch.setattr(export.report, "run", lambda arguments, store: reported.append(arguments.plan))
    version.store.write(Layout(STORE).run(KEY).decision("d").report, some(ReportResult))
    result = version.run("export", model="models:/cook/1", to=tmp_path / "out", student="test_resnet")
    assert reported == [PLAN.folder_uri]
    assert packages_of(version.store, version.store.read(PLAN)) == (result,)
    assert result.export_uri != Layout(STORE).run(KEY).package(export_key(ExportOptions())).folder_uri, "that is the version's own"
    contract = Contract.model_validate_json((tmp_path / "out" / "contract.json").read_text())
    assert (contract.registered.name, contract.registered.version) == ("cook", 1)
    assert contract.registered.teacher == "cook version 1, TSN test_resnet rgb, 2 segments"
    run = Layout(STORE).run(parse_run(result.networks[1].name.split("(")[1].split(")")[0]).key)
    assert contract.registered.checkpoint_sha256 == version.store.read(run.train).checkpoint_sha256
    assert [network.name for network in result.networks] == [
        f"student test_resnet (runs/{run.key}/), ONNX fp32",
        f"student test_resnet (runs/{run.key}/) of cook version 1, pytorch float32",
        "cook version 1, pytorch float32",
    ]
    assert {difference.against: (difference.num_gained, difference.num_lost) for difference in result.differences} == {
        "the student with 1 crop": (0, 0),
        "the registered model with 1 crop": (0, 3),
        "PyTorch with one crop": (0, 0),
    }
    monkeypatch.setattr(export.report, "run", Mock(side_effect=Unavailable("MLflow is away")))
    assert version.run("export", model="models:/cook/1", to=tmp_path / "again", student="test_resnet") == result
    assert "the report does not show the package yet: MLflow is away" in caplog.text
    _, arguments = parse(caplog.text.partition("run `")[2].partition("`")[0].split())
    assert arguments == ReportArguments(store=STORE, plan=PLAN.folder_uri)
    assert (tmp_path / "again" / "contract.json").exists()
    monkeypatch.setattr(export.report, "run", Mock(side_effect=Terminated("SIGTERM")))
    with pytest.raises(Terminated):
        version.run("export", model="models:/cook/1", to=tmp_path / "ended", student="test_resnet")


def test_a_version_that_was_not_promoted_has_no_package(promoted):
    place = Layout(STORE).run(KEY).decision("d").decide
    promoted.store.write(place, promoted.store.read(place).model_copy(update={"promoted": False}))
    with pytest.raises(NothingToDo, match="no package of cook version 1: it did not become champion"):
        promoted.run("export_champion", plan=PLAN.folder_uri, export="onnx")
