import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.model.heads import HEADS
from tasks.model.spec import CONSENSUS_OF_HEADS, Consensus, NetworkSpec

NUM_FEATURES = 24


def head_of(consensus: Consensus, num_segments: int) -> torch.nn.Module:
    """A head with logits of the size that a trained one has."""
    spec = NetworkSpec(backbone="none", num_segments=num_segments, consensus=consensus, num_verbs=5, num_nouns=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = HEADS[consensus](NUM_FEATURES, spec).eval()
        for name, parameter in head.named_parameters():
            if name.startswith("fc_"):
                torch.nn.init.normal_(parameter, std=0.3)
    return head


def seen(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(2, *shape, NUM_FEATURES, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("consensus", CONSENSUS_OF_HEADS.values())
@given(num_segments=st.integers(2, 64), seed=st.integers(0, 99))
@torch.inference_mode()
def test_a_chosen_head_answers_otherwise_to_the_reverse(consensus, num_segments, seed):
    head, features = head_of(consensus, num_segments), seen(seed, num_segments)
    for one, other in zip(head(features), head(features.flip(1)), strict=True):
        assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("consensus", CONSENSUS_OF_HEADS.values())
@given(num_segments=st.integers(1, 64), seed=st.integers(0, 99))
@torch.inference_mode()
def test_a_chosen_head_answers_to_each_clip_by_itself_and_whatever_the_scale_of_the_features(consensus, num_segments, seed):
    head, features = head_of(consensus, num_segments), seen(seed, num_segments)
    together = head(features)
    for answer in (head(100 * features), *(type(together)(*map(torch.cat, zip(*(head(one[None]) for one in features), strict=True))),)):
        assert torch.allclose(answer if isinstance(answer, torch.Tensor) else answer.verb, together.verb, atol=1e-3)


@pytest.mark.parametrize("num_segments", [2, 3, 8, 20, 64])
def test_every_segment_of_a_clip_reaches_the_tcns_last_block_at_each_place(num_segments):
    head = head_of(Consensus.TCN, num_segments)
    segments = torch.randn(1, 128, num_segments, requires_grad=True)
    head.blocks(segments)[0, :, num_segments // 2].sum().backward()
    assert (segments.grad.abs().sum((0, 1)) > 0).all()
