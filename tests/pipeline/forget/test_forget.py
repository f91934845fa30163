"""Videos are forgotten in a store in memory, every step real but for the store and MLflow."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.data.split.split import read_split_csv
from tasks.errors import BadConfiguration, BadInput
from tasks.judge.gate.champion import complete_move, make_move, moves, recorded_decisions
from tasks.options import Weights
from tasks.pipeline.retrain.contract import WeightsArguments
from tasks.settings import MlflowSettings, load
from tasks.store.objects import to_json
from tasks.store.records.dataset import DatasetResult, Manifest
from tasks.store.records.decisions import DecisionRecord, SeenClips
from tasks.store.records.labelling import ClipStatement, LogBlock, LogEntry
from tasks.store.records.status import ModelStatus, VersionStatus, VideosStatus, WeakClass
from tasks.store.records.training import PlanResult, UnlabelledClips
from tasks.store.records.upkeep import Receipt
from tasks.store.records.video import ClipsFile, Inventory, VideoRecord
from tasks.tracking import Registry
from tests.data.labels.records import clip_record
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.predict_videos.trained import MODEL, film, register, train
from tests.pipeline.retrain.bench import TINY
from tests.pipeline.shelf import Fragile, Killed, recorded
from tests.records import some
from tests.store.test_layout import GOLDEN

pytestmark = pytest.mark.slow

NAME = "put meat/a.mp4"
WITHOUT_NAMES = ("forgotten/", "videos/", "pretrained/<", "pretrained/backbones/", "runs/<key>/packages/<key>/package/")
"""Places of published files and weights, and those that are tested otherwise."""
OPAQUE = (".ckpt", ".mkv", ".mp4", ".npy", ".npz", ".png", ".pt")
FORGET = {"video": NAME, "reason": "she asked for it", "confirm": "ada"}


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def trained(folder, ffmpeg, tmp_path_factory):
    """A store with a dataset of six films, and a network that was trained on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        bench = Bench()
        lines = ["source,split"]
        for number, (name, split) in enumerate({"put meat/d.mp4": "train", "put meat/e.mp4": "val", "take bag/f.mp4": "train"}.items(), 4):
            film(ffmpeg, folder / name, number, seconds=8)
            lines.append(f"{hash_of(folder / name)},{split}")
        # Whichever splits the others get, a dataset can be made without the first.
        bench.store.write_bytes(f"{STORE}/datasets/split.csv", "\n".join(lines).encode())
        train(bench, ffmpeg, folder, seconds=8)
        return bench.store


@pytest.fixture
def video(folder):
    return hash_of(folder / NAME)


@pytest.fixture
def bench(trained, mlflow, machine):
    """A store of its own, whose network is registered."""
    made = Bench(trained.copy())
    register(mlflow, made.store)
    return made


def texts(data):
    """Yield the bytes of an object, decoded as far as it can be."""
    yield data
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if data.startswith(b"PAR1"):
        yield str(pq.read_table(io.BytesIO(data)).to_pydict()).encode()


def naming(store, *wanted):
    """The objects that name a video by address or content, besides receipt and tombstone."""
    listed = {uri: data for uri, data in store.objects.items() if not re.match(rf"{STORE}/forgotten/(videos/|\d+\.json)", uri)}
    wanted = [text.encode() for text in wanted]
    return [uri for uri, data in listed.items() if any(text in part for part in (uri.encode(), *texts(data)) for text in wanted)]


def object_naming(address, video, uid):
    """An object as one of this name might be, which names the video in its own way."""
    match Path(address).suffix:
        case ".json" | "":
            return json.dumps({"clips": [{"uid": uid}, {"uid": "other"}], "names": [NAME], "videos": {video: 1}}).encode()
        case ".csv":
            return f"uid,name\n{uid},{NAME}\n".encode()
        case ".parquet":
            buffer = io.BytesIO()
            pq.write_table(pa.table({"uid": [uid, "other"]}), buffer)
            return buffer.getvalue()
        case suffix if suffix in OPAQUE:
            return b"opaque"
        case _:
            return b"<img alt='put meat/a.mp4'>"


