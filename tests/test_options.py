import pytest
from pydantic import ValidationError

from tasks.keys import without_idle
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
        ({"schedule": "step", "epochs": 20}, "schedule step would end before its first step after 20 epochs"),
        ({"schedule": "plateau", "epochs": 10, "validate_every": 2}, "its 5 validations before it could lower the rate"),
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


@pytest.mark.parametrize(
    ("option", "value", "used_with"),
    [
        ("relation_draws", 5, {"family": "MTRN"}),
        ("flow_method", "dis", {"modality": "flow"}),
        ("flow_bound_pixels", 15, {"modality": "flow"}),
        ("frame_step", 3, {}),
        ("color_jitter", 0.2, {}),
        ("momentum", 0.5, {"optimizer": "sgd"}),
        ("step_epochs", 7, {"schedule": "step"}),
        ("plateau_validations", 7, {"schedule": "plateau"}),
        ("decay_factor", 0.5, {"schedule": "step"}),
        ("decay_factor", 0.5, {"schedule": "plateau"}),
        ("feature_variants", 3, {"trainable": "heads"}),
        ("batch_norm", "train", {"trainable": "last-stage"}),
    ],
)
def test_what_changes_nothing_of_a_training_makes_no_other_one(option, value, used_with):
    without = {"modality": "flow"} if option in ("frame_step", "color_jitter") else {"trainable": "heads"} if option == "batch_norm" else {}
    assert without_idle(TrainOptions(**{option: value}, **without)) == without_idle(TrainOptions(**without))
    assert without_idle(TrainOptions(**{option: value}, **used_with)) != without_idle(TrainOptions(**used_with))
