"""Optical flow on a real store: a batch with clips of every kind, and a training that sees flow, by its DAG and without the step."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.contracts.retrain import FLOW, FlowArguments
from tasks.errors import BadVideo
from tasks.keys import flow_recipe_of
from tasks.local.home import REPOSITORY
from tasks.media.frame_cache import cache_test_frames, cache_train_frames
from tasks.media.stored_flow import flow_uri
from tasks.model.snippets import read_tested
from tasks.model.spec import NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.results.flow import FlowBatch, FlowClip, FlowResult
from tasks.results.prediction import PredictBatchResult, PredictPlanResult
from tasks.results.training import Champion, PlanResult
from tasks.video.fields import iter_fields
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "s3://retake-flow"
PATIENCE_SECONDS = 120
OPTIONS = FlowOptions(flow_method="dis")
SPEC = NetworkSpec(backbone="none", num_segments=2, modality=Modality.FLOW, flow=OPTIONS)
SEES_FLOW = {"modality": "flow", "flow_method": "dis", "trainable": "heads", "feature_variants": 1, "num_segments": 2}


@dataclass(frozen=True)
class Clip:
    uid: str
    uri: str
    num_frames: int
    sha256: str
    width: int = 68
    height: int = 64


@pytest.fixture(scope="module")
def put(workshop, tmp_path_factory):
    """Draws a clip of so many frames into the store."""
    folder = tmp_path_factory.mktemp("flow-clips")

    def call(video: str, num_frames: int, seed: int = 0) -> Clip:
        path = folder / f"{video}.mp4"
        rng = np.random.default_rng(seed)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"qp": "0", "bf": "0"})
            stream.height, stream.width, stream.pix_fmt = 64, 68, "yuv420p"
            for number in range(num_frames):
                picture = av.VideoFrame.from_ndarray(rng.integers(0, 256, (64, 68, 3), np.uint8), format="rgb24")
                picture.pts = number
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        uri = f"{STORE}/clips/{video}/cut/0000.mp4"
        workshop.store.ensure_bucket(uri)
        workshop.store.write_file(uri, path)
        return Clip(video, uri, num_frames, sha256=f"{video}-{seed}")

    return call


def listing(workshop, folder: str) -> list[tuple[str, str]]:
    return [(found.uri, found.etag) for found in workshop.store.list(folder)]


def batch_of(workshop, name: str, *clips: Clip) -> dict[str, str]:
    """The flags of `flow` for these clips."""
    uri = f"{STORE}/flows/{name}/0000.json"
    listed = tuple(FlowClip(uid=clip.uid, uri=clip.uri, num_frames=clip.num_frames) for clip in clips)
    workshop.store.write(uri, FlowBatch(options=OPTIONS, clips=listed))
    return {"store": STORE, "batch": uri}


def fields(workshop, clip: Clip, folder: Path) -> np.ndarray:
    path = folder / f"{clip.uid}.mkv"
    workshop.store.read_file(flow_uri(clip.uri, OPTIONS), path)
    return np.stack(list(iter_fields(path, range(max(1, clip.num_frames - 1)))))


def test_a_batch_with_odd_clips_costs_those_alone_and_is_done_once(workshop, attempt, put, caplog, tmp_path):
    whole, three, single, damaged = put("whole", 9), put("three", 3), put("single", 1), put("damaged", 9)
    workshop.store.write_bytes(damaged.uri, workshop.store.read_bytes(damaged.uri)[:2000])
    absent = Clip("absent", f"{STORE}/clips/absent/cut/0000.mp4", 9, "absent")
    flags = batch_of(workshop, "odd", whole, damaged, three, absent, single)
    caplog.set_level("INFO")
    code, _ = attempt("flow", **flags)
    assert code == 0
    assert "5 of 5 clips: single: 1 fields" in caplog.text
    result = workshop.store.read(FLOW.address(FlowArguments(**flags)))
    assert (result.num_clips, result.num_computed, result.num_fields) == (5, 3, 8 + 2 + 1)
    assert result.fields_per_second > 0
    assert {clip.name: clip.reason for clip in result.warnings} == {
        "three": "3 frames make 2 fields of flow, but a network needs 5 in a row; the last is repeated",
        "single": "a single frame shows no motion; one field of zero motion is repeated for the 5 that a network needs",
    }
    reasons = {clip.name: clip.reason for clip in result.set_aside}
    assert set(reasons) == {"damaged", "absent"}
    assert "no index (moov)" in reasons["damaged"]
    assert reasons["absent"] == "the clip is not in the store"
    assert flow_uri(whole.uri, OPTIONS) == f"{STORE}/clips/whole/cut/flow/{flow_recipe_of(OPTIONS)}/0000.mkv"
    assert fields(workshop, whole, tmp_path).shape == (8, 256, 272, 2)
    assert set(np.unique(fields(workshop, single, tmp_path))) <= {127, 128}

    before = listing(workshop, STORE)
    assert attempt("flow", **flags)[0] == 0
    assert listing(workshop, STORE) == before

    put("damaged", 9)
    assert attempt("flow", **flags)[0] == 0
    mended = workshop.store.read(FLOW.address(FlowArguments(**flags)))
    assert (mended.num_computed, [clip.name for clip in mended.set_aside]) == (1, ["absent"])


def test_a_killed_try_is_gone_on_with_and_nothing_is_done_twice(workshop, put):
    clips = [put(f"killed{number}", 40, seed=number) for number in range(5)]
    flags = batch_of(workshop, "killed", *clips)
    first = flow_uri(clips[0].uri, OPTIONS)
    one_by_one = workshop.environment | {"RETAKE_NUM_PROCESSES": "2"}
    with subprocess.Popen(workshop.command("flow", **flags), cwd=REPOSITORY, env=one_by_one, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not workshop.store.exists(first):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
        process.kill()
    kept = {clip.uid: workshop.store.stat(flow_uri(clip.uri, OPTIONS)) for clip in clips}
    assert kept["killed0"]
    assert not kept["killed4"]
    assert not workshop.store.exists(FLOW.address(FlowArguments(**flags)).uri)
    result = workshop.run("flow", **flags)
    assert result["num_computed"] == sum(found is None for found in kept.values())
    now = {clip.uid: workshop.store.stat(flow_uri(clip.uri, OPTIONS)) for clip in clips}
    assert all(now.values())
    assert {uid: now[uid] for uid, found in kept.items() if found} == {uid: found for uid, found in kept.items() if found}


@pytest.fixture
def in_this_process(workshop, monkeypatch):
    for name, value in workshop.environment.items():
        monkeypatch.setenv(name, value)


def test_frames_of_flow_are_computed_where_they_are_missing(workshop, put, in_this_process, caplog, tmp_path):
    caplog.set_level("INFO")
    long, three, single = clips = [put("long", 15, seed=7), put("short", 3, seed=8), put("one", 1, seed=9)]
    tested = cache_test_frames(workshop.store, clips, SPEC)
    assert "3 of 3 clips have no optical flow (dis) in the store" in caplog.text
    # 14 fields make two segments of (14 - 5 + 1) / 2 = 5 places each, and the middle snippets begin at 2 and 7.
    for clip, numbers in ((long, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), (three, [0, 1, 1, 1, 1] * 2), (single, [0] * 10)):
        whole = fields(workshop, clip, tmp_path)
        array = np.load(tested[clip.uid])
        assert array.shape == (10, 256, 272, 2)
        np.testing.assert_array_equal(array, whole[numbers])
        snippets = read_tested(tested[clip.uid], SPEC)
        assert snippets.shape == (2, 256, 272, 10)
        np.testing.assert_array_equal(snippets[1, ..., 2:4], whole[numbers[6]])
    caplog.clear()
    trained = cache_train_frames(workshop.store, clips, SPEC, TrainOptions(frame_step=30))
    assert "no optical flow" not in caplog.text
    for clip in clips:
        np.testing.assert_array_equal(np.load(trained[clip.uid]), fields(workshop, clip, tmp_path))


def test_a_clip_without_flow_is_named_with_the_remedy_once_the_rest_is_kept(workshop, put, in_this_process):
    good, bad = put("good", 4, seed=11), put("bad", 4, seed=12)
    workshop.store.write_bytes(bad.uri, b"")
    with pytest.raises(
        BadVideo, match=r"^1 of 2 clips have no optical flow: bad: the file is empty\. Delete the clips\.json .*ingest_videos"
    ):
        cache_test_frames(workshop.store, [bad, good], SPEC)
    assert workshop.store.exists(flow_uri(good.uri, OPTIONS))
    assert not workshop.store.exists(flow_uri(bad.uri, OPTIONS))


def test_flow_is_skipped_where_the_network_sees_none_and_training_is_not(chain):
    states = chain.states["retrain"]
    assert {name: states[f"{name}[-1]"] for name in ("prepare.flows", "prepare.flow", "train")} == {
        "prepare.flows": "skipped",
        "prepare.flow": "skipped",
        "train": "success",
    }


def test_a_network_that_sees_flow_is_trained_and_its_flow_computed_once(workshop, chain):
    conf = {"retrain": {"store": CHAIN_STORE, **TRAINING, **SEES_FLOW, "model_name": "sees-flow"}}
    states = workshop.dag_test(conf)["retrain"]
    assert states["prepare.flows[-1]"] == states["prepare.flow[0]"] == states["train[-1]"] == states["run"] == "success", states
    kept = [uri for uri, _ in listing(workshop, f"{CHAIN_STORE}/clips/") if f"/flow/{flow_recipe_of(OPTIONS)}/" in uri]
    assert len(kept) == 6
    (batch,) = [
        found.uri
        for found in workshop.store.list(f"{CHAIN_STORE}/runs/")
        if found.uri.endswith(f"/flows/{flow_recipe_of(OPTIONS)}/0000/result.json")
    ]
    assert workshop.store.read(batch, FlowResult).num_computed == 6

    before = listing(workshop, CHAIN_STORE)
    again = workshop.dag_test(conf)["retrain"]
    assert {again[f"{name}[-1]"] for name in ("prepare.plan", "prepare.flows", "prepare.flow", "train")} == {"skipped"}
    assert listing(workshop, CHAIN_STORE) == before

    done = workshop.plan(CHAIN_STORE, "flow-again", force_token="again", **SEES_FLOW)  # noqa: S106 - no password
    plan = PlanResult.model_validate(json.loads(done.stdout.splitlines()[-1]))
    listed = workshop.attempt("flows", store=CHAIN_STORE, plan=f"{plan.decision_uri}plan/")
    assert (listed.returncode, "of all 6 clips is in the store" in listed.stderr) == (99, True)


def test_flow_that_the_champion_sees_is_listed_where_the_network_itself_sees_none(workshop, chain):
    plan = workshop.store.read(f"{chain.plan}result.json", PlanResult)
    seen = FlowOptions(flow_method="dis", flow_bound_pixels=7)
    champion = Champion(version=1, checkpoint_uri="s3://x", checkpoint_sha256="", flows=(seen,))
    address = f"{STORE}/runs/x/decisions/x/plan/"
    workshop.store.write(f"{address}result.json", plan.model_copy(update={"champion": champion}))
    listed = workshop.run("flows", store=STORE, plan=address)
    assert (listed["num_clips"], listed["num_missing"]) == (6, 6)
    assert workshop.store.read(listed["batches"][0]["uri"], FlowBatch).options == seen


def test_new_videos_have_the_flow_that_networks_see_before_they_are_predicted(workshop, chain, tmp_path, ffmpeg):
    make_samples(tmp_path, seed=21, num_videos=2, video_seconds=8, ffmpeg=ffmpeg)
    (tmp_path / "words.mp4").write_text("no video")
    conf = {"store": CHAIN_STORE, "videos": [str(tmp_path)], "model": "models:/sees-flow@challenger", "crops": 1, "against": "none"}
    states = workshop.dag_test({"predict_videos": conf})["predict_videos"]
    assert states.pop("sound[-1]") == "skipped"
    assert set(states.values()) == {"success"}
    plans = [found for found in workshop.store.list(f"{CHAIN_STORE}/predictions/") if found.uri.endswith("/plan/result.json")]
    plan = workshop.store.read(max(plans, key=lambda found: found.modified).uri, PredictPlanResult)
    assert plan.model.flows == (OPTIONS,)
    computed = workshop.store.read(f"{plan.prediction_uri}flows/{flow_recipe_of(OPTIONS)}/0000/result.json", FlowResult)
    assert (computed.num_clips, computed.num_computed) == (2, 2)
    for batch in plan.batches:
        scored = workshop.store.read(f"{batch.out}result.json", PredictBatchResult)
        assert (len(scored.videos), scored.set_aside) == (1, ())