def furnished(store, video):
    """Leave an object that names the video at every address of the layout that is free."""
    uid, given = f"{video[:12]}_000000000-000008000", {"video": video, "next_video": video[:12], "uid": f"{video[:12]}_000000000-000008000"}
    for line in GOLDEN.read_text().splitlines():
        address = re.sub(r" \w+$", "", line)
        address = re.sub("<([^>]+)>", lambda match: given.get(match[1], hashlib.sha256(match[1].encode()).hexdigest()[:16]), address)
        uri = f"{STORE}/{address}" + ("x.json" if address.endswith("/") else "")
        if uri not in store.objects and line != "clips/" and not line.startswith(WITHOUT_NAMES):
            store.write_bytes(uri, object_naming(uri, video, uid))


def retrained(bench, dataset):
    """Train on a dataset, by the steps of the DAG up to the decision."""
    start = f"{STORE}/pretrained/choices/x/"
    bench.run("weights", out=start, **{name: value for name, value in TINY.items() if name in WeightsArguments.model_fields})
    plan = f"{bench.run('plan', weights_result=start, dataset=dataset, **TINY).decision_uri}plan/"
    for step in ("train", "evaluate", "compare", "report", "register"):
        bench.run(step, plan=plan)
    return bench.run("decide", plan=plan)


def promoted(store, number, reason):
    """Promote the network as the next champion."""
    made = {"time": f"2026-01-0{number}T09:00:00.000Z", "event": "promoted", "reason": reason}
    decision = some(DecisionRecord, model_name="retake-tsn", version=1, run_key="0123", **made)
    move = make_move(store, STORE, number, decision, f"k{number}")
    complete_move(store, STORE, move, Registry(load(MlflowSettings)))


def test_nothing_names_the_video_afterwards_wherever_it_was(bench, video, mlflow):
    furnished(bench.store, video)
    others = {uri: data for uri, data in bench.store.objects.items() if uri.startswith(f"{STORE}/videos/") and video not in uri}
    assert len(naming(bench.store, video[:12], "a.mp4")) > 100
    result = bench.run("forget", **FORGET)
    assert naming(bench.store, video[:12], "a.mp4") == []
    assert {uri: bench.store.objects.get(uri) for uri in others} == others
    receipt = bench.store.read(result.receipt_uri, Receipt)
    assert (receipt.by, receipt.reason, receipt.models) == ("ada", "she asked for it", ("retake-tsn version 1",))
    assert mlflow.get_model_version("retake-tsn", "1").tags["retake.saw_forgotten"] == "true"


def test_it_is_not_taken_in_again_and_the_next_dataset_training_and_prediction_go_on_without_it(bench, video, folder):
    promoted(bench.store, 1, f"{NAME} looks right")
    bench.run("forget", **FORGET)
    again = bench.take(folder)
    (aside,) = again.first_set_aside
    assert (aside.name, "was forgotten (receipt 1)" in aside.reason, again.num_videos) == (NAME, True, 5)
    dataset = bench.build()
    assert len({clip.video for clip in bench.store.read(f"{dataset.dataset_uri}manifest.json", Manifest).clips}) == 5
    assert retrained(bench, dataset.dataset_uri).model_name == "retake-tsn"
    assert bench.run("predict", videos=[str(folder / "put meat/d.mp4")], model=MODEL, crops=1, allow_trained=True).num_videos == 1
    assert naming(bench.store, video[:12]) == []


def test_without_approval_all_is_listed_and_nothing_changes(bench, video, caplog):
    caplog.set_level("INFO")
    before = dict(bench.store.objects)
    listed = bench.run("forget", video=video[:12])
    added = {uri: data for uri, data in bench.store.objects.items() if before.get(uri) != data}
    assert {uri: data for uri, data in bench.store.objects.items() if uri not in added} == before
    assert naming(bench.store, video, "a.mp4") == naming(SimpleNamespace(objects=before), video, "a.mp4"), "the list names no video"
    assert (listed.receipt_uri, listed.num_videos, listed.models) == (None, 1, ("retake-tsn version 1",))
    assert "clips, flow and sound: 2 deleted" in listed.question
    assert f"goes: {STORE}/clips/{video}" in caplog.text


