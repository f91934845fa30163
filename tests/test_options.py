import pytest
from pydantic import ValidationError

from tasks.options import ORIGINAL, TrainOptions


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"epochs": 3, "validate_every": 4}, "validate_every 4 is more than 3 epochs"),
        ({"schedule": "plateau", "warmup_epochs": 1}, "plateau has no warm-up"),
        ({"schedule": "plateau", "patience": 5, "plateau_validations": 5}, "patience 5 would end the training before 5 validations"),
        ({"epochs": 3, "warmup_epochs": 3}, "a warm-up of 3 epochs leaves none of 3"),
        ({"mixup": 0.2}, "batch_size is 1; raise batch_size"),
        ({"layer_decay": 0.5, "trainable": "heads"}, "layer_decay has nothing to slow down"),
        ({"class_weights": "balanced", "sampler": "balanced"}, "balance one of them"),
    ],
)
def test_what_a_recipe_cannot_be_is_refused_in_one_line(choice, reason):
    with pytest.raises(ValidationError, match=reason) as refused:
        TrainOptions(**choice)
    (error,) = refused.value.errors()
    assert "\n" not in error["msg"]


def test_the_original_experiment_stays_what_it_was():
    changed = ORIGINAL.model_dump(exclude_defaults=True, mode="json")
    assert changed == {"backbone": "resnet50", "weights": "epic", "batch_norm": "train", "validate_every": 2}
    assert (ORIGINAL.optimizer, ORIGINAL.learning_rate, ORIGINAL.batch_size, ORIGINAL.epochs) == ("adam", 1e-5, 1, 60)
