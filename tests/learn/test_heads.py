import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.learn.heads import HEADS
from tasks.learn.spec import CONSENSUS_OF_HEADS, Consensus, NetworkSpec
from tests.learn.tiny import tiny

NUM_FEATURES, NUM_PATCHES = 24, 5

each_chosen_head = pytest.mark.parametrize("consensus", CONSENSUS_OF_HEADS.values())


def head_of(consensus: Consensus, num_segments: int) -> torch.nn.Module:
    """A head with logits of the size that a trained one has."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = HEADS[consensus](NUM_FEATURES, tiny(num_segments=num_segments, consensus=consensus)).eval()
        for name, parameter in head.named_parameters():
            if name.startswith("fc_"):
                torch.nn.init.normal_(parameter, std=0.3)
    return head


def seen(consensus: Consensus, num_segments: int, seed: int) -> torch.Tensor:
    patches = (NUM_PATCHES,) if NetworkSpec(backbone="none", consensus=consensus).sees_patches else ()
    return torch.randn(2, num_segments, *patches, NUM_FEATURES, generator=torch.Generator().manual_seed(seed))


@each_chosen_head
@settings(max_examples=30)
@given(num_segments=st.integers(1, 64), seed=st.integers(0, 99))
@torch.inference_mode()
def test_a_chosen_head_sees_order_and_each_clip_by_itself_whatever_the_scale_of_the_features(consensus, num_segments, seed):
    head, features = head_of(consensus, num_segments), seen(consensus, num_segments, seed)
    together = head(features).verb
    torch.testing.assert_close(torch.cat([head(clip[None]).verb for clip in features]), together, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(head(100 * features).verb, together, atol=1e-3, rtol=1e-3)
    for forth, back in zip(head(features), head(features.flip(1)), strict=True):
        assert num_segments == 1 or (forth - back).abs().max() > 1e-3


@settings(max_examples=30)
@given(num_segments=st.integers(1, 16), seed=st.integers(0, 99), order=st.permutations(range(NUM_PATCHES)))
@torch.inference_mode()
def test_the_attentive_head_answers_alike_wherever_in_the_image_a_patch_is(num_segments, seed, order):
    head, features = head_of(Consensus.ATTENTIVE, num_segments), seen(Consensus.ATTENTIVE, num_segments, seed)
    for logits, others in zip(head(features), head(features[:, :, list(order)]), strict=True):
        torch.testing.assert_close(logits, others, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("num_segments", [2, 3, 8, 20, 64])
def test_every_segment_of_a_clip_reaches_the_tcns_last_block_at_each_place(num_segments):
    head = head_of(Consensus.TCN, num_segments)
    segments = torch.randn(1, 128, num_segments, requires_grad=True)
    head.blocks(segments)[0, :, num_segments // 2].sum().backward()
    assert (segments.grad.abs().sum((0, 1)) > 0).all()
