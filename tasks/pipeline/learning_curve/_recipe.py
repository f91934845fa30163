"""Choose whether there is a learning curve, and its recipe."""

from math import ceil

from tasks.options import LIGHT, TrainOptions, Weights
from tasks.options.recipe import LONG_EPOCHS
from tasks.store.records.training import PlanResult

FROM_LIGHT = {
    "epochs", "batch_size", "accumulate_batches", "trainable", "learning_rate", "optimizer", "weight_decay", "schedule", "warmup_epochs",
    "label_smoothing", "class_weights", "dropout", "precision", "validate_every", "validation_crops", "patience", "feature_variants",
}  # fmt: skip
"""Options by which heads are trained in place of a whole network. Views of the clips stay those of the run, so its cached frames serve."""
MAX_STEPS = 20_000
"""Maximum number of optimizer steps of one training. One of the heads takes 2 ms (docs/performance.md: 100 clips one by one in 0.21 s)."""


def no_curve_reason(plan: PlanResult) -> str:
    """Say why a training has no learning curve; empty if it has."""
    if plan.weights.members and plan.train.join == "logits":
        return "a fusion of trained networks is not trained"
    if plan.weights.members or plan.weights.weights is Weights.TRAINED:
        return "the training starts from a trained network, which may know all of these clips already, so a share of them would not show what the others add"
    return ""


def curve_recipe(train: TrainOptions, num_clips: int) -> TrainOptions:
    """Return the options of each training of the curve.

    That is the run's own recipe if it trains heads alone, else that of preset `light` on its network. Longer trainings are shortened. None stops
    early, so that all take as many epochs.
    """
    # `picked` leaves out what is gone, which a whole network was trained with.
    on_heads = train.trainable == "heads"
    recipe = train.as_trained() if on_heads else train.picked(TrainOptions).model_copy(update=LIGHT.model_dump(include=FROM_LIGHT))
    most_epochs = max(1, MAX_STEPS // _steps(recipe, num_clips))
    # The clips' labels are altered before shares are drawn.
    return _over(recipe, min(recipe.epochs, LONG_EPOCHS, most_epochs)).model_copy(update={"label_noise": 0.0, "patience": 0})


def asked_epochs(train: TrainOptions) -> int:
    """Return the epochs of the recipe that `curve_recipe` may have shortened."""
    return train.as_trained().epochs if train.trainable == "heads" else LIGHT.epochs


def _steps(recipe: TrainOptions, num_clips: int) -> int:
    """Count the optimizer steps of an epoch."""
    return ceil(ceil(num_clips / recipe.batch_size) / recipe.accumulate_batches)


def _over(recipe: TrainOptions, epochs: int) -> TrainOptions:
    """Spread a recipe over another number of epochs, its warm-up and its validations included."""

    def spread(number: int) -> int:
        # Rounded down, so that the parts still fit into the whole.
        return number * epochs // recipe.epochs

    spread_over = {"warmup_epochs": spread(recipe.warmup_epochs), "validate_every": max(1, spread(recipe.validate_every))}
    return recipe.model_copy(update={"epochs": epochs, **spread_over})
