import math

import pytest
import torch

from tasks.model.schedules import highest_rate, make_schedule
from tasks.options import TrainOptions


def rates(num_epochs: int, losses: list[float] | None = None, **choice) -> list[float]:
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
    assert rates(6, **choice) == pytest.approx(expected)


def test_a_plateau_is_so_many_validations_without_a_lower_loss():
    losses = [3, 2, 2, 2.5, 1.9999, 2, 2, float("nan"), 2, 1]
    assert rates(10, losses, schedule="plateau", plateau_validations=2, decay_factor=0.1) == pytest.approx(
        [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]
    )
