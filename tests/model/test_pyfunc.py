"""What a registered fusion makes of a clip by itself is what the steps make of it."""

import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tasks.errors import BadInput, BadVideo
from tasks.media import frame_cache
from tasks.model.checkpoints import HeadWeights, Saved
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.engines.scorer import Scorer
from tasks.model.network import Network
from tasks.model.pyfunc import ClipModel
from tasks.model.snippets import read_tested
from tasks.options import Modality
from tasks.video.ffmpeg import find_ffmpeg
from tasks.video.frames import read_frames
from tasks.video.memory import undivided
from tasks.video.probe import count_frames
from tests.media.conftest import threads_decode
from tests.model.tiny import CLASSES, tiny
from tests.steps.shelf import Shelf

__all__ = ["threads_decode"]

SPECS = [
    tiny(num_segments=3, **changes)
    for changes in ({}, {"modality": Modality.RGB_DIFFERENCE}, {"modality": Modality.FLOW, "flow": {"flow_method": "dis"}})
]
WEIGHTS = (HeadWeights(0.2, 0.5), HeadWeights(0.3, 0.1), HeadWeights(0.5, 0.4))


def saved():
    return Saved(tuple(Network(spec, seed) for seed, spec in enumerate(SPECS)), WEIGHTS, CLASSES)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A moving picture of a second."""
    path = tmp_path_factory.mktemp("clip") / "0000.mp4"
    drawn = ["-f", "lavfi", "-i", "testsrc2=size=340x256:rate=30:duration=1", "-pix_fmt", "yuv420p"]
    subprocess.run([str(find_ffmpeg(None)), "-v", "error", *drawn, str(path)], check=True)
    return path


@pytest.mark.slow
def test_frames_flow_crops_and_fusion_are_those_of_an_evaluation_of_a_path_and_of_bytes(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path))
    store, uri = Shelf(), "s3://retake/clips/v/r/0000.mp4"
    store.write_file(uri, clip)
    height, width, _ = read_frames(clip, [0], short_side=None)[0].shape
    num_frames = count_frames(clip, memory=undivided())
    stored = SimpleNamespace(uid="c", uri=uri, sha256="0" * 64, width=width, height=height, num_frames=num_frames)
    inputs = [read_tested(frame_cache.cache_test_frames(store, [stored], spec)["c"], spec) for spec in SPECS]
    scorer = Scorer(tuple(PytorchEngine(prepare(network), 10) for network in saved().networks), WEIGHTS)
    verb, noun = scorer.score(inputs)
    answer, of_bytes = ClipModel(saved()).predict([str(clip), clip.read_bytes()]).to_dict("records")
    assert answer == of_bytes
    assert answer["verb_logits"] == pytest.approx(verb.tolist(), abs=1e-5)
    assert answer["noun_logits"] == pytest.approx(noun.tolist(), abs=1e-5)
    assert answer["verb"] == CLASSES.verbs[int(verb.argmax())]
    assert answer["noun_class"] == int(noun.argmax())
    assert answer["verb_probability"] == pytest.approx(float(verb.softmax(0).max()))
    # Networks that were taught verbs alone name no noun.
    alone = ClipModel(replace(saved(), classes=CLASSES.model_copy(update={"has_objects": False})))
    (verb_alone,) = alone.predict([str(clip)]).to_dict("records")
    assert verb_alone == {name: value for name, value in answer.items() if name.startswith("verb")}


def test_a_clip_that_cannot_be_read_is_named(shared):
    model = ClipModel(saved())
    with pytest.raises(BadInput, match=r"nowhere\.mp4: no such file"):
        model.predict(["/nowhere.mp4"])
    with pytest.raises(BadVideo, match=r"zero_byte\.mp4: the file is empty"):
        model.predict([str(shared / "videos" / "odd" / "zero_byte.mp4")])