def test_what_is_about_other_videos_stays(bench, video):
    other, splits = "f" * 64, read_split_csv(bench.store.read_bytes(f"{STORE}/datasets/split.csv"))
    given = {"by": "ada", "at": "2026-11-30T09:00:00Z", "answer": "nothing", "verb": None, "noun": None}
    said = tuple(
        LogEntry(statement=some(ClipStatement, token=f"token-00{number}", video=of, uid=f"{of[:12]}_0", **given))
        for number, of in enumerate((other, video, other))
    )
    for number, entry in enumerate(said):
        bench.store.write(f"{STORE}/label_log/{number:08d}.json", entry)
    bench.store.write(f"{STORE}/label_log/blocks/000000.json", LogBlock(entries=said))
    bench.store.write(f"{STORE}/looks/d/clips.json", SeenClips(uids=(f"{video[:12]}_0", f"{other[:12]}_0")))
    unlabelled = f"{STORE}/runs/r/train/unlabelled.json"
    bench.store.write(unlabelled, UnlabelledClips(clips=tuple(map(clip_record, (video, other)))))
    bench.store.write_bytes(f"{STORE}/annotations/two.csv", f"uid,verb,noun\n{NAME},put,meat\nb.mp4,take,bag\n".encode())
    seen = bench.store.read(f"{STORE}/ingests/test/inventory.json", Inventory)
    bench.run("forget", **FORGET)
    block = bench.store.read(f"{STORE}/label_log/blocks/000000.json", LogBlock)
    for kept in (block.entries, [bench.store.read(f"{STORE}/label_log/{number:08d}.json", LogEntry) for number in range(3)]):
        assert [entry.statement.kind for entry in kept] == ["clip", "forgotten", "clip"]
        assert [entry.statement.token for entry in kept] == ["token-000", "token-001", "token-002"]
    assert bench.store.read(f"{STORE}/looks/d/clips.json", SeenClips).uids == (f"{other[:12]}_0",)
    assert [clip.video for clip in bench.store.read(unlabelled, UnlabelledClips).clips] == [other]
    assert bench.store.read_bytes(f"{STORE}/annotations/two.csv") == b"uid,verb,noun\nb.mp4,take,bag\n"
    left = bench.store.read(f"{STORE}/ingests/test/inventory.json", Inventory)
    assert left.files == tuple(file for file in seen.files if file.name != NAME)
    now = read_split_csv(bench.store.read_bytes(f"{STORE}/datasets/split.csv"))
    assert now == {name: split for name, split in splits.items() if name != video}


def test_decisions_and_history_stay_without_a_reason_that_names_the_video_and_the_next_promotion_is_possible(bench, video, mlflow):
    for number, reason in ((1, f"{NAME} looks right, and so does d.mp4"), (2, "by hand")):
        promoted(bench.store, number, reason)
    digest = bench.store.read(f"{STORE}/datasets/result.json", DatasetResult).digest
    history, weak = f"{STORE}/status/models/retake-tsn/model.json", some(WeakClass, uids=(f"{video[:12]}_0", "other"))
    saw, other = {"run_key": "0123", "reason": f"{NAME} looks right"}, {"run_key": "4567", "reason": ""}
    versions = tuple(some(VersionStatus, dataset=digest, interval=(0, 1), **known) for known in (saw, other))
    bench.store.write(history, some(ModelStatus, gain_interval=None, weak_classes=(weak,), versions=versions))
    apart = f"{STORE}/status/models/apart/model.json"
    written = to_json(some(ModelStatus, gain_interval=None, weak_classes=(), versions=versions[1:])) + b"\n"
    bench.store.write_bytes(apart, written)
    mlflow.update_model_version("retake-tsn", "1", "A card\n- of a.mp4\n- of d.mp4")
    version = mlflow.get_model_version("retake-tsn", "1")
    mlflow.set_model_version_tag("retake-tsn", "1", "retake.decision_reason", "a.mp4 looks right")
    bench.run("forget", **FORGET)
    assert naming(bench.store, video[:12], "a.mp4") == []
    state = bench.store.read(history, ModelStatus)
    assert [(version.saw_forgotten, version.reason) for version in state.versions] == [(True, ""), (False, "")]
    assert [of.uids for of in state.weak_classes] == [("other",)]
    assert bench.store.read_bytes(apart) == written, "no version of it saw the video"
    table = bench.store.read_bytes(f"{STORE}/decisions.csv").decode().splitlines()
    assert [line.split(",")[8] for line in table[1:]] == ["", "by hand"]
    promoted(bench.store, 3, "better")
    reasons = ["", "by hand", "better"]
    assert sorted(decision.reason for decision in recorded_decisions(bench.store, STORE)) == sorted(reasons)
    assert [move.decision.reason for move in moves(bench.store, STORE, "retake-tsn")] == reasons
    assert (version.description, version.tags["retake.decision_reason"]) == ("A card\n- of d.mp4", "better")


