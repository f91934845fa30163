"""Multi-scale relations beside a plain reading of the published code."""

from itertools import combinations

import numpy as np
import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.consensus import MultiscaleRelation
from tasks.learn.spec import Consensus, NetworkSpec

NUM_FEATURES, NUM_SEGMENTS = 16, 5


def make(num_segments=NUM_SEGMENTS, **options) -> MultiscaleRelation:
    """A head with logits of the size that a trained one has."""
    spec = NetworkSpec(
        backbone="none", num_segments=num_segments, consensus=Consensus.MULTISCALE_RELATION, num_verbs=6, num_nouns=4, **options
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = MultiscaleRelation(NUM_FEATURES, spec)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return head


def published(head: MultiscaleRelation, features: torch.Tensor, draw) -> list[torch.Tensor]:
    """The published function: `draw(number of relations, number drawn)` gives the relations of a scale."""
    reduced, consensus = head.new_fc(features), head.consensus
    totals = [torch.zeros(len(features), 6), torch.zeros(len(features), 4)]
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
    head = make(num_segments=3)
    features = torch.randn(2, 3, NUM_FEATURES)
    for mode in (True, False):
        for ours, theirs in zip(head.train(mode)(features), published(head, features, lambda num, k: range(num)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_over_all_relations_it_is_the_mean_of_the_published_codes_random_draws(features):
    head = make().eval()
    rng = np.random.default_rng(0)
    draws = [published(head, features, lambda num, k: rng.choice(num, k, replace=False)) for _ in range(400)]
    for ours, theirs in zip(head(features), map(torch.stack, zip(*draws, strict=True)), strict=True):
        error = theirs.std(0) / 400**0.5
        assert ((ours - theirs.mean(0)).abs() < 5 * error + 1e-4).all()
        assert (theirs.std(0) > 1e-2).any(), "one draw differs from another, or the mean shows nothing"


@torch.inference_mode()
def test_a_number_of_draws_follows_from_the_seed_and_comes_nearer_to_all_with_more(features):
    def verbs(**options):
        return make(**options).eval()(features).verb

    everything = verbs()
    assert torch.equal(verbs(relation_draws=4, relation_seed=1), verbs(relation_draws=4, relation_seed=1))
    assert not torch.equal(verbs(relation_draws=4, relation_seed=1), verbs(relation_draws=4, relation_seed=2))
    few, many = ((verbs(relation_draws=num, relation_seed=1) - everything).abs().mean() for num in (1, 1000))
    assert many < few / 5


@torch.inference_mode()
def test_training_draws_anew_each_time_from_torchs_generator(features):
    head = make().train()
    first, second = head(features).verb, head(features).verb
    assert not torch.equal(first, second)


def test_one_segment_has_no_relation():
    with pytest.raises(BadConfiguration, match="num_segments to 2 or more"):
        make(num_segments=1)
