"""How the learning rate goes from epoch to epoch."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, ReduceLROnPlateau, SequentialLR, StepLR

from tasks.options import RecipeOptions

WARMUP_START = 0.01


def make_schedule(optimizer: Optimizer, recipe: RecipeOptions) -> LRScheduler | None:
    """What changes the rates of all parameter groups after each epoch, a plateau after each validation; None where they are constant.

    The schedule begins when the warm-up has ended. The last epoch of a cosine still learns, at the rate that comes before nothing.
    """
    if recipe.schedule == "plateau":
        # torch counts the validations that it bears with, of which the one that lowers the rate is none.
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
    """The learning rate of the heads, which is that of all where no layer learns at its own."""
    return max(float(group["lr"]) for group in optimizer.param_groups)