def test_the_evidence_of_a_run_in_mlflow_goes_and_that_of_others_stays(bench, mlflow):
    digest = bench.store.read(f"{STORE}/datasets/result.json", DatasetResult).digest
    experiment = mlflow.create_experiment("retake")
    shown, other = (
        mlflow.create_run(experiment, {"retake.dataset_digest": of, "note": text}) for of, text in ((digest, ""), ("x", "of a.mp4"))
    )
    for run in (shown, other):
        run.artifacts |= {"report.html": b"", "train/val/predictions.parquet": b""}
    assert "evidence of 1 run in MLflow" in bench.run("forget", video=NAME).question
    assert len(shown.artifacts) == 2
    bench.run("forget", **FORGET)
    assert (shown.artifacts, len(other.artifacts), "note" in other.data.tags) == ({}, 2, False)
    assert "was removed" in shown.data.tags["mlflow.note.content"]


def test_frames_in_the_cache_of_this_machine_go_and_a_film_that_comes_in_its_place_is_new(bench, video, tmp_path):
    (clips,) = (bench.store.read(uri, ClipsFile).clips for uri in bench.store.objects if uri.endswith("/clips.json") and video in uri)
    cache, films = tmp_path / "cache" / "frames" / "av", f"{STORE}/status/films.json"
    cache.mkdir(parents=True)
    (cache / f"{clips[0].sha256}-256-0.npy").touch()
    (cache / f"{'0' * 64}-256-0.npy").touch()
    bench.store.write(films, some(VideosStatus, num_videos=6))
    bench.run("forget", **FORGET)
    assert [path.name[:4] for path in cache.iterdir()] == ["0000"]
    assert bench.store.read(films, VideosStatus).num_videos == 5


def killed(bench, dies_at):
    """A store in which a step was killed while it forgot the video."""
    store = Fragile()
    store.objects, store.dies_at = dict(bench.store.objects), dies_at
    with pytest.raises(Killed):
        Bench(store).run("forget", **FORGET)
    store.dies_at = None
    return store


def test_killed_at_any_write_or_deletion_it_goes_on(bench, video):
    dataset = bench.store.read(f"{STORE}/datasets/result.json", DatasetResult).dataset_uri
    bench.store.write_bytes(f"{dataset}z.png", b"named by nothing, and the last of its folder")
    whole = Fragile()
    whole.objects = dict(bench.store.objects)
    Bench(whole).run("forget", **FORGET)
    assert f"{dataset}z.png" not in whole.objects
    for dies_at in range(whole.num_writes):
        store = killed(bench, dies_at)
        result = Bench(store).run("forget", **FORGET)
        assert store.objects.keys() == whole.objects.keys(), dies_at
        assert naming(store, video[:12], "a.mp4") == []
        assert store.read(result.receipt_uri, Receipt).traces == whole.read(result.receipt_uri, Receipt).traces


def test_pages_and_pictures_of_trainings_on_it_go_without_naming_it_and_those_of_others_stay(bench):
    shows = ("evaluate/e/fine-tuned/val/confusion_verbs.png", "known/k.npy", "decisions/d/report/report.html", "train/last.ckpt")
    for run in ("0123", "4567"):
        for name in shows:
            bench.store.write_bytes(f"{STORE}/runs/{run}/{name}", b"a picture")
    bench.run("forget", **FORGET)
    left = {uri.removeprefix(f"{STORE}/runs/") for uri in bench.store.objects if "/runs/" in uri}
    own = ("decisions/d/plan/result.json", "train/best.pt", "train/result.json")
    assert left == {*(f"0123/{name}" for name in own), *(f"4567/{name}" for name in shows)}


def test_another_video_waits_until_the_first_is_forgotten(bench):
    store = killed(bench, 5)
    with pytest.raises(BadInput, match=r"ada has been forgetting a\.mp4, put meat/a\.mp4 since .*; forget that again"):
        Bench(store).run("forget", **FORGET | {"video": "b.mp4"})
    Bench(store).run("forget", **FORGET | {"video": "A"})
    assert Bench(store).run("forget", **FORGET | {"video": "b.mp4"}).receipt_uri.endswith("/000002.json")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, BadConfiguration, "either a video or"),
        ({"video": NAME, "source": "a"}, BadConfiguration, "either a video or"),
        ({"video": NAME, "confirm": "ada"}, BadConfiguration, "--reason is missing"),
        ({"video": NAME, "confirm": "ada", "reason": "a.mp4 shows her"}, BadConfiguration, "reason names the video"),
        ({"video": "z.mp4"}, BadInput, "matches no ingested video"),
        ({"source": "z"}, BadInput, "has no video 'z'"),
    ],
)
def test_what_cannot_be_forgotten_is_named(bench, given, error, said):
    with pytest.raises(error, match=said):
        bench.run("forget", **given)


