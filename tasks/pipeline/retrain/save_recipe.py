"""Save training options, or the winner of a search, as a recipe."""

from pydantic import ValidationError

from tasks.errors import BadConfiguration, BadInput
from tasks.options import UNKEYED_PRESETS, TrainOptions
from tasks.options.base import refusals
from tasks.pipeline._plans import in_words, require_no_secrets
from tasks.pipeline._results import log
from tasks.pipeline.retrain.contract import SaveRecipeArguments
from tasks.settings import RunnerSettings, load
from tasks.store.derived import search_at
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.training import Recipe, RecipesResult


def run(arguments: SaveRecipeArguments, store: Store) -> RecipesResult:
    """Write the recipe; the log has the one that it replaces.

    Raises:
        BadConfiguration: a recipe of the code has this name, options do not fit the winner's or are gone, or an address has a password.
        MissingObject: the search has no report yet.
    """
    (name,) = arguments.names
    if name in ("auto", *UNKEYED_PRESETS):
        raise BadConfiguration(f"{name} comes with the code; choose another name")
    require_no_secrets(arguments.checkpoint, arguments.backbone_weights, arguments.description)
    search = search_at(arguments.search) if arguments.search else None
    options, description = arguments.picked(TrainOptions), arguments.description
    if search:
        report = store.read(search.report)
        report.winner.require_current(f"the winner of search {report.key}")
        given = arguments.model_dump(mode="json", include=arguments.model_fields_set & TrainOptions.model_fields.keys())
        try:
            options = TrainOptions.model_validate(report.winner.model_dump(mode="json") | given)
        except ValidationError as error:
            raise BadConfiguration("; ".join(reason for _, reason in refusals(error, TrainOptions))) from None
        description = description or f"winner of search {report.key}"
    where = arguments.store or (search.store_uri if search else load(RunnerSettings).store_uri)
    place = Layout(where).stored_recipe(name)
    if store.exists(place.uri):
        try:
            log.info("recipe %s was: %s", name, in_words(store.read(place).options, TrainOptions()) or "the defaults")
        except BadInput as error:
            log.warning("replaced: %s", error)
    recipe = Recipe(options=options, description=description)
    store.write(place, recipe)
    log.info("recipe %s: %s", name, in_words(options, TrainOptions()) or "the defaults")
    return RecipesResult(recipes={name: recipe})
