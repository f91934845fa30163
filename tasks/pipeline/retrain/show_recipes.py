"""Show recipes of the code and of the store."""

from tasks.options import TrainOptions
from tasks.pipeline._plans import find_recipe, in_words, recipe_names
from tasks.pipeline._step import log
from tasks.pipeline.retrain.contract import ShowRecipesArguments
from tasks.settings import RunnerSettings, load
from tasks.store.objects import Store
from tasks.store.records.training import RecipesResult


def run(arguments: ShowRecipesArguments, store: Store) -> RecipesResult:
    """Show these recipes, or all.

    Raises:
        BadConfiguration: there is none of such a name.
    """
    where = (arguments.store or load(RunnerSettings).store_uri).rstrip("/")
    recipes = {name: find_recipe(name, where, store) for name in arguments.names or recipe_names(where, store)}
    for name, recipe in recipes.items():
        log.info("%s (%s): %s", name, recipe.description, in_words(recipe.options, TrainOptions()))
    return RecipesResult(recipes=recipes)