def test_all_videos_of_a_source_go_together_only_if_asked(bench, folder, caplog):
    bench.store.write_bytes(f"{STORE}/annotations/day.csv", b"video,recording\na.mp4,day\nd.mp4,day\n")
    bench.run("label")
    bench.run("forget", video=NAME)
    assert "source day has other videos, which stay: put meat/d.mp4; --source day forgets all" in caplog.text
    with pytest.raises(BadInput, match="'day' is a source of 2 videos; write --source"):
        bench.run("forget", video="day")
    assert bench.run("forget", source="day", reason="by request", confirm="ada").num_videos == 2
    gone = [hash_of(folder / name)[:12] for name in (NAME, "put meat/d.mp4")]
    assert naming(bench.store, *gone, "a.mp4", "d.mp4") == []


def asked(question):
    return hashlib.sha256(question.encode()).hexdigest()


def test_whoever_was_asked_about_these_videos_lets_them_be_deleted(bench):
    question = bench.run("forget", video=NAME, reason=FORGET["reason"]).question
    assert bench.run("forget", **FORGET, asked=asked(question)).receipt_uri


@pytest.mark.parametrize("is_listed", [True, False], ids=["a made-up question", "no list"])
def test_the_answer_to_another_question_deletes_nothing(bench, is_listed):
    if is_listed:
        bench.run("forget", video=NAME, reason=FORGET["reason"])
    before = dict(bench.store.objects)
    with pytest.raises(BadInput, match="ada was not asked about this deletion of 1 video; start a new run of the DAG"):
        bench.run("forget", **FORGET, asked=asked("nothing of worth is deleted"))
    assert bench.store.objects == before


@pytest.mark.parametrize(("now", "number"), [(("a.mp4", "d.mp4", "f.mp4"), 3), (("a.mp4", "f.mp4"), 2)], ids=["one more", "another"])
@pytest.mark.parametrize("is_listed_again", [False, True])
def test_a_video_that_came_to_a_source_since_the_question_is_not_deleted(bench, now, number, is_listed_again):
    def teach(*names):
        bench.store.write_bytes(f"{STORE}/annotations/day.csv", "\n".join(["video,recording", *(f"{name},day" for name in names)]).encode())
        bench.run("label")

    of_day = {"source": "day", "reason": "by request"}
    teach("a.mp4", "d.mp4")
    question = bench.run("forget", **of_day).question
    teach(*now)
    if is_listed_again:
        bench.run("forget", **of_day)
    before = dict(bench.store.objects)
    with pytest.raises(BadInput, match=f"not asked about this deletion of {number} videos"):
        bench.run("forget", **of_day, confirm="ada", asked=asked(question))
    assert bench.store.objects == before


@pytest.mark.parametrize("again", [NAME, None], ids=["by name", "by hash"])
def test_a_video_that_was_forgotten_already_gets_no_second_receipt(bench, video, again):
    first = bench.run("forget", **FORGET)
    assert bench.run("forget", **FORGET | {"video": again or video}).receipt_uri == first.receipt_uri
    assert f"{STORE}/forgotten/000002.json" not in bench.store.objects


def test_what_a_step_wrote_after_a_video_was_forgotten_can_be_deleted_by_its_hash(bench, video):
    bench.run("forget", **FORGET)
    bench.store.write_bytes(f"{STORE}/clips/{video}/r/0000.mp4", b"film")
    assert bench.run("forget", **FORGET | {"video": video}).receipt_uri == f"{STORE}/forgotten/000002.json"
    assert naming(bench.store, video[:12]) == []


def test_a_receipt_that_came_since_the_listing_keeps_its_number(bench, monkeypatch):
    create, earlier = bench.store.create_bytes, f"{STORE}/forgotten/000001.json"

    def create_bytes(uri, data):
        bench.store.objects.setdefault(earlier, b"of another video")
        return create(uri, data)

    monkeypatch.setattr(bench.store, "create_bytes", create_bytes)
    assert bench.run("forget", **FORGET).receipt_uri == f"{STORE}/forgotten/000002.json"
    assert bench.store.objects[earlier] == b"of another video"


