"""What a scorer's first network sees beside its answer: of one network and of several, in one crop and in ten."""

import pytest
import torch

from tasks.model.checkpoints import HeadWeights
from tasks.model.crops import cut_views
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.engines.scorer import Scorer
from tasks.options import Family, Modality
from tests.model.engines.test_family import network_of, snippets_for

pytestmark = pytest.mark.slow


def scorer_of(num_crops, *networks):
    return Scorer(
        tuple(PytorchEngine(prepare(network), num_crops) for network in networks), (HeadWeights(1, 3), HeadWeights(3, 1))[: len(networks)]
    )


@pytest.mark.parametrize("num_crops", [1, 10])
def test_the_answer_is_that_of_scoring_alone(num_crops):
    scorer = scorer_of(num_crops, network_of(), network_of(Family.TRN, Modality.FLOW, seed=2))
    inputs = [snippets_for(engine.network.spec) for engine in scorer.engines]
    logits, _ = scorer.score_and_see(inputs)
    alone = scorer.score(inputs)
    assert torch.equal(logits.verb, alone.verb)
    assert torch.equal(logits.noun, alone.noun)


@pytest.mark.parametrize("num_crops", [1, 10])
def test_what_is_seen_is_the_centre_of_the_first_network(num_crops):
    scorer = scorer_of(num_crops, network_of(), network_of(Family.TRN, Modality.FLOW, seed=2))
    first = scorer.engines[0]
    inputs = [snippets_for(engine.network.spec) for engine in scorer.engines]
    views = cut_views(inputs[0], num_crops, Modality.RGB)
    centre = first.features([views[8 if num_crops == 10 else 0]])[0].mean(dim=0)
    _, seen = scorer.score_and_see(inputs)
    assert seen.shape == centre.shape
    torch.testing.assert_close(seen, centre)
