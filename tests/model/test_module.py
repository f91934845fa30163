import pytest
import torch
from torch.nn import functional

from tasks.model.consensus import Logits
from tasks.model.data import NO_LABEL, Sample
from tasks.model.history import Scores
from tasks.model.losses import CrossEntropies
from tasks.model.module import ActionModule, HeadModule, Means, clips_of_step
from tasks.model.network import Network
from tasks.options import TrainOptions


def module_of(network: Network, **choice) -> ActionModule:
    return ActionModule(network, TrainOptions(**choice), [])


def statistics_that_move(network: Network, **choice) -> list[str]:
    module = module_of(network, **choice)
    module.eval()
    module.train()
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    with torch.no_grad():
        network(torch.randn(2, 2, 3, 64, 64))
    return [name for name, tensor in network.named_buffers() if name.endswith("running_mean") and not torch.equal(tensor, before[name])]


def test_batch_norm_policies_say_whose_statistics_move(tiny_spec):
    every = statistics_that_move(Network(tiny_spec), batch_norm="train")
    assert len(every) > 2
    assert statistics_that_move(Network(tiny_spec), batch_norm="partial") == every[:1]
    assert statistics_that_move(Network(tiny_spec), batch_norm="frozen") == []
    assert statistics_that_move(Network(tiny_spec), trainable="heads", batch_norm="train") == []


def test_what_is_frozen_rests_with_its_batch_norm(tiny_spec):
    last = [name for name in statistics_that_move(Network(tiny_spec), batch_norm="train") if name.startswith("backbone.layer4")]
    assert statistics_that_move(Network(tiny_spec), trainable="last-stage", batch_norm="train") == last
    assert statistics_that_move(Network(tiny_spec), trainable="last-stage", batch_norm="partial") == []
    module = module_of(Network(tiny_spec), trainable="last-stage", batch_norm="train").train()
    assert {name for name, child in module.network.backbone.named_children() if not child.training} == {
        "conv1", "bn1", "layer1", "layer2", "layer3"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("trainable", "moving"),
    [("all", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"}), ("last-stage", {"layer4", "head"}), ("heads", {"head"})],
)
def test_a_step_changes_what_is_trained_and_nothing_else(tiny_network, trainable, moving):
    module = module_of(tiny_network, learning_rate=1e-3, trainable=trainable, batch_norm="frozen").train()
    optimizer = module.configure_optimizers()
    before = {name: tensor.clone() for name, tensor in tiny_network.named_parameters()}
    logits = tiny_network(torch.randn(2, 2, 3, 64, 64))
    (logits.verb.square().sum() + logits.noun.square().sum()).backward()
    optimizer.step()
    changed = [name.removeprefix("backbone.") for name, tensor in tiny_network.named_parameters() if not torch.equal(tensor, before[name])]
    assert {name.split(".")[0] for name in changed} == moving


def test_means_are_of_the_clips_that_count_and_an_action_is_right_when_verb_and_noun_are():
    means = Means()
    logits = Logits(torch.eye(5)[[0, 1, 2, 3, 0]], torch.eye(4)[[0, 1, 2, 3, 0]])
    batch = Sample(torch.empty(5), torch.tensor([0, 1, 2, 0, NO_LABEL]), torch.tensor([0, 1, 0, 0, NO_LABEL]))
    losses = CrossEntropies()(logits, batch.verb, batch.noun)
    means.count(losses, logits, batch)
    found = Scores(*means.compute())
    assert [float(top1) for top1 in (found.verb_top1, found.noun_top1, found.action_top1)] == [0.75, 0.5, 0.5]
    verb_loss = functional.cross_entropy(logits.verb[:4], batch.verb[:4])
    noun_loss = functional.cross_entropy(logits.noun[:4], batch.noun[:4])
    torch.testing.assert_close(found.verb_loss.float(), verb_loss)
    torch.testing.assert_close(found.noun_loss.float(), noun_loss)
    torch.testing.assert_close(found.loss.float(), verb_loss + noun_loss)
    torch.testing.assert_close(losses.total.sum() / 4, verb_loss + noun_loss)


def test_means_of_accuracy_are_of_the_clips_with_an_action_alone():
    logits = Logits(torch.eye(5)[[0, 1, 4, 4, 0]], torch.eye(4)[[0, 1, 3, 3, 0]])
    # The verb 4 is nothing: one such clip is recognised, the other is not, and one action is called nothing.
    batch = Sample(torch.empty(5), torch.tensor([0, 0, 4, 1, 4]), torch.tensor([0, 1, 3, 3, 3]))
    losses = CrossEntropies()(logits, batch.verb, batch.noun)
    means = Means(nothing=4)
    means.count(losses, logits, batch)
    found = Scores(*means.compute())
    assert [float(top1) for top1 in (found.verb_top1, found.noun_top1, found.action_top1)] == pytest.approx([1 / 3, 1, 1 / 3])
    torch.testing.assert_close(found.loss.float(), losses.total.mean())


def test_accuracies_are_numbers_where_no_clip_has_an_action():
    means = Means(nothing=4)
    logits = Logits(torch.eye(5)[[4, 0]], torch.eye(4)[[3, 3]])
    batch = Sample(torch.empty(2), torch.tensor([4, 4]), torch.tensor([3, 3]))
    means.count(CrossEntropies()(logits, batch.verb, batch.noun), logits, batch)
    assert means.compute()[3:].tolist() == [0, 0, 0]
    assert means.compute()[0] > 0


def test_a_loss_that_is_not_a_number_shows():
    means = Means()
    logits = Logits(torch.full((1, 5), torch.nan), torch.eye(4)[[0]])
    batch = Sample(torch.empty(1), torch.tensor([0]), torch.tensor([0]))
    means.count(CrossEntropies()(logits, batch.verb, batch.noun), logits, batch)
    assert means.compute()[0].isnan()


def test_the_heads_alone_are_no_part_of_a_backbone(tiny_network):
    module = HeadModule(tiny_network, TrainOptions(), [])
    assert {name.split(".")[0] for name in module.state_dict()} == {"head"}
    features = torch.randn(2, 2, tiny_network.head.fc_verb.in_features)
    assert torch.equal(module.answer(module.see(features)).noun, tiny_network.head(features).noun)


def test_the_clips_of_all_batches_of_a_step_count_together():
    recipe = TrainOptions(batch_size=2, accumulate_batches=3)
    assert [clips_of_step(batch, 9, recipe) for batch in range(5)] == [6, 6, 6, 3, 3]
    assert [clips_of_step(batch, 3, TrainOptions(batch_size=2)) for batch in range(2)] == [2, 1]