def test_a_name_that_another_video_has_is_left_to_that_one(bench, video):
    other = recorded("f" * 64, "elsewhere/a.mp4")
    bench.store.write(f"{STORE}/videos/{other.video}/probe.json", other)
    bench.store.write_bytes(f"{STORE}/inbox/elsewhere/a.mp4", b"film")
    bench.store.write_bytes(f"{STORE}/inbox/{NAME}", b"film")
    bench.store.write_bytes(f"{STORE}/inbox/labels.csv", b"uid,verb,noun\nelsewhere/a.mp4,put,meat\n")
    bench.run("forget", **FORGET)
    assert [uri.rpartition("/inbox/")[2] for uri in bench.store.objects if "/inbox/" in uri] == ["elsewhere/a.mp4", "labels.csv"]
    assert bench.store.read(f"{STORE}/videos/{other.video}/probe.json", VideoRecord) == other


@pytest.mark.parametrize(
    ("asked", "told", "keeps_versions"),
    [
        ({"return_value": True}, "keeps earlier versions", True),
        ({"side_effect": BadConfiguration("AccessDenied")}, "may keep (the keys may not ask) earlier versions", None),
    ],
    ids=["versions are kept", "the keys may not ask"],
)
def test_a_source_on_another_server_and_earlier_versions_are_told_of(bench, video, monkeypatch, asked, told, keeps_versions):
    monkeypatch.setattr(bench.store, "keeps_versions", Mock(**asked))
    record = bench.store.read(f"{STORE}/videos/{video}/probe.json", VideoRecord)
    bench.store.write(f"{STORE}/videos/{video}/probe.json", record.model_copy(update={"uri": "s3+nas://films/a.mp4"}))
    result = bench.run("forget", **FORGET)
    assert "Left on another server, to be deleted there: 1 source." in result.question
    assert told in result.question
    receipt = bench.store.read(result.receipt_uri, Receipt)
    assert (receipt.num_left_in_place, receipt.keeps_versions) == (1, keeps_versions)


def test_a_version_is_marked_whose_training_was_cleaned_up_however_many_versions_there_are(bench, mlflow, monkeypatch):
    run = f"{STORE}/runs/{'0' * 16}/"
    mlflow.set_model_version_tag("retake-tsn", "1", "retake.checkpoint_uri", f"{run}train/best.pt")
    delete = mlflow.delete_model_version_tag

    def delete_and_die(*tag):
        delete(*tag)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(mlflow, "delete_model_version_tag", delete_and_die)
        Registry(load(MlflowSettings)).let_go({run})
    Registry(load(MlflowSettings)).let_go({run})
    assert "retake.run_key" not in mlflow.get_model_version("retake-tsn", "1").tags
    first = mlflow.versions.pop(("retake-tsn", "1"))
    mlflow.versions |= {("somebody's", str(number)): SimpleNamespace(name="somebody's", tags={}, description="") for number in range(100)}
    mlflow.versions["retake-tsn", "1"] = first
    assert bench.run("forget", **FORGET).models == ("retake-tsn version 1",)
    assert mlflow.get_model_version("retake-tsn", "1").tags["retake.saw_forgotten"] == "true"


def test_a_network_that_started_from_one_that_saw_it_or_a_student_that_saw_it_without_a_label_is_marked_too(bench, video, mlflow):
    plan = bench.store.read(f"{STORE}/runs/0123/decisions/d/plan/result.json", PlanResult)
    first, second, third, student = keys = [f"{number}" * 16 for number in (1, 2, 3, 4)]
    bench.store.write(f"{STORE}/runs/{student}/train/unlabelled.json", UnlabelledClips(clips=(clip_record(video),)))
    for key, digest, start in ((first, plan.dataset_digest, ""), (second, "later", first), (third, "later", ""), (student, "later", "")):
        weights = plan.weights.model_copy(update={"weights": Weights.TRAINED, "uri": f"{STORE}/runs/{start or third}/train/best.pt"})
        later = plan.model_copy(update={"run_key": key, "dataset_digest": digest, "weights": weights})
        bench.store.write(f"{STORE}/runs/{key}/decisions/d/plan/result.json", later)
    for key in keys:
        tags = {"retake.run_key": key, "retake.checkpoint_uri": "", "retake.checkpoint_sha256": ""}
        mlflow.create_model_version("retake-tsn", source="", run_id="r", tags=tags)
    assert bench.run("forget", video=NAME).models == tuple(f"retake-tsn version {number}" for number in (1, 2, 3, 5))
