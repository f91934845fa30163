"""Show recipes of the code and of the store."""

from tasks.errors import BadInput
from tasks.options import TrainOptions
from tasks.pipeline._plans import find_recipe, in_words, recipe_names
from tasks.pipeline._results import log
from tasks.pipeline.retrain.contract import ShowRecipesArguments
from tasks.store.objects import Store
from tasks.store.records.training import RecipesResult


def run(arguments: ShowRecipesArguments, store: Store) -> RecipesResult:
    """Show these recipes, or all that can be read.

    Raises:
        BadConfiguration: there is none of such a name.
        BadInput: a named one cannot be read.
    """
    where, recipes = arguments.store_uri, {}
    for name in arguments.names or recipe_names(where, store):
        try:
            recipes[name] = recipe = find_recipe(name, where, store)
        except BadInput as error:
            if arguments.names:
                raise
            log.warning("%s", error)
            continue
        described = f" ({recipe.description})" if recipe.description else ""
        log.info("%s%s: %s", name, described, in_words(recipe.options, TrainOptions()) or "the defaults")
    return RecipesResult(recipes=recipes)
