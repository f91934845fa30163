import numpy as np
import pytest
import torch

from tasks.learn.engines.engine import example_view, prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import BetweenClips, Scorer, SharedFeatures
from tasks.learn.inputs.snippets import WindowGrid, frames_in_test, further_frames, snippets_in_test
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.options import Consensus, Family, Modality
from tests.learn.tiny import CLASSES, network_of, scorer_of, snippets_of, tiny, tiny_video_network

GRID = WindowGrid(8, 2)
NUM_LAST = 5
SPECS = {
    "TSN": tiny(num_segments=4),
    "TSN of three segments": tiny(num_segments=3),
    "TSN of the middle half": tiny(num_segments=4, sampling_window=0.5),
    "TRN": tiny(Family.TRN, num_segments=4),
    "TSM": tiny(Family.TSM, num_segments=4),
    "difference": tiny(modality=Modality.RGB_DIFFERENCE),
}


@pytest.fixture(scope="module")
def film():
    """Frames of two clips and of a rest of another."""
    return np.random.default_rng(0).integers(0, 256, (2 * GRID.clip_frames + NUM_LAST, 256, 256, 3), np.uint8)


def pytorch_scorer_of(*specs, weights=None):
    return Scorer(tuple(PytorchEngine(prepare(Network(spec)), 1) for spec in specs), weights or (HeadWeights(1, 1),))


def num_seen(spec, film, stride):
    """Counts the pictures that go through the backbone where windows slide over two clips."""
    scorer, counts = pytorch_scorer_of(spec), []
    (engine,) = scorer.engines
    run = engine.features
    engine.features = lambda views: (counts.append(sum(map(len, views))), run(views))[1]
    slid(scorer, film[: 2 * GRID.clip_frames], WindowGrid(GRID.clip_frames, stride))
    return sum(counts)


def slid(scorer, film, grid=GRID):
    """The logits of all windows of a film by the frame at which they begin; clips and what is between them."""
    between, answers, before = BetweenClips(scorer, grid), {}, None
    for start in range(0, len(film), grid.clip_frames):
        clip = film[start : start + grid.clip_frames]
        specs = [engine.network.spec for engine in scorer.engines]
        features = scorer.see([snippets_in_test(clip[list(frames_in_test(len(clip), spec))], spec) for spec in specs])
        noted = between.note(len(clip), features, [clip[list(further_frames(len(clip), spec, grid))] for spec in specs])
        if before:
            answers |= {start - grid.clip_frames + offset: logits for offset, logits in between.logits(before, noted, len(clip))}
        answers[start], before = scorer.answer(features), noted
    return answers


def cut_there(scorer, frames):
    """The logits of frames that are a clip of their own."""
    specs = [engine.network.spec for engine in scorer.engines]
    return scorer.score([snippets_in_test(frames[list(frames_in_test(len(frames), spec))], spec) for spec in specs])


def assert_scored_as_cut(scorer, film):
    windows = slid(scorer, film)
    assert sorted(windows) == [0, 2, 4, 6, 8, 10, 12, 16]
    for start, logits in windows.items():
        for ours, theirs in zip(logits, cut_there(scorer, film[start : start + GRID.clip_frames]), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_window_is_scored_as_a_clip_that_is_cut_there(film, spec):
    assert_scored_as_cut(pytorch_scorer_of(spec), film)


@pytest.mark.slow
def test_a_window_is_scored_as_a_clip_by_a_video_network_and_by_a_fusion(film):
    with tiny_video_network() as video:
        assert_scored_as_cut(pytorch_scorer_of(tiny(backbone=video.name, num_segments=video.num_views)), film)
    assert_scored_as_cut(pytorch_scorer_of(SPECS["TSN"], SPECS["difference"], weights=(HeadWeights(3, 1), HeadWeights(1, 1))), film)


def test_the_backbone_sees_each_frame_once_and_no_more_than_windows_need(film):
    assert [num_seen(SPECS["TSN"], film, stride) for stride in (8, 2)] == [8, 8], "at a quarter of a clip none more than at a whole one"
    # Four of each clip's own and four others, where four windows of four frames begin in each.
    assert num_seen(SPECS["TSN of the middle half"], film, 2) == 2 * (4 + 4)


@pytest.fixture
def shared(tmp_path):
    def call(network, wanted="pytorch", num_crops=1):
        scorer, used = scorer_of(Saved((network,), (HeadWeights(1, 1),), CLASSES), wanted, num_crops)
        return SharedFeatures(tmp_path, scorer, used, ["clip", "other"]), scorer

    return call


def keep(features: SharedFeatures, clip) -> None:
    features.score("clip", [clip])
    features.close()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "changes"), [(Family.TSN, {}), (Family.TRN, {}), (Family.TSM, {"consensus": Consensus.TCN})])
def test_another_head_answers_from_kept_features_as_it_would_from_frames(shared, family, changes):
    first, scorer = shared(network_of(family, **changes), num_crops=10)
    frames = snippets_of(tiny(num_segments=3))
    assert first.known("clip") is None
    answer = first.score("clip", [frames])
    first.close()
    for logits in (answer, scorer.answer(first.known("clip"))):
        torch.testing.assert_close(logits, scorer.score([frames]), rtol=0, atol=0)
    second, scorer = shared(network_of(family, head_seed=3, **changes), num_crops=10)
    torch.testing.assert_close(scorer.answer(second.known("clip")), scorer.score([frames]), rtol=0, atol=0)
    assert second.known("other") is None


@pytest.mark.slow
@pytest.mark.parametrize("choice", [{"num_crops": 10}, {"wanted": "openvino"}], ids=["crops", "engine"])
def test_features_of_other_crops_or_another_engine_are_not_taken(shared, choice):
    first, _ = shared(network_of())
    keep(first, snippets_of(tiny(num_segments=3)))
    assert first.known("clip") is not None
    assert shared(network_of(), **choice)[0].known("clip") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "name", "value"),
    [
        ({"modality": Modality.FLOW}, "engines.cached_features.VIEWS_VERSION", 0),
        ({"modality": Modality.FLOW}, "engines.cached_features.flow_recipe_of", lambda options: "other"),
        ({"modality": Modality.SOUND, "backbone": "log-mel"}, "inputs.sound_features.VERSION", 0),
    ],
    ids=["crops", "flow", "sound"],
)
def test_features_of_another_version_of_crops_flow_or_described_sound_are_not_taken(shared, monkeypatch, spec, name, value):
    network = network_of(**spec)
    first, _ = shared(network)
    keep(first, example_view(network.spec).numpy() if network.spec.sound else snippets_of(network.spec))
    assert first.known("clip") is not None
    monkeypatch.setattr(f"tasks.learn.{name}", value)
    assert shared(network_of(**spec))[0].known("clip") is None


@pytest.mark.slow
def test_a_disk_without_room_costs_the_sharing_alone(shared, monkeypatch, caplog):
    monkeypatch.setattr("tasks.learn.inputs.features.shortage", lambda folder, size_bytes: "0.1 GiB are needed, and 0.0 GiB are free")
    features, scorer = shared(network_of())
    clip = snippets_of(tiny(num_segments=3))
    assert "features are not shared between networks" in caplog.text
    torch.testing.assert_close(features.score("clip", [clip]), scorer.score([clip]))
    assert features.known("clip") is None
