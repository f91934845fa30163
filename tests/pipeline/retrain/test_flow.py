"""Optical flow on a store in memory: a batch with clips of every kind, a try that is killed, and a training without the step."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tasks.data.clips.flow_and_sound import flow_uri
from tasks.data.clips.frame_cache import cache_test_frames, cache_train_frames
from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.data.video.frames import iter_fields
from tasks.errors import BadVideo, NothingToDo, Unavailable
from tasks.keys import flow_recipe_of
from tasks.learn.inputs.snippets import read_tested
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.pipeline.retrain import compute_flow, missing_flow
from tasks.pipeline.retrain.contract import FLOW, FlowArguments, NetworksArguments
from tasks.store.records.training import Champion
from tasks.store.records.video import FlowBatch, FlowClip
from tests.pipeline.shelf import RUN, Fragile, Killed, dataset_clip, fill_disk, filmed, manifest_of, plan_result

ROOT = "s3://retake"
OPTIONS = FlowOptions(flow_method="dis")
SPEC = NetworkSpec(backbone="none", num_segments=2, modality=Modality.FLOW, flow=OPTIONS)


@pytest.fixture
def shelf(machine):
    return Fragile()


@cache
def noise(num_frames, seed):
    with tempfile.TemporaryDirectory() as folder:
        picture = f"color=s=68x64:r=30,noise=all_seed={seed}:alls=100:allf=t"
        return filmed(find_ffmpeg(None), Path(folder) / "noise.mp4", num_frames / 30, picture).read_bytes()


def put(shelf, name, num_frames, seed=0):
    uri = f"{ROOT}/clips/{name}/cut/0000.mp4"
    shelf.write_bytes(uri, noise(num_frames, seed))
    return dataset_clip(name, uri=uri, num_frames=num_frames, width=68, height=64)


def batch_of(shelf, *clips):
    """The arguments of the step for these clips."""
    uri = f"{ROOT}/flows/x/0000.json"
    listed = tuple(FlowClip(uid=clip.uid, uri=clip.uri, num_frames=clip.num_frames) for clip in clips)
    shelf.write(uri, FlowBatch(options=OPTIONS, clips=listed))
    return FlowArguments(store=ROOT, batch=uri)


def fields(shelf, clip, folder):
    path = folder / f"{clip.uid}.mkv"
    shelf.read_file(flow_uri(clip.uri, OPTIONS), path)
    return np.stack(list(iter_fields(path, range(max(1, clip.num_frames - 1)))))


def test_a_batch_with_odd_clips_costs_those_alone_and_is_done_once(shelf, caplog, tmp_path):
    whole, three, single, damaged = put(shelf, "whole", 9), put(shelf, "three", 3), put(shelf, "single", 1), put(shelf, "damaged", 9)
    shelf.write_bytes(damaged.uri, shelf.read_bytes(damaged.uri)[:2000])
    absent = dataset_clip("absent", uri=f"{ROOT}/clips/absent/cut/0000.mp4", num_frames=9)
    arguments = batch_of(shelf, whole, damaged, three, absent, single)
    caplog.set_level("INFO")
    result = compute_flow.run(arguments, shelf)
    assert shelf.read(FLOW.address(arguments)) == result
    assert "5 of 5 clips: single: 1 fields" in caplog.text
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
    assert flow_uri(whole.uri, OPTIONS) == f"{ROOT}/clips/whole/cut/flow/{flow_recipe_of(OPTIONS)}/0000.mkv"
    assert fields(shelf, whole, tmp_path).shape == (8, 256, 272, 2)
    assert set(np.unique(fields(shelf, single, tmp_path))) <= {127, 128}

    before = dict(shelf.objects)
    assert compute_flow.run(arguments, shelf) == result
    assert shelf.objects == before

    put(shelf, "damaged", 9)
    mended = compute_flow.run(arguments, shelf)
    assert (mended.num_computed, [clip.name for clip in mended.set_aside]) == (1, ["absent"])


def test_a_killed_try_is_gone_on_with_and_nothing_is_done_twice(shelf):
    clips = [put(shelf, f"clip{number}", 6, seed=number) for number in range(4)]
    arguments = batch_of(shelf, *clips)
    uris = [flow_uri(clip.uri, OPTIONS) for clip in clips]

    shelf.dies_at = shelf.num_writes + 2
    with pytest.raises(Killed):
        compute_flow.run(arguments, shelf)
    shelf.dies_at = None
    before = dict(shelf.objects)
    assert [uri in before for uri in uris] == [True, True, False, False]
    assert FLOW.address(arguments).uri not in before
    assert compute_flow.run(arguments, shelf).num_computed == 2
    assert before.items() <= shelf.objects.items()
    assert set(uris) <= shelf.objects.keys()


def test_a_full_disk_is_told_with_the_remedy_and_nothing_half_written_counts_as_done(shelf, monkeypatch):
    arguments = batch_of(shelf, put(shelf, "clip", 6))
    before = dict(shelf.objects)
    with monkeypatch.context() as patch, pytest.raises(Unavailable, match=r"/retake-flow-.*: No space left on device; make room and retry"):
        fill_disk(shelf, patch, ".mkv")
        compute_flow.run(arguments, shelf)
    assert shelf.objects == before
    assert compute_flow.run(arguments, shelf).num_computed == 1


def test_frames_of_flow_are_computed_where_they_are_missing(shelf, caplog, tmp_path):
    caplog.set_level("INFO")
    long, three, single = clips = [put(shelf, "long", 15, seed=7), put(shelf, "short", 3, seed=8), put(shelf, "single", 1, seed=9)]
    tested = cache_test_frames(shelf, clips, SPEC)
    assert "3 of 3 clips have no optical flow (dis) in the store" in caplog.text
    # 14 fields make two segments of (14 - 5 + 1) / 2 = 5 places each, and the middle snippets begin at 2 and 7.
    for clip, numbers in ((long, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), (three, [0, 1, 1, 1, 1] * 2), (single, [0] * 10)):
        whole = fields(shelf, clip, tmp_path)
        array = np.load(tested[clip.uid])
        assert array.shape == (10, 256, 272, 2)
        np.testing.assert_array_equal(array, whole[numbers])
        snippets = read_tested(tested[clip.uid], SPEC)
        assert snippets.shape == (2, 256, 272, 10)
        np.testing.assert_array_equal(snippets[1, ..., 2:4], whole[numbers[6]])
    caplog.clear()
    trained = cache_train_frames(shelf, clips, SPEC, TrainOptions(frame_step=30))
    assert "no optical flow" not in caplog.text
    for clip in clips:
        np.testing.assert_array_equal(np.load(trained[clip.uid]), fields(shelf, clip, tmp_path))


def test_a_clip_without_flow_is_named_with_the_remedy_once_the_rest_is_kept(shelf):
    good, bad = put(shelf, "good", 4), put(shelf, "bad", 4)
    shelf.write_bytes(bad.uri, b"")
    with pytest.raises(BadVideo, match=r"^1 of 2 clips has no optical flow: bad: the file is empty\. Delete the clips\.json .*ingest"):
        cache_test_frames(shelf, [bad, good], SPEC)
    assert [flow_uri(clip.uri, OPTIONS) in shelf.objects for clip in (good, bad)] == [True, False]


@pytest.mark.parametrize("role", ["champion", "previous"])
def test_flow_that_an_earlier_version_sees_is_listed_until_it_is_there_where_the_network_itself_sees_none(shelf, role):
    clips = [put(shelf, name, 4) for name in ("a", "b")]
    shelf.write("s3://retake/datasets/x/manifest.json", manifest_of(clips))
    arguments = NetworksArguments(store=ROOT, plan=f"{RUN}decisions/d/plan/")

    def planned(*flows):
        version = Champion(version=1, checkpoint_uri="s3://x", checkpoint_sha256="", flows=flows)
        shelf.write(f"{arguments.plan}result.json", plan_result(**{role: version}))

    planned(OPTIONS)
    listed = missing_flow.run(arguments, shelf)
    assert (listed.num_clips, listed.num_missing) == (2, 2)
    (batch,) = listed.batches
    assert shelf.read(batch.uri, FlowBatch).options == OPTIONS
    compute_flow.run(FlowArguments(store=ROOT, batch=batch.uri), shelf)
    with pytest.raises(NothingToDo, match=r"the optical flow \(dis\) of all 2 clips is in the store"):
        missing_flow.run(arguments, shelf)
    planned()
    with pytest.raises(NothingToDo, match="no network of this run looks at optical flow"):
        missing_flow.run(arguments, shelf)
