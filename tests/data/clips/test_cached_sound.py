"""The sound of real clips, as networks that hear get it from the store."""

import logging

import numpy as np
import pytest
from pandas import DataFrame

from tasks.data.clips.flow_and_sound import complete_sound, sound_uri, spectrograms
from tasks.data.clips.frame_cache import FramesAhead, cache_test_frames, cache_train_frames, load_few
from tasks.errors import BadVideo
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.inputs.data import View
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import Modality, SegmentOptions, TrainOptions
from tasks.served import videos as served
from tasks.served.videos import Clip, VideoModel
from tests.pipeline.shelf import Shelf
from tests.served.test_videos import SERVED as OF_SECONDS

SOUND = NetworkSpec(backbone="log-mel", modality=Modality.SOUND, num_segments=4, num_verbs=3, num_nouns=2)
SEES = NetworkSpec(backbone="test_resnet", num_segments=1, num_verbs=3, num_nouns=2)
TRACKS = {
    "low": "aevalsrc=sin(2*PI*(200+100*t)*t):d=4",
    "high": "sine=frequency=6000:duration=4",
    "silent": "anullsrc=duration=4",
    "mute": None,
}
SERVED = OF_SECONDS.model_copy(update={"segment": SegmentOptions(), "crops": 10})
CLASSES = ClassNames(verbs=("put", "take", "move"), nouns=("bag", "meat"))


@pytest.fixture(scope="module")
def films(sounding):
    return {name: sounding(4, track) for name, track in TRACKS.items()}


@pytest.fixture
def shelf(films, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    return Shelf(films["low"].read_bytes())


@pytest.fixture
def clips(shelf, films):
    """A clip with each track, in the order of `TRACKS`."""
    clips = [clip.model_copy(update={"num_frames": 120}) for clip in shelf.clips("a" * 64, len(TRACKS))]
    for clip, film in zip(clips, films.values(), strict=True):
        shelf.write_file(clip.uri, film)
    return clips


def test_a_network_hears_the_sound_of_a_clip_and_zeros_where_there_is_none(shelf, clips):
    features = load_few(shelf, clips, SOUND)
    assert [(rows.shape, bool(rows.any())) for rows in features] == [((4, 256), heard) for heard in (True, True, False, False)]
    low, high = (rows[0, :128].argmax() for rows in features[:2])
    assert low < 40 < 80 < high


def test_clips_without_sound_are_named_and_counted_and_left_out_of_training_alone(shelf, clips, caplog):
    caplog.set_level(logging.WARNING)
    low, high, silent, mute = (clip.uid for clip in clips)
    assert list(cache_train_frames(shelf, clips, SOUND, TrainOptions())) == [low, high]
    assert f"2 of 4 training clips have nothing to hear and are left out: {silent}, {mute}" in caplog.text
    assert list(cache_test_frames(shelf, clips, SOUND)) == [low, high, silent, mute]
    with pytest.raises(BadVideo, match="no training clip has sound"):
        cache_train_frames(shelf, clips[2:], SOUND, TrainOptions())


def test_clips_of_the_same_bytes_are_fetched_once(shelf, clips, monkeypatch):
    twin = clips[1].model_copy(update={"sha256": clips[0].sha256})
    complete_sound(shelf, clips[:2])
    fetched, read_file = [], shelf.read_file
    monkeypatch.setattr(shelf, "read_file", lambda uri, path: fetched.append(uri) or read_file(uri, path))
    assert len(set(cache_test_frames(shelf, [clips[0], twin], SOUND).values())) == len(fetched) == 1


def decoded_anew(shelf, clip, spec):
    for path in cache_test_frames(shelf, [clip], spec).values():
        path.unlink()
    return load_few(shelf, [clip], spec)[0]


def test_a_damaged_description_is_made_again(shelf, clips):
    (expected,) = load_few(shelf, clips[:1], SOUND)
    shelf.write_bytes(sound_uri(clips[0].uri), b"no sound")
    assert np.array_equal(decoded_anew(shelf, clips[0], SOUND), expected)


def test_a_view_of_training_is_drawn_from_the_whole_clip(shelf, clips):
    paths = cache_train_frames(shelf, clips, SOUND, TrainOptions())
    views = [View(paths[clips[0].uid], seed=3, number=number).images(SOUND) for number in range(4)]
    assert len({view.numpy().tobytes() for view in views}) > 1


def test_a_clip_that_is_no_video_is_named(shelf, clips):
    shelf.write_bytes(clips[1].uri, b"no video")
    with pytest.raises(BadVideo, match=f"1 of 4 clips cannot be read: {clips[1].uid}"):
        cache_test_frames(shelf, clips, SOUND)
    with FramesAhead(shelf, clips, [SOUND, SOUND]) as ahead:
        assert [len(ahead.load(clip)) for clip in (clips[0], clips[2])] == [2, 2]
        with pytest.raises(BadVideo, match=clips[1].uid):
            ahead.load(clips[1])


def test_people_see_the_spectrogram_of_each_whole_clip_that_is_described(shelf, clips):
    complete_sound(shelf, clips[1:])
    shown = spectrograms(shelf, clips)
    assert {uid: levels is not None for uid, levels in shown.items()} == {clips[1].uid: True, clips[2].uid: False, clips[3].uid: False}
    assert shown[clips[1].uid].shape == (801, 128)
    assert shown[clips[1].uid].any()


@pytest.mark.slow
def test_a_registered_network_answers_a_file_as_an_evaluation_answers_the_clip(shelf, clips, films, tmp_path):
    specs = [SEES, SOUND, SOUND.model_copy(update={"num_segments": 1})]
    weights = (HeadWeights(0.2, 0.3), HeadWeights(0.5, 0.3), HeadWeights(0.3, 0.4))

    def networks():
        return tuple(Network(spec, seed) for seed, spec in enumerate(specs))

    scorer = Scorer(tuple(PytorchEngine(prepare(network), 10) for network in networks()), weights)
    model = VideoModel(Saved(networks(), weights, CLASSES), SERVED)
    for number in (0, 2, 3):
        expected = scorer.score([load_few(shelf, [clips[number]], spec)[0] for spec in specs])
        answer = model.logits(Clip(list(films.values())[number], 0, 4, 120), tmp_path)
        for own, logits in zip(answer, expected, strict=True):
            assert own == pytest.approx(logits.numpy(), abs=1e-5)


@pytest.mark.slow
def test_a_fusion_decodes_a_sound_once(films, monkeypatch):
    decoded, decode = [], served.decode_audio
    monkeypatch.setattr(served, "decode_audio", lambda *arguments: decoded.append(arguments) or decode(*arguments))
    model = VideoModel(Saved((Network(SOUND), Network(SOUND)), (HeadWeights(1, 1),) * 2, CLASSES), SERVED)
    model.predict(DataFrame({"clip": [str(films["low"]), str(films["mute"])]}))
    assert len(decoded) == 2
