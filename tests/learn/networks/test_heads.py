"""Multi-scale relations beside a plain reading of the published code."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadConfiguration
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.heads import HEADS
from tasks.learn.networks.network import Network, weights_sha256, widen_heads
from tasks.learn.networks.spec import ClassNames
from tasks.learn.training.fit import fit
from tasks.options import Consensus
from tests.learn.tiny import kept_job, tiny

NUM_FEATURES, NUM_SEGMENTS = 24, 5


def head_of(consensus: Consensus = Consensus.MULTISCALE_RELATION, num_segments: int = NUM_SEGMENTS, **options) -> torch.nn.Module:
    """A head with logits of the size that a trained one has."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = HEADS[consensus](NUM_FEATURES, tiny(num_segments=num_segments, consensus=consensus, **options)).eval()
        for name, parameter in head.named_parameters():
            if consensus is Consensus.MULTISCALE_RELATION or name.startswith("fc_"):
                torch.nn.init.normal_(parameter, std=0.25)
    return head


def published(head: torch.nn.Module, features: torch.Tensor, draw) -> list[torch.Tensor]:
    """The published function: `draw(number of relations, number drawn)` gives the relations of a scale."""
    reduced, consensus = head.new_fc(features), head.consensus
    totals = [torch.zeros(len(features), 5), torch.zeros(len(features), 4)]
    for scale, size in enumerate(range(features.shape[1], 1, -1)):
        relations = list(combinations(range(features.shape[1]), size))
        for number in draw(len(relations), min(3, len(relations))):
            related = consensus["fc_fusion_scales"][scale](reduced[:, list(relations[number])].flatten(1))
            for total, classifier in zip(totals, consensus["classifiers"][max(0, scale - 1)], strict=True):
                total += classifier(related)
    return totals


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(3, NUM_SEGMENTS, NUM_FEATURES, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_with_every_relation_drawn_it_is_the_published_function():
    """Of 3 segments there are never more than 3 relations of a size, so that nothing is left to chance."""
    head = head_of(num_segments=3)
    features = torch.randn(2, 3, NUM_FEATURES)
    for mode in (True, False):
        for ours, theirs in zip(head.train(mode)(features), published(head, features, lambda num, k: range(num)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_over_all_relations_it_is_the_mean_of_the_published_codes_random_draws(features):
    head = head_of()
    rng = np.random.default_rng(0)
    draws = [published(head, features, lambda num, k: rng.choice(num, k, replace=False)) for _ in range(400)]
    for ours, theirs in zip(head(features), map(torch.stack, zip(*draws, strict=True)), strict=True):
        error = theirs.std(0) / 400**0.5
        assert ((ours - theirs.mean(0)).abs() < 5 * error + 1e-4).all()
        assert (theirs.std(0) > 1e-2).any(), "one draw differs from another, or the mean shows nothing"


@torch.inference_mode()
def test_a_number_of_draws_follows_from_the_seed_and_comes_nearer_to_all_with_more(features):
    def verbs(**options):
        return head_of(**options)(features).verb

    everything = verbs()
    assert torch.equal(verbs(relation_draws=4, relation_seed=1), verbs(relation_draws=4, relation_seed=1))
    assert not torch.equal(verbs(relation_draws=4, relation_seed=1), verbs(relation_draws=4, relation_seed=2))
    few, many = ((verbs(relation_draws=num, relation_seed=1) - everything).abs().mean() for num in (1, 1000))
    assert many < few / 5


@torch.inference_mode()
def test_training_draws_anew_each_time_from_torchs_generator(features):
    head = head_of().train()
    first, second = head(features).verb, head(features).verb
    assert not torch.equal(first, second)


def test_one_segment_has_no_relation():
    with pytest.raises(BadConfiguration, match="num_segments to 2 or more"):
        head_of(num_segments=1)


@settings(max_examples=30)
@given(num_segments=st.integers(1, 64), seed=st.integers(0, 99))
@torch.inference_mode()
def test_the_tcn_sees_order_and_each_clip_by_itself_whatever_the_scale_of_the_features(num_segments, seed):
    features = torch.randn(2, num_segments, NUM_FEATURES, generator=torch.Generator().manual_seed(seed))
    head = head_of(Consensus.TCN, num_segments)
    together = head(features).verb
    torch.testing.assert_close(torch.cat([head(clip[None]).verb for clip in features]), together, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(head(100 * features).verb, together, atol=1e-3, rtol=1e-3)
    for forth, back in zip(head(features), head(features.flip(1)), strict=True):
        assert num_segments == 1 or (forth - back).abs().max() > 1e-3


@pytest.mark.parametrize("num_segments", [2, 3, 8, 20, 64])
def test_every_segment_of_a_clip_reaches_the_tcns_last_block_at_each_place(num_segments):
    head = head_of(Consensus.TCN, num_segments)
    segments = torch.randn(1, 128, num_segments, requires_grad=True)
    head.blocks(segments)[0, :, num_segments // 2].sum().backward()
    assert (segments.grad.abs().sum((0, 1)) > 0).all()


CLASSES = ClassNames(verbs=tuple("abcdefg"), nouns=tuple("uvwxyz"))


@pytest.mark.parametrize("consensus", Consensus)
def test_known_rows_are_copied_with_their_logits_and_new_ones_follow_from_the_seed(consensus):
    network = Network(tiny(num_segments=3, consensus=consensus), seed=1).eval()
    with torch.no_grad():
        for name, tensor in network.head.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(0.01 * (1 + len(name) % 7))
    wider, again, other = widen_heads(network, 7, 6, seed=3), widen_heads(network, 7, 6, seed=3), widen_heads(network, 7, 6, seed=4)
    assert (wider.spec.num_verbs, wider.spec.num_nouns) == (7, 6)
    assert weights_sha256(wider) == weights_sha256(again) != weights_sha256(other)
    widened = set()
    for name, tensor in network.state_dict().items():
        ours, theirs = wider.state_dict()[name], other.state_dict()[name]
        if tensor.ndim:
            new, otherwise, ours = ours[len(tensor) :], theirs[len(tensor) :], ours[: len(tensor)]
            widened |= {name} if len(new) else set()
            assert not (new.ndim == 2 and len(new) and torch.equal(new, otherwise))
        assert torch.equal(ours, tensor), name
    # Weights and biases of both classifiers, of each scale where there are several.
    assert len(widened) == (8 if consensus is Consensus.MULTISCALE_RELATION else 4)
    snippets = torch.rand(2, 3, 3, 224, 224)
    with torch.inference_mode():
        before, after = network(snippets), widen_heads(network, 7, 4, seed=3).eval()(snippets)
    torch.testing.assert_close(after.verb[:, :5], before.verb)
    torch.testing.assert_close(after.noun, before.noun)
    assert widen_heads(network, 5, 4, seed=3) is widen_heads(network, 2, 3, seed=3) is network, "it has outputs enough"


def test_a_grown_network_is_trained_on_classes_that_its_start_lacks(clips, tmp_path: Path):
    labelled = [replace(clip, verb=clip.verb + 4, noun=clip.noun + 4) for clip in clips]
    planned = kept_job(tmp_path / "run", labelled, epochs=1)
    outcome = fit(replace(planned, network=widen_heads(planned.network, 7, 6, seed=0), classes=CLASSES))
    assert load(outcome.best).network.spec.num_verbs == 7
