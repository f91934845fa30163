"""What a training minimises: the cross-entropies of clips, weighted, smoothed and mixed.

How fast which weights learn: groups, first steps, and the rate of each epoch.
"""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.networks import backbones
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network, insert_temporal_shift
from tasks.learn.training.fit import fit
from tasks.learn.training.module import ActionModule
from tasks.learn.training.optimizer import (
    CrossEntropies,
    DistillationLoss,
    PerClass,
    balanced_weights,
    divergence,
    even_shares,
    make_optimizer,
    make_schedule,
    parameter_groups,
    stages_of,
)
from tasks.options import TrainOptions
from tests.learn.tiny import HEADS, job, state_of, tiny

LOGITS = Logits(torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0]]), torch.tensor([[0.0, 1.0], [0, 0]]))
VERB, NOUN = torch.tensor([0, 1]), torch.tensor([1, NO_LABEL])
ALL = PerClass(torch.full((4,), 1 / 4), torch.full((2,), 1 / 2))


def test_smoothing_gives_every_class_of_train_its_share():
    """Three of four verbs occur; a label without a noun has no loss."""
    spread = PerClass(even_shares(torch.tensor([0, 1, 1, 3]), 4), even_shares(torch.tensor([1]), 2))
    assert spread.verb.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    losses = CrossEntropies(0.2, spread=spread)(LOGITS, VERB, NOUN)
    log_sum = math.log(math.exp(2) + 3)
    expected = 0.8 * (log_sum - 2) + 0.2 * (log_sum - 2 / 3)
    assert losses.verb.tolist() == pytest.approx([expected, math.log(4)])
    assert CrossEntropies()(LOGITS, VERB, NOUN).verb.tolist() == pytest.approx([log_sum - 2, math.log(4)])
    assert losses.noun[1] == 0


