"""Make the learning-rate schedule."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, ReduceLROnPlateau, SequentialLR, StepLR

from tasks.options import RecipeOptions

WARMUP_START = 0.01


def make_schedule(optimizer: Optimizer, recipe: RecipeOptions) -> LRScheduler | None:
    """Make the schedule, stepped after each epoch, or for a plateau after each validation.

    Returns None for constant rates. The schedule starts after the warm-up. A cosine reaches 0 only after the last epoch.
    """
    if recipe.schedule == "plateau":
        # torch's patience counts the tolerated validations; the next one lowers the rate.
        return ReduceLROnPlateau(optimizer, factor=recipe.decay_factor, patience=recipe.plateau_validations - 1, threshold=0, eps=0)
    after: LRScheduler | None = None
    if recipe.schedule == "step":
        after = StepLR(optimizer, recipe.step_epochs, recipe.decay_factor)
    elif recipe.schedule == "cosine":
        after = CosineAnnealingLR(optimizer, recipe.epochs - recipe.warmup_epochs)
    if not recipe.warmup_epochs:
        return after
    warmup = LinearLR(optimizer, WARMUP_START, total_iters=recipe.warmup_epochs)
    return SequentialLR(optimizer, [warmup, after], [recipe.warmup_epochs]) if after else warmup


def highest_rate(optimizer: Optimizer) -> float:
    """Return the learning rate of the heads, the highest of all groups."""
    return max(float(group["lr"]) for group in optimizer.param_groups)
