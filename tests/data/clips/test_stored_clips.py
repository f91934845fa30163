"""Whose clips a video has where several versions of ffmpeg were at work."""

import json
from types import SimpleNamespace

import pytest

from tasks.data.clips.cut_videos import cut_video
from tasks.data.clips.stored_clips import find_cut
from tasks.data.video.child import MemoryShares
from tasks.data.video.ffmpeg import ffmpeg_version
from tasks.errors import BadInput
from tasks.keys import clip_recipe_of, recipe_of
from tasks.options import SegmentOptions
from tasks.pipeline.build_dataset import label
from tasks.pipeline.build_dataset.contract import LabelArguments
from tasks.pipeline.retrain import _networks
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.prediction import PredictedVideo, PredictionBatch
from tasks.store.records.video import BatchRef, ClipsFile
from tests.data.clips.conftest import DEBIANS
from tests.pipeline.shelf import Shelf, recorded

STORE, VIDEO = "s3://retake", "a" * 64
CLIPS = f"{STORE}/clips/{VIDEO}"
OPTIONS = SegmentOptions()


@pytest.fixture(scope="module")
def filled(film_of):
    """A store after a video was ingested, and one after it was cut."""
    made = Shelf()
    made.write(f"{STORE}/videos/{VIDEO}/probe.json", recorded(VIDEO))
    made.write_bytes(f"{STORE}/videos/{VIDEO}/source.mp4", film_of(3))
    ingested = made.copy()
    cut(made)
    return ingested, made


@pytest.fixture
def store(filled):
    """An ingested video that was not cut yet."""
    return filled[0].copy()


@pytest.fixture
def cut_store(filled):
    return filled[1].copy()


def cut(store):
    return cut_video(store, STORE, recorded(VIDEO), OPTIONS, MemoryShares(1, 1 << 30))


def written_before(store, recipe, *lacking):
    """Cut, and rewrite the result as a version without ffmpeg's version and the `lacking` options wrote it."""
    made = cut(store)
    there = [uri for uri in store.objects if uri.startswith(f"{CLIPS}/")]
    for uri in there:
        store.objects[uri.replace(made.recipe, recipe)] = store.objects.pop(uri).replace(made.recipe.encode(), recipe.encode())
    record = json.loads(store.objects[f"{CLIPS}/{recipe}/clips.json"])
    del record["ffmpeg"]
    for name in lacking:
        del record["options"][name]
    store.objects[f"{CLIPS}/{recipe}/clips.json"] = json.dumps(record).encode()


def also_cut(store, recipe, options=OPTIONS):
    """As if this folder had been written, too; its clip has the folder's name."""
    clips = store.clips(VIDEO, 1, recipe)
    made = ClipsFile(video=VIDEO, recipe=recipe, options=options, clips=clips, dropped_seconds=0, warnings=(), set_aside=None)
    store.write(f"{CLIPS}/{recipe}/clips.json", made)


def read_by_all(store):
    """The clips that each reader sees, which must be the same; their address without the clip's name."""
    label.run(LabelArguments(store=STORE), store)
    labelled = [entry.clip for entry in store.read(f"{STORE}/labels/{recipe_of(OPTIONS)}/labels.json", LabelsFile).clips]
    store.write(f"{STORE}/batch.json", PredictionBatch(videos=(PredictedVideo(video=VIDEO, name="a.mp4"),)))
    batch = BatchRef(uri=f"{STORE}/batch.json", name="", out=f"{STORE}/out/")
    seen = _networks._cut_clips(SimpleNamespace(store=STORE, segment=OPTIONS, batches=[batch]), store)
    assert list(cut(store).clips) == labelled == seen
    (folder,) = {clip.uri.rsplit("/", 1)[0] for clip in seen}
    return folder


def test_the_systems_ffmpeg_changes_nothing_and_the_configured_one_the_folder(store, cut_store, ffmpeg, debians, monkeypatch):
    monkeypatch.setenv("PATH", str(debians.parent), prepend=":")
    other = store.copy()
    carried = cut(store)
    assert (carried.ffmpeg, carried.recipe) == (ffmpeg_version(ffmpeg), clip_recipe_of(OPTIONS, ffmpeg_version(ffmpeg)))
    assert store.objects == cut_store.objects
    monkeypatch.setenv("RETAKE_FFMPEG", str(debians))
    configured = cut(other)
    assert (configured.ffmpeg, configured.recipe) == (DEBIANS, clip_recipe_of(OPTIONS, DEBIANS))
    assert configured.recipe != carried.recipe
    assert [clip.uid for clip in configured.clips] == [clip.uid for clip in carried.clips] != []
    assert read_by_all(other) == f"{CLIPS}/{configured.recipe}"


def test_a_video_that_was_cut_is_not_cut_again_by_another_ffmpeg_nor_without_any(cut_store, debians, monkeypatch):
    made, before = cut(cut_store), dict(cut_store.objects)
    for configured in (debians, debians.parent / "nowhere"):
        monkeypatch.setenv("RETAKE_FFMPEG", str(configured))
        assert cut(cut_store) == made
    assert cut_store.objects == before
    assert read_by_all(cut_store) == f"{CLIPS}/{made.recipe}"


@pytest.mark.parametrize(("recipe", "lacking"), [(recipe_of(OPTIONS), ()), ("0123456789abcdef", ("gop_frames",))])
def test_clips_of_a_store_that_was_written_before_stay_where_they_are(cut_store, recipe, lacking):
    written_before(cut_store, recipe, *lacking)
    before = dict(cut_store.objects)
    assert read_by_all(cut_store) == f"{CLIPS}/{recipe}"
    assert cut(cut_store).ffmpeg is None
    assert {uri: data for uri, data in cut_store.objects.items() if uri in before or uri.startswith(CLIPS)} == before


@pytest.mark.parametrize("recipes", [("b" * 16, "c" * 16), ("c" * 16, "b" * 16)])
def test_of_two_cuts_everyone_takes_the_one_with_the_first_name_and_that_of_before_first(store, recipes):
    also_cut(store, "a" * 16, SegmentOptions(crf=21))
    store.write_bytes(f"{CLIPS}/{'0' * 16}/0000.mp4", b"of a cutting that was killed")
    for recipe in recipes:
        also_cut(store, recipe)
    assert read_by_all(store) == f"{CLIPS}/{'b' * 16}"
    also_cut(store, recipe_of(OPTIONS))
    assert read_by_all(store) == f"{CLIPS}/{recipe_of(OPTIONS)}"


def test_a_record_of_another_version_costs_nothing_unless_it_is_of_this_cutting_and_then_is_named(store):
    also_cut(store, "b" * 16)
    for number, options in enumerate(({"crf": 21}, {"crf": 99}, {"codec": "av1"})):
        store.write_bytes(f"{CLIPS}/{number:016}/clips.json", json.dumps({"options": options, "codec": "av1"}).encode())
    assert read_by_all(store) == f"{CLIPS}/{'b' * 16}"
    for recipe, text in ((recipe_of(OPTIONS), "{}"), ("9" * 16, json.dumps({"options": OPTIONS.model_dump(), "codec": "av1"}))):
        store.write_bytes(f"{CLIPS}/{recipe}/clips.json", text.encode())
        with pytest.raises(BadInput, match=f"{recipe}/clips.json is not a ClipsFile"):
            find_cut(store, STORE, VIDEO, OPTIONS)
        store.remove(f"{CLIPS}/{recipe}/clips.json")
