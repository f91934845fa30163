from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.pretrained import widen_heads
from tasks.learn.networks.spec import ClassNames
from tasks.options import Consensus
from tests.learn.tiny import assert_resumes, kept_job, tiny

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


def test_a_training_of_a_grown_network_goes_on_where_it_was_cut_off(clips, tmp_path: Path):
    # Classes beyond those that the start has.
    labelled = [replace(clip, verb=clip.verb + 4, noun=clip.noun + 4) for clip in clips]

    def grown(name: str):
        planned = kept_job(tmp_path / name, labelled, epochs=2)
        return replace(planned, network=widen_heads(planned.network, 7, 6, seed=0), classes=CLASSES)

    assert load(assert_resumes(grown, 0).best).network.spec.num_verbs == 7
