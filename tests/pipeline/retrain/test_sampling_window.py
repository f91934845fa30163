"""A network with a sampling window learns from the middle of clips, is tested on it, and never sees the ends."""

import re
import subprocess

import numpy as np
import pytest
import torch

from tasks.data.clips.frame_cache import cache_test_frames, cache_train_frames, load_few
from tasks.learn.engines.choice import ScoringJob
from tasks.learn.engines.scorer import make_scorer
from tasks.learn.inputs.snippets import middle_frames
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.pipeline.retrain.register import _snippets_in_words
from tasks.served.videos import Clip, VideoModel
from tests.pipeline.shelf import Shelf
from tests.served.test_videos import SERVED

CLASSES = ClassNames(verbs=("put", "take"), nouns=("bag", "meat"))
WINDOW = NetworkSpec(backbone="test_resnet", num_segments=2, sampling_window=0.5, num_verbs=2, num_nouns=2)
WHOLE = WINDOW.model_copy(update={"sampling_window": 1})


@pytest.fixture(scope="module")
def films(ffmpeg, tmp_path_factory):
    """Two clips of 30 frames; their ends differ, and the 15 frames in the middle are the same moving picture, without loss."""
    folder = tmp_path_factory.mktemp("films")

    def film(color):
        path = folder / f"{color}.mp4"
        parts = [f"color={color}:s=320x240:r=30:d={seconds},format=yuv420p" for seconds in (7 / 30, 8 / 30)]
        parts.insert(1, "testsrc2=s=320x240:r=30:d=0.5,format=yuv420p")
        inputs = [argument for part in parts for argument in ("-f", "lavfi", "-i", part)]
        joined = ["-filter_complex", "[0][1][2]concat=n=3", "-c:v", "libx264", "-qp", "0"]
        subprocess.run([str(ffmpeg), "-nostdin", "-v", "error", *inputs, *joined, str(path)], check=True)
        return path

    return film("red"), film("blue")


@pytest.fixture
def shelves(films, monkeypatch, tmp_path):
    """For each film, a store of a clip of it, and a cache of its own."""

    def use(film):
        monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / film.stem))
        shelf = Shelf(film.read_bytes())
        return shelf, shelf.clips("a" * 64, 1)

    return [(film, lambda film=film: use(film)) for film in films]


@pytest.mark.parametrize(("spec", "is_alike"), [(WINDOW, True), (WHOLE, False)], ids=["window", "whole clip"])
def test_the_ends_of_a_clip_reach_a_training_and_its_validation_only_without_a_window(shelves, spec, is_alike):
    middles = TrainOptions(train_frames="middle")
    for cached in (lambda *given: cache_train_frames(*given, middles), cache_test_frames):
        red, blue = (np.load(*cached(*use(), spec).values()) for _, use in shelves)
        assert np.array_equal(red, blue) is is_alike


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["pytorch", "openvino"])
def test_a_test_sees_the_window_alone_by_each_engine_and_by_the_registered_model(shelves, tmp_path, engine):
    saved = Saved((Network(WINDOW, seed=1),), (HeadWeights(1, 1),), CLASSES)
    answers = []
    for film, use in shelves:
        shelf, clips = use()
        checked = load_few(shelf, clips, WINDOW)
        job = ScoringJob(device="cpu", num_clips=1, num_crops=10, checked=lambda checked=checked: checked)
        scorer, used = make_scorer(Saved((Network(WINDOW, seed=1),), saved.weights, CLASSES), engine, [job])
        assert (used.name, used.fallback_reason) == (engine, None)
        verb, _ = VideoModel(saved, SERVED.model_copy(update={"crops": 10})).logits(Clip(film, 0, 1, 30), tmp_path)
        answers.append((scorer.score(checked).verb, torch.tensor(verb)))
    (red, red_row), (blue, blue_row) = answers
    assert torch.equal(red, blue)
    assert torch.equal(red_row, blue_row)
    torch.testing.assert_close(red, red_row, atol=1e-2, rtol=1e-2)


FLOW = FlowOptions(flow_method="dis")


# A clip of 30 frames has 29 fields, and a window of round(14.5) fields.
@pytest.mark.parametrize(
    ("modality", "expected"), [(Modality.RGB, range(7, 22, 3)), (Modality.FLOW, range(7, 21)), (Modality.RGB_DIFFERENCE, range(7, 22))]
)
def test_frames_outside_the_window_are_not_cached_for_training(shelves, modality, expected):
    (_, use), _ = shelves
    shelf, (clip, *_) = use()
    window, whole = (
        NetworkSpec(backbone="none", num_segments=2, modality=modality, sampling_window=share, flow=FLOW) for share in (0.5, 1)
    )
    (held,), (of_clip,) = (
        cache_train_frames(shelf, [clip], spec, TrainOptions(frame_step=step)).values() for spec, step in ((window, 3), (whole, 1))
    )
    np.testing.assert_array_equal(np.load(held), np.load(of_clip)[expected])


@pytest.mark.parametrize("modality", [modality for modality in Modality if not modality.is_heard])
@pytest.mark.parametrize("window", [1, 0.5, 0.01])
def test_the_registered_model_says_where_its_snippets_begin(modality, window):
    spec = NetworkSpec(backbone="b", num_segments=4, modality=modality, sampling_window=window)
    _, text = _snippets_in_words(spec, 30).split("which begin at ")
    formula, *names = re.split(r" with |, (?=\w+ = )| and ", text.replace("number of frames", "number"))
    values = dict(name.split(" = ") for name in names)
    for number in (29, 30, 240):
        known = {"number": number, "max": max, "round": round, "int": int}
        for name in ("length", "start", "tick"):
            if name in values:
                known[name] = eval(values[name], {}, known)  # noqa: S307 - our own words
        firsts = [eval(formula, {}, known | {"i": i}) for i in range(4)]  # noqa: S307
        assert firsts == list(middle_frames(number, spec)[:: spec.snippet.num_frames])
