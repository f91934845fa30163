"""How fast which weights learn: groups, first steps, and the rate of each epoch."""

import math

import pytest
import torch

from tasks.learn.module import ActionModule
from tasks.learn.network import Network
from tasks.learn.optimizers import make_optimizer, parameter_groups
from tasks.learn.schedules import highest_rate, make_schedule
from tasks.options import TrainOptions
from tests.learn.tiny import tiny


def rates(network: Network, **choice) -> dict[str, tuple[float, float]]:
    """Rate and decay of each parameter, by name."""
    groups = ActionModule(network, TrainOptions(**choice), []).make_optimizer().param_groups
    found = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    return {name: found[id(parameter)] for name, parameter in network.named_parameters() if id(parameter) in found}


def test_all_learn_alike_by_default(tiny_network):
    assert rates(tiny_network, learning_rate=0.1) == {name: (0.1, 0) for name, _ in tiny_network.named_parameters()}


def test_each_stage_further_from_the_heads_learns_at_a_share_of_the_next_ones_rate(tiny_network):
    found = rates(tiny_network, learning_rate=0.1, layer_decay=0.5)
    by_part = {name.removeprefix("backbone.").split(".")[0]: rate for name, (rate, _) in found.items()}
    expected = {"head": 0.1, "layer4": 0.05, "layer3": 0.025, "layer2": 0.0125, "layer1": 0.00625, "conv1": 0.003125, "bn1": 0.003125}
    assert by_part == pytest.approx(expected)


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
    recipe = TrainOptions(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, momentum=0.9)
    chosen = make_optimizer(parameter_groups([[("weight", weight)]], recipe), recipe, fused=fused)
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


def rates_by_epoch(num_epochs: int, losses: list[float] | None = None, **choice) -> list[float]:
    """The rate of each epoch, beginning with 1, as shares of the first full one."""
    recipe = TrainOptions(learning_rate=1, epochs=num_epochs, **choice)
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weights[0]], "lr": 0.25}, {"params": [weights[1]], "lr": 1.0}])
    schedule = make_schedule(optimizer, recipe)
    seen = []
    for epoch in range(num_epochs):
        seen.append(highest_rate(optimizer))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25 * seen[-1])
        optimizer.step()
        if schedule is not None:
            schedule.step(*([losses[epoch]] if losses else []))
    return seen


def cosine(epoch: int, num_epochs: int) -> float:
    return (1 + math.cos(math.pi * epoch / num_epochs)) / 2


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [1] * 6),
        ({"warmup_epochs": 3}, [0.01, 0.34, 0.67, 1, 1, 1]),
        ({"schedule": "step", "step_epochs": 2, "decay_factor": 0.5}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({"schedule": "step", "step_epochs": 2, "decay_factor": 0.5, "warmup_epochs": 1}, [0.01, 1, 1, 0.5, 0.5, 0.25]),
        ({"schedule": "cosine"}, [cosine(epoch, 6) for epoch in range(6)]),
        ({"schedule": "cosine", "warmup_epochs": 2}, [0.01, 0.505, *(cosine(epoch, 4) for epoch in range(4))]),
    ],
)
def test_the_rate_of_every_epoch_is_known(choice, expected):
    assert rates_by_epoch(6, **choice) == pytest.approx(expected)


def test_a_plateau_is_so_many_validations_without_a_lower_loss():
    losses = [3, 2, 2, 2.5, 1.9999, 2, 2, float("nan"), 2, 1]
    assert rates_by_epoch(10, losses, schedule="plateau", plateau_validations=2, decay_factor=0.1) == pytest.approx(
        [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]
    )
