import pytest
import torch
from torch.nn import functional

from tasks.model.consensus import Logits
from tasks.model.data import NO_LABEL, Sample
from tasks.model.epochs import Scores
from tasks.model.module import ActionModule, HeadModule, Means
from tasks.model.network import Network


def statistics_that_move(network: Network, **choice) -> list[str]:
    module = ActionModule(network, learning_rate=1e-3, **choice)
    module.eval()
    module.train()
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    with torch.no_grad():
        network(torch.randn(2, 2, 3, 64, 64))
    return [name for name, tensor in network.named_buffers() if name.endswith("running_mean") and not torch.equal(tensor, before[name])]


def test_batch_norm_policies_say_whose_statistics_move(tiny_spec):
    every = statistics_that_move(Network(tiny_spec), trainable="all", batch_norm="train")
    assert len(every) > 2
    assert statistics_that_move(Network(tiny_spec), trainable="all", batch_norm="partial") == every[:1]
    assert statistics_that_move(Network(tiny_spec), trainable="all", batch_norm="frozen") == []
    assert statistics_that_move(Network(tiny_spec), trainable="heads", batch_norm="train") == []


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_a_step_changes_what_is_trained_and_nothing_else(tiny_network, trainable):
    module = ActionModule(tiny_network, learning_rate=1e-3, trainable=trainable, batch_norm="frozen").train()
    optimizer = module.configure_optimizers()
    before = {name: tensor.clone() for name, tensor in tiny_network.named_parameters()}
    logits = tiny_network(torch.randn(2, 2, 3, 64, 64))
    (logits.verb.square().sum() + logits.noun.square().sum()).backward()
    optimizer.step()
    moved = {name.split(".")[0] for name, tensor in tiny_network.named_parameters() if not torch.equal(tensor, before[name])}
    assert moved == ({"backbone", "head"} if trainable == "all" else {"head"})


def test_means_are_of_the_clips_that_count_and_an_action_is_right_when_verb_and_noun_are():
    means = Means()
    verb, noun = torch.eye(5)[[0, 1, 2, 3, 0]], torch.eye(4)[[0, 1, 2, 3, 0]]
    batch = Sample(torch.empty(5), torch.tensor([0, 1, 2, 0, NO_LABEL]), torch.tensor([0, 1, 0, 0, NO_LABEL]))
    losses = means.count(Logits(verb, noun), batch)
    found = Scores(*means.compute())
    assert [float(top1) for top1 in (found.verb_top1, found.noun_top1, found.action_top1)] == [0.75, 0.5, 0.5]
    verb_loss, noun_loss = functional.cross_entropy(verb[:4], batch.verb[:4]), functional.cross_entropy(noun[:4], batch.noun[:4])
    torch.testing.assert_close(found.verb_loss.float(), verb_loss)
    torch.testing.assert_close(found.noun_loss.float(), noun_loss)
    torch.testing.assert_close(found.loss.float(), verb_loss + noun_loss)
    torch.testing.assert_close(losses.sum() / 4, verb_loss + noun_loss)


def test_a_loss_that_is_not_a_number_shows():
    means = Means()
    means.count(Logits(torch.full((1, 5), torch.nan), torch.eye(4)[[0]]), Sample(torch.empty(1), torch.tensor([0]), torch.tensor([0])))
    assert means.compute()[0].isnan()


def test_the_heads_alone_are_no_part_of_a_backbone(tiny_network):
    module = HeadModule(tiny_network.head, learning_rate=1e-3)
    assert {name.split(".")[0] for name in module.state_dict()} == {"head"}
    features = torch.randn(2, 2, tiny_network.head.fc_verb.in_features)
    assert torch.equal(module.answer(features).noun, tiny_network.head(features).noun)
