"""Sound is described where a network hears; clips in which there is nothing to hear are counted and named."""

import json

import numpy as np
import pytest

from tasks.data.clips.flow_and_sound import sound_uri
from tasks.errors import NothingToDo
from tasks.pipeline.retrain import describe_clips
from tasks.pipeline.retrain.contract import SOUND, NetworksArguments
from tasks.store.records.dataset import Manifest
from tasks.store.records.training import Champion
from tests.pipeline.shelf import RUN, Shelf, dataset_clip, filmed, manifest_of, plan_result

TRACKS = {"tone": "sine=f=440:r=48000:d=1", "silence": "anullsrc=r=48000:d=1", "none": None, "damaged": None}
PLAN = f"{RUN}decisions/d/plan/"
ARGUMENTS = NetworksArguments(store="s3://retake", plan=PLAN)


@pytest.fixture(scope="module")
def films(ffmpeg, tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    made = {
        name: filmed(ffmpeg, folder / f"{name}.mp4", picture="testsrc2=s=64x48:r=30", track=track).read_bytes()
        for name, track in TRACKS.items()
    }
    return made | {"damaged": made["damaged"][:500]}


def clip(name):
    seen = {"stop_seconds": 1, "num_frames": 30, "width": 64, "height": 48}
    return dataset_clip(name, "val", uri=f"s3://retake/clips/v/r/{name}.mp4", sha256=f"{len(name):064x}", **seen)


@pytest.fixture
def shelf(films, monkeypatch):
    monkeypatch.setattr(describe_clips, "load_speech_detector", lambda: None)
    made = Shelf()
    for name, data in films.items():
        made.objects[clip(name).uri] = data
    made.write("s3://retake/datasets/x/manifest.json", manifest_of(map(clip, TRACKS)))
    return made


def planned(shelf, *sounds):
    champion = Champion(version=2, checkpoint_uri="s3://retake/c.ckpt", checkpoint_sha256="0", sounds=sounds)
    shelf.write(f"{PLAN}result.json", plan_result(champion=champion))


def test_without_a_network_that_hears_there_is_nothing_to_do(shelf):
    planned(shelf)
    with pytest.raises(NothingToDo, match="no network of this run hears sound"):
        describe_clips.run(ARGUMENTS, shelf)


def test_clips_are_described_counted_and_named(shelf, caplog):
    caplog.set_level("INFO", "retake")
    planned(shelf, "log-mel")
    result = describe_clips.run(ARGUMENTS, shelf)
    assert (result.num_clips, result.num_described) == (4, 3)
    assert (result.num_silent, result.num_without_track, result.num_unreadable, result.with_speech) == (1, 1, 0, None)
    assert {clip.name: clip.reason for clip in result.warnings} == {"silence": "its sound is silence", "none": "it has no sound track"}
    assert [clip.name for clip in result.set_aside] == ["damaged"]
    assert "of 4 clips, 1 are silent, 1 have no sound track, that of 0 cannot be read" in caplog.text
    remedy = "silero-vad is not installed; run `pip install silero-vad==6.2.3`"
    for line in ("silence: its sound is silence", "none: it has no sound track", remedy):
        assert line in caplog.text
    assert shelf.read(SOUND.address(ARGUMENTS)) == result
    assert all(sound_uri(clip(name).uri) in shelf.objects for name in ("tone", "silence", "none"))


def test_a_second_time_changes_nothing_and_what_is_lost_is_described_again(shelf):
    planned(shelf, "log-mel")
    result = describe_clips.run(ARGUMENTS, shelf)
    before = dict(shelf.objects)
    assert describe_clips.run(ARGUMENTS, shelf) == result
    assert shelf.objects == before
    shelf.objects.pop(sound_uri(clip("tone").uri))
    again = describe_clips.run(ARGUMENTS, shelf)
    assert again.num_described == 1
    assert again.warnings == result.warnings
    mark = SOUND.address(ARGUMENTS).uri
    assert {uri: data for uri, data in shelf.objects.items() if uri != mark} == {uri: data for uri, data in before.items() if uri != mark}


def test_clips_that_nobody_listened_to_are_listened_to_once_the_detector_is_installed(shelf, monkeypatch):
    planned(shelf, "log-mel")
    first = describe_clips.run(ARGUMENTS, shelf)
    described = shelf.objects[sound_uri(clip("tone").uri)]
    is_loud = lambda chunks: (np.abs(chunks).max(axis=1) > 0.01).astype(np.float32)  # noqa: E731
    monkeypatch.setattr(describe_clips, "load_speech_detector", lambda: is_loud)
    second = describe_clips.run(ARGUMENTS, shelf)
    assert (first.with_speech, second.with_speech, second.num_described) == (None, ("tone",), 3)
    assert shelf.objects[sound_uri(clip("tone").uri)] == described
    assert describe_clips.run(ARGUMENTS, shelf) == second
    monkeypatch.setattr(describe_clips, "load_speech_detector", lambda: None)
    assert describe_clips.run(ARGUMENTS, shelf) == second


def test_a_result_of_an_earlier_version_is_read_and_one_of_other_clips_is_not_taken(shelf):
    planned(shelf, "log-mel")
    result = describe_clips.run(ARGUMENTS, shelf)
    mark = SOUND.address(ARGUMENTS).uri
    shelf.write_bytes(mark, json.dumps(json.loads(shelf.objects[mark]) | {"recipes": [{"network": "0" * 64, "speech": None}]}).encode())
    assert describe_clips.run(ARGUMENTS, shelf) == result
    dataset = shelf.read("s3://retake/datasets/x/manifest.json", Manifest)
    shelf.write("s3://retake/datasets/x/manifest.json", dataset.model_copy(update={"clips": dataset.clips[:2]}))
    assert describe_clips.run(ARGUMENTS, shelf).num_clips == 2
