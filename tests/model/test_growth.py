from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.model.checkpoints import load, save
from tasks.model.class_names import ClassNames
from tasks.model.engines.engine import prepare
from tasks.model.export import export_module
from tasks.model.growth import widen_heads
from tasks.model.job import TrainJob
from tasks.model.network import Network, weights_sha256
from tasks.model.spec import CONSENSUS_OF_HEADS, FAMILIES, Consensus, NetworkSpec
from tasks.model.training import fit
from tasks.options import TrainOptions
from tests.model.test_training import OPTIONS, Stop, same_files, scores, stop_after

CLASSES = ClassNames(verbs=tuple("abcdefg"), nouns=tuple("uvwxyz"))


PARTS = [*FAMILIES.values(), *((consensus, False) for consensus in CONSENSUS_OF_HEADS.values())]


def small(consensus: Consensus, temporal_shift: bool) -> Network:
    spec = NetworkSpec(backbone="test_resnet", num_segments=3, consensus=consensus, temporal_shift=temporal_shift, num_verbs=5, num_nouns=4)
    network = Network(spec, seed=1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(0.01 * (1 + len(name) % 7))
    return network


@pytest.mark.parametrize(("consensus", "temporal_shift"), PARTS)
def test_known_rows_are_copied_and_new_ones_follow_from_the_seed(consensus, temporal_shift):
    network = small(consensus, temporal_shift)
    wider, again, other = widen_heads(network, 7, 6, seed=3), widen_heads(network, 7, 6, seed=3), widen_heads(network, 7, 6, seed=4)
    assert (wider.spec.num_verbs, wider.spec.num_nouns) == (7, 6)
    assert weights_sha256(wider) == weights_sha256(again) != weights_sha256(other)
    widened = set()
    for name, tensor in network.state_dict().items():
        found, unlike = wider.state_dict()[name], other.state_dict()[name]
        if tensor.ndim:
            found, new, newer = found[: len(tensor)], found[len(tensor) :], unlike[len(tensor) :]
            widened |= {name} if len(new) else set()
            if new.ndim == 2 and len(new):
                assert not torch.equal(new, newer)
        assert torch.equal(found, tensor), name
    # Weights and biases of both classifiers, of each scale where there are several.
    assert len(widened) == (8 if consensus is Consensus.MULTISCALE_RELATION else 4)


@pytest.mark.parametrize(("consensus", "temporal_shift"), PARTS)
def test_known_classes_have_the_logits_that_they_had(consensus, temporal_shift):
    network = small(consensus, temporal_shift).eval()
    snippets = torch.rand(2, 3, 3, 224, 224)
    with torch.inference_mode():
        before, after = network(snippets), widen_heads(network, 7, 4, seed=3).eval()(snippets)
    torch.testing.assert_close(after.verb[:, :5], before.verb)
    torch.testing.assert_close(after.noun, before.noun)


def test_a_network_with_outputs_enough_stays_as_it_is(tiny_network):
    assert widen_heads(tiny_network, 5, 4, seed=3) is tiny_network
    assert widen_heads(tiny_network, 2, 3, seed=3) is tiny_network


@pytest.mark.slow
def test_a_grown_network_is_saved_read_and_exported_with_all_its_outputs(tiny_network, tmp_path):
    wider = widen_heads(tiny_network, 7, 6, seed=3)
    save(tmp_path / "wider.pt", wider, CLASSES)
    saved = load(tmp_path / "wider.pt")
    assert saved.classes == CLASSES
    module, frames = export_module(prepare(saved.network))
    program = torch.export.export(module, (frames,))
    verb, noun = program.module()(frames)
    assert (verb.shape, noun.shape) == ((2, 7), (2, 6))


@pytest.mark.parametrize(
    "choice",
    [pytest.param({}, marks=pytest.mark.slow), {"trainable": "heads", "feature_variants": 2}],
    ids=["whole network", "kept features"],
)
def test_a_training_of_a_grown_network_goes_on_where_it_was_cut_off(clips, tmp_path: Path, choice):
    options = TrainOptions.model_validate(OPTIONS.model_dump() | choice)
    # Classes beyond those that the start has.
    labelled = [replace(clip, verb=clip.verb + 4, noun=clip.noun + 4) for clip in clips]

    def job(folder: Path) -> TrainJob:
        spec = NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=5, num_nouns=4)
        network = widen_heads(Network(spec, seed=1), 7, 6, seed=0)
        return TrainJob(network, CLASSES, labelled[:4], labelled[4:], options, folder, device="cpu", features=tmp_path / "features")

    undisturbed = fit(job(tmp_path / "whole"))
    with pytest.raises(Stop):
        fit(job(tmp_path / "cut"), on_epoch=stop_after(1))
    resumed = fit(job(tmp_path / "cut"))
    assert scores(resumed) == scores(undisturbed)
    same_files(tmp_path / "cut", tmp_path / "whole")
    assert load(resumed.best).network.spec.num_verbs == 7
