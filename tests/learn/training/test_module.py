import pytest
import torch
from torch.nn import functional

from tasks.learn.inputs.data import NO_LABEL, Sample
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.training.epochs import Scores
from tasks.learn.training.module import ActionModule, HeadModule, Learner, Means, clips_of_step
from tasks.learn.training.optimizer import CrossEntropies
from tasks.options import Consensus, TrainOptions
from tests.learn.tiny import tiny

RESTING = {"conv1", "bn1", "layer1", "layer2", "layer3"}


def statistics_that_move(**choice) -> list[str]:
    network = Network(tiny())
    ActionModule(network, TrainOptions(**choice), []).eval().train()
    if choice.get("trainable") == "last-stage":
        assert {name for name, child in network.backbone.named_children() if not child.training} == RESTING
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    with torch.no_grad():
        network(torch.randn(2, 2, 3, 64, 64))
    return [name for name, tensor in network.named_buffers() if name.endswith("running_mean") and not torch.equal(tensor, before[name])]


def test_batch_norm_policies_say_whose_statistics_move_and_frozen_stages_rest():
    every = statistics_that_move(batch_norm="train")
    assert len(every) > 2
    assert statistics_that_move(batch_norm="partial") == statistics_that_move(batch_norm="first-only") == every[:1]
    assert statistics_that_move(batch_norm="frozen") == []
    assert statistics_that_move(trainable="heads", batch_norm="train") == []
    last = [name for name in every if name.startswith("backbone.layer4")]
    assert statistics_that_move(trainable="last-stage", batch_norm="train") == last
    assert statistics_that_move(trainable="last-stage", batch_norm="partial") == []


@pytest.mark.parametrize(
    ("trainable", "moving"),
    [("all", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"}), ("last-stage", {"layer4", "head"}), ("heads", {"head"})],
)
def test_a_step_changes_what_is_trained_and_nothing_else(tiny_network, trainable, moving):
    module = ActionModule(tiny_network, TrainOptions(learning_rate=1e-3, trainable=trainable, batch_norm="frozen"), []).train()
    optimizer = module.configure_optimizers()
    before = {name: tensor.clone() for name, tensor in tiny_network.named_parameters()}
    logits = tiny_network(torch.randn(2, 2, 3, 64, 64))
    (logits.verb.square().sum() + logits.noun.square().sum()).backward()
    optimizer.step()
    changed = [name.removeprefix("backbone.") for name, tensor in tiny_network.named_parameters() if not torch.equal(tensor, before[name])]
    assert {name.split(".")[0] for name in changed} == moving


def test_first_only_fixes_the_weights_of_every_other_batch_norm(tiny_network):
    ActionModule(tiny_network, TrainOptions(batch_norm="first-only"), [])
    learns = {name: parameter.requires_grad for name, parameter in tiny_network.named_parameters()}
    norms = [name for name, module in tiny_network.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    of_norms = [learns.pop(f"{name}.{kind}") for name in norms for kind in ("weight", "bias")]
    assert of_norms == [True] * 2 + [False] * (len(of_norms) - 2)
    assert all(learns.values())


def seen_by_the_head(module: Learner, seen: torch.Tensor) -> torch.Tensor:
    """The features that the heads are given."""
    given: list[torch.Tensor] = []
    head = module.network.head if isinstance(module, ActionModule) else module.head
    with head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0])), torch.no_grad():
        module.answer(seen)
    return given[0]


@pytest.mark.parametrize(
    ("trainable", "consensus"), [("all", Consensus.AVERAGE), ("heads", Consensus.AVERAGE), *(("kept features", head) for head in Consensus)]
)
def test_dropout_takes_features_of_every_snippet_from_the_heads_and_none_in_a_test(consensus, trainable):
    network = Network(tiny(num_segments=3, consensus=consensus), seed=1)
    options = TrainOptions(dropout=0.7, trainable="all" if trainable == "all" else "heads", batch_norm="frozen")
    module = (HeadModule if trainable == "kept features" else ActionModule)(network, options, [])
    torch.manual_seed(0)
    images = torch.randn(4, 3, 3, 224, 224)
    with torch.no_grad():
        features = network.eval().features(images)
    seen = images if trainable == "all" else features
    dropped = seen_by_the_head(module.train(), seen)
    is_kept = dropped != 0
    torch.testing.assert_close(dropped[is_kept], features[is_kept] / 0.3)
    all_but_segments = (0, *range(2, features.ndim))
    shares = is_kept.sum(all_but_segments) / (features != 0).sum(all_but_segments)
    assert shares.tolist() == pytest.approx([0.3] * 3, abs=0.1)
    assert not torch.equal(is_kept[:, 0], is_kept[:, 1])
    torch.testing.assert_close(seen_by_the_head(module.eval(), seen), features)


def means_of(answers, labels, nothing=None):
    """Return the means of a batch that is answered so, and its logits and losses; (verb, noun) by clip."""
    verbs, nouns = zip(*answers, strict=True)
    logits = Logits(torch.eye(5)[list(verbs)], torch.eye(4)[list(nouns)])
    batch = Sample(torch.empty(len(labels)), *(torch.tensor(ids) for ids in zip(*labels, strict=True)), torch.arange(len(labels)))
    losses, means = CrossEntropies()(logits, batch.verb, batch.noun), Means(nothing)
    means.update(losses, logits, batch)
    return Scores(*means.compute()), logits, losses


def test_means_are_of_the_clips_that_count_and_an_action_is_right_when_verb_and_noun_are():
    labels = [(0, 0), (1, 1), (2, 0), (0, 0), (NO_LABEL, NO_LABEL)]
    means, logits, losses = means_of([(0, 0), (1, 1), (2, 2), (3, 3), (0, 0)], labels)
    assert [float(top1) for top1 in (means.verb_top1, means.noun_top1, means.action_top1)] == [0.75, 0.5, 0.5]
    verb_loss = functional.cross_entropy(logits.verb[:4], torch.tensor([0, 1, 2, 0]))
    noun_loss = functional.cross_entropy(logits.noun[:4], torch.tensor([0, 1, 0, 0]))
    torch.testing.assert_close(means.verb_loss.float(), verb_loss)
    torch.testing.assert_close(means.noun_loss.float(), noun_loss)
    torch.testing.assert_close(means.loss.float(), verb_loss + noun_loss)
    torch.testing.assert_close(losses.total.sum() / 4, verb_loss + noun_loss)


@pytest.mark.parametrize(
    ("answers", "labels", "top1"),
    [
        # One clip of nothing is recognised, the other is not, and one action is called nothing.
        ([(0, 0), (1, 1), (4, 3), (4, 3), (0, 0)], [(0, 0), (0, 1), (4, 3), (1, 3), (4, 3)], [1 / 3, 1, 1 / 3]),
        ([(4, 3), (0, 3)], [(4, 3), (4, 3)], [0, 0, 0]),
    ],
    ids=["some", "none"],
)
def test_means_of_accuracy_are_of_the_clips_with_an_action_alone(answers, labels, top1):
    means, _, losses = means_of(answers, labels, nothing=4)
    assert [float(value) for value in (means.verb_top1, means.noun_top1, means.action_top1)] == pytest.approx(top1)
    torch.testing.assert_close(means.loss.float(), losses.total.mean())


def test_a_loss_that_is_not_a_number_shows():
    means, batch = Means(), Sample(torch.empty(1), *torch.zeros(3, 1, dtype=torch.int64))
    logits = Logits(torch.full((1, 5), torch.nan), torch.eye(4)[[0]])
    means.update(CrossEntropies()(logits, batch.verb, batch.noun), logits, batch)
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