@pytest.mark.parametrize("label_smoothing", [0, 0.3])
def test_weights_count_a_clip_as_its_class_whatever_the_others(label_smoothing):
    spread = ALL if label_smoothing else None
    plain = CrossEntropies(label_smoothing, spread=spread)(LOGITS, VERB, NOUN)
    if spread:
        for target, logits, labels in (("verb", LOGITS.verb, VERB), ("noun", LOGITS.noun, NOUN)):
            of_torch = functional.cross_entropy(logits, labels, reduction="none", ignore_index=NO_LABEL, label_smoothing=label_smoothing)
            torch.testing.assert_close(getattr(plain, target), of_torch)
    weights = PerClass(torch.tensor([0.5, 3.0, 9.0, 9.0]), torch.tensor([9.0, 2.0]))
    weighted = CrossEntropies(label_smoothing, weights, spread)(LOGITS, VERB, NOUN)
    torch.testing.assert_close(weighted.verb, plain.verb * torch.tensor([0.5, 3.0]))
    torch.testing.assert_close(weighted.noun, plain.noun * torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(weighted.total, weighted.verb + weighted.noun)


def test_without_objects_the_verb_alone_is_learned():
    verb, noun = (logits.clone().requires_grad_() for logits in LOGITS)
    losses = CrossEntropies(0.2, spread=ALL, has_objects=False)(Logits(verb, noun), VERB, torch.tensor([0, 0]))
    losses.total.sum().backward()
    torch.testing.assert_close(losses.total, CrossEntropies(0.2, spread=ALL)(LOGITS, VERB, NOUN).verb)
    assert verb.grad.any()
    assert noun.grad.tolist() == [[0, 0], [0, 0]]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
def test_balanced_weights_are_one_on_the_mean_and_alike_for_every_class_in_sum(labels):
    weights = balanced_weights(torch.tensor(labels), 7)[labels]
    assert float(weights.mean()) == pytest.approx(1, rel=1e-5)
    sums = {label: float(sum(w for w, other in zip(weights, labels, strict=True) if other == label)) for label in labels}
    assert list(sums.values()) == pytest.approx([len(labels) / len(sums)] * len(sums), rel=1e-5)
    assert balanced_weights(torch.tensor([0, 0, 0, 3]), 5).tolist() == pytest.approx([4 / (2 * 3), 0, 0, 4 / 2, 0])


def rates(network: Network, **choice) -> dict[str, tuple[float, float]]:
    """Rate and decay of each parameter, by name."""
    groups = ActionModule(network, TrainOptions(**choice), []).make_optimizer().param_groups
    settings = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    return {name: settings[id(parameter)] for name, parameter in network.named_parameters() if id(parameter) in settings}


def test_all_learn_alike_by_default(tiny_network):
    assert rates(tiny_network, learning_rate=0.1) == {name: (0.1, 0) for name, _ in tiny_network.named_parameters()}


def test_weights_decay_and_biases_norms_and_embeddings_do_not():
    network = Network(tiny(backbone="test_vit"))
    decays = {name: decay for name, (_, decay) in rates(network, weight_decay=0.3).items()}
    spared = {name for name, decay in decays.items() if decay == 0}
    assert "backbone.pos_embed" in spared
    assert spared == {
        name for name, p in network.named_parameters() if p.ndim <= 1 or name.endswith((".bias", "pos_embed", "cls_token", "reg_token"))
    }
    assert {decays[name] for name in decays.keys() - spared} == {0.3}
    assert set(decays) == set(dict(network.named_parameters()))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("fused", [None, True])
def test_the_first_steps_are_those_of_the_formulas(optimizer, fused):
    """With a gradient of -0.5 throughout."""
    weight = torch.nn.Parameter(torch.full((1, 1), 2.0))
    recipe = TrainOptions(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)
    chosen = make_optimizer(parameter_groups([("weight", weight)], recipe), recipe, fused=fused)
    seen = []
    for _ in range(2):
        weight.grad = torch.full((1, 1), -0.5)
        chosen.step()
        seen.append(weight.item())
    # adam: the decay turns the gradient, whose size does not count; adamw: it is taken off apart.
    first = {"adam": 2 - 0.1, "adamw": 2 * 0.95 + 0.1, "sgd": 2 - 0.1 * 0.5}[optimizer]
    assert seen[0] == pytest.approx(first, abs=1e-4)
    if optimizer == "sgd":
        assert seen[1] == pytest.approx(first - 0.1 * (0.9 * 0.5 - 0.5 + 0.5 * first))
    if optimizer == "adamw":
        assert seen[1] == pytest.approx(first * 0.95 + 0.1, abs=1e-4)


def rates_by_epoch(num_epochs: int, **choice) -> list[float]:
    """The rate of each epoch, beginning with 1, as shares of the first full one."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimizer, TrainOptions(learning_rate=1, epochs=num_epochs, **choice))
    seen = []
    for _ in range(num_epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return seen


def cosine(epoch: int, num_epochs: int) -> float:
    return (1 + math.cos(math.pi * epoch / num_epochs)) / 2


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [1] * 6),
        ({"warmup_epochs": 3}, [0.01, 0.34, 0.67, 1, 1, 1]),
        ({"schedule": "cosine"}, [cosine(epoch, 6) for epoch in range(6)]),
        ({"schedule": "cosine", "warmup_epochs": 2}, [0.01, 0.505, *(cosine(epoch, 4) for epoch in range(4))]),
    ],
)
def test_the_rate_of_every_epoch_is_known(choice, expected):
    assert rates_by_epoch(6, **choice) == pytest.approx(expected)


def tops(names: list[str]) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize(
    ("backbone", "num_stages", "last"),
    [
        ("resnet50", 5, {"layer4.0", "layer4.1", "layer4.2"}),
        ("tf_efficientnet_lite0", 8, {"blocks.6", "conv_head.weight", "bn2.weight", "bn2.bias"}),
        ("test_resnet", 5, {"layer4.0"}),
        ("vit_tiny_patch16_224", 13, {"blocks.11", "norm.weight", "norm.bias"}),
        ("test_vit", 7, {"blocks.5", "norm.weight", "norm.bias"}),
        pytest.param("vit_small_patch14_dinov2", 13, {"blocks.11", "norm.weight", "norm.bias"}, marks=pytest.mark.slow),
        pytest.param("eva02_tiny_patch14_224", 13, {"blocks.11", "fc_norm.weight", "fc_norm.bias"}, marks=pytest.mark.slow),
        ("mobilenetv4_conv_small", 5, {"blocks.3", "blocks.4", "conv_head.weight", "norm_head.weight", "norm_head.bias"}),
        ("efficientvit_b0", 6, {"stages.3", "head.in_conv", "head.classifier"}),
        ("convnext_atto", 5, {"stages.3", "head.norm"}),
        ("mobilenet_v2", 18, {"features.17", "features.18"}),
        ("shufflenet_v2_x0_5", 4, {"stage4.0", "stage4.1", "stage4.2", "stage4.3", "conv5.0", "conv5.1"}),
    ],
)
def test_the_last_stage_is_what_people_call_so(backbone, num_stages, last):
    with torch.device("meta"):
        module = backbones.find(backbone).construct(3)
    stages = stages_of(module)
    assert len(stages) == num_stages
    assert tops(stages[-1]) == last
    assert sorted(name for stage in stages for name in stage) == sorted(dict(module.named_parameters()))


def test_bn_inceptions_stages_are_its_resolutions_and_a_temporal_shift_changes_no_stage():
    stages = stages_of(backbones.find("bninception").construct(3))
    beginnings = [{name.split("_")[0] + "_" + name.split("_")[1][0] for name in stage} for stage in stages]
    assert beginnings[-3:] == [{"inception_3"}, {"inception_4"}, {"inception_5"}]
    assert stages[0][0] == "conv1_7x7_s2.weight"
    with torch.device("meta"):
        module = backbones.find("resnet50").construct(3)
    plain = stages_of(module)
    insert_temporal_shift(module, 8)
    assert [len(stage) for stage in stages_of(module)] == [len(stage) for stage in plain]


NUM_CLIPS = 3
logits = st.lists(st.lists(st.floats(-20, 20, width=32), min_size=5, max_size=5), min_size=2, max_size=2).map(torch.tensor)


@given(logits, st.floats(-5, 5))
def test_equal_answers_do_not_differ_and_others_do_by_more_than_nothing(answers, shift):
    assert divergence(answers + shift, answers).abs().max() < 1e-3
    assert (divergence(answers.flip(1), answers) >= -1e-3).all()


def loss_of(teaching, has_objects=True):
    """Make the loss of a student of three clips, the second without a label.

    The labels are two of five verbs and two of four nouns.
    """
    clips = [CachedClip(f"{number}.npy", *label) for number, label in enumerate([(0, 1), (NO_LABEL, NO_LABEL), (3, 2)])]
    return DistillationLoss(teaching, clips, tiny(), has_objects=has_objects)


def taught(seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return Logits(*(torch.randn(NUM_CLIPS, size, generator=drawn) for size in (5, 4)))


def of_batch(loss, answers, clips=(0, 1, 2)):
    return loss(answers, torch.tensor(clips))


def test_each_clip_has_a_gradient_and_one_that_does_not_count_has_none():
    answers = Logits(torch.zeros(3, 5, requires_grad=True), torch.zeros(3, 4, requires_grad=True))
    of_batch(loss_of(taught()), answers, (0, 1, -1)).sum().backward()
    for part in answers:
        assert [bool(own.any()) for own in part.grad] == [True, True, False]


def test_nouns_count_only_where_there_are_objects():
    answers, teaching = Logits(torch.zeros(3, 5), torch.zeros(3, 4)), taught()
    both, of_verbs = (of_batch(loss_of(teaching, has_objects=has), answers) for has in (True, False))
    assert (both > of_verbs).all()


@given(st.floats(-20, 20))
def test_the_teachers_answers_of_classes_without_a_label_do_not_count(other):
    answers, teaching = Logits(torch.zeros(3, 5), torch.zeros(3, 4)), taught()
    verb, noun = (own.clone() for own in teaching)
    verb[:, [1, 2, 4]], noun[:, [0, 3]] = other, other
    assert torch.equal(*(of_batch(loss_of(own), answers) for own in (teaching, Logits(verb, noun))))


@pytest.mark.parametrize("choice", [{}, HEADS], ids=["all", "heads"])
def test_a_clip_without_a_label_teaches_the_answer_of_the_teacher(clips, tmp_path, choice):
    def trained(name, unlabelled):
        """Train one step on three labelled clips and one of which the teacher says this."""
        made = job(tmp_path / name, clips, epochs=1, batch_size=4, optimizer="sgd", class_weights="balanced", label_smoothing=0.1, **choice)
        own = [*made.train[:3], replace(made.train[3], verb=NO_LABEL, noun=NO_LABEL)]
        verb, noun = torch.zeros(4, 5), torch.zeros(4, 4)
        verb[3, unlabelled] = 10
        return fit(replace(made, train=own, teaching=Logits(verb, noun)))

    bias = "head.fc_verb.bias"
    first, second = (state_of(trained(str(said), said))[bias] for said in (0, 1))
    assert first[0] > second[0]
    assert first[1] < second[1]
