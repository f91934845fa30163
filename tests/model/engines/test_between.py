import numpy as np
import pytest
import torch

from tasks.model.checkpoints import HeadWeights
from tasks.model.engines.between import BetweenClips
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.engines.scorer import Scorer
from tasks.model.network import Network
from tasks.model.sampling import frames_in_test
from tasks.model.snippets import snippets_in_test
from tasks.model.spec import Consensus, NetworkSpec
from tasks.model.windows import WindowGrid, further_frames
from tasks.options import Modality
from tests.model.tiny_video import tiny_video_network

GRID = WindowGrid(16, 4)
NUM_LAST = 9
SPECS = {
    "TSN": NetworkSpec(backbone="test_resnet", num_segments=4),
    "TSN of three segments": NetworkSpec(backbone="test_resnet", num_segments=3),
    "TSN of the middle half": NetworkSpec(backbone="test_resnet", num_segments=4, sampling_window=0.5),
    "TRN": NetworkSpec(backbone="test_resnet", num_segments=4, consensus=Consensus.RELATION),
    "TSM": NetworkSpec(backbone="test_resnet", num_segments=4, temporal_shift=True),
    "difference": NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.RGB_DIFFERENCE),
}


@pytest.fixture(scope="module")
def film():
    """Frames of two clips and of a rest of another."""
    return np.random.default_rng(0).integers(0, 256, (2 * GRID.clip_frames + NUM_LAST, 256, 256, 3), np.uint8)


def engine_of(spec):
    return PytorchEngine(prepare(Network(spec)), 1)


def counted(engine):
    """Counts the pictures that go through the backbone of an engine."""
    counts = []
    run = engine.features
    engine.features = lambda views: (counts.append(sum(map(len, views))), run(views))[1]
    return counts


def slid(scorer, film, grid=GRID):
    """The logits of all windows of a film by the frame at which they begin; clips and what is between them."""
    between, found, before = BetweenClips(scorer, grid), {}, None
    for start in range(0, len(film), grid.clip_frames):
        clip = film[start : start + grid.clip_frames]
        specs = [engine.network.spec for engine in scorer.engines]
        features = scorer.see([snippets_in_test(clip[list(frames_in_test(len(clip), spec))], spec) for spec in specs])
        noted = between.note(len(clip), features, [clip[list(further_frames(len(clip), spec, grid))] for spec in specs])
        if before:
            found |= {start - grid.clip_frames + offset: logits for offset, logits in between.logits(before, noted, len(clip))}
        found[start], before = scorer.answer(features), noted
    return found


def cut_there(scorer, frames):
    """The logits of frames that are a clip of their own."""
    specs = [engine.network.spec for engine in scorer.engines]
    return scorer.score([snippets_in_test(frames[list(frames_in_test(len(frames), spec))], spec) for spec in specs])


def assert_scored_as_cut(scorer, film):
    found = slid(scorer, film)
    assert sorted(found) == [0, 4, 8, 12, 16, 20, 24, 32]
    for start, logits in found.items():
        for one, other in zip(logits, cut_there(scorer, film[start : start + GRID.clip_frames]), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_window_is_scored_as_a_clip_that_is_cut_there(film, spec):
    scorer = Scorer((engine_of(spec),), (HeadWeights(1, 1),))
    assert_scored_as_cut(scorer, film)


def test_a_window_is_scored_as_a_clip_by_a_video_network(film):
    with tiny_video_network() as video:
        spec = NetworkSpec(backbone=video.name, num_segments=video.num_views)
        assert_scored_as_cut(Scorer((engine_of(spec),), (HeadWeights(1, 1),)), film)


def test_a_fusion_is_scored_as_on_a_clip_that_is_cut_there(film):
    members = (engine_of(SPECS["TSN"]), engine_of(SPECS["difference"]))
    scorer = Scorer(members, (HeadWeights(3, 1), HeadWeights(1, 1)))
    logits = slid(scorer, film)[20]
    for one, other in zip(logits, cut_there(scorer, film[20:36]), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_at_a_quarter_of_a_clip_the_backbone_sees_no_frame_more_than_at_a_whole_one(film):
    whole = film[: 2 * GRID.clip_frames]
    counts = {}
    for stride in (16, 4):
        engine = engine_of(SPECS["TSN"])
        seen = counted(engine)
        slid(Scorer((engine,), (HeadWeights(1, 1),)), whole, WindowGrid(16, stride))
        counts[stride] = sum(seen)
    assert counts == {16: 8, 4: 8}


def test_where_windows_need_other_frames_the_backbone_sees_each_once(film):
    engine = engine_of(SPECS["TSN of the middle half"])
    seen = counted(engine)
    slid(Scorer((engine,), (HeadWeights(1, 1),)), film[: 2 * GRID.clip_frames])
    assert sum(seen) == 2 * (4 + 4), "four of each clip's own and four others, where four windows of four frames begin in each"
