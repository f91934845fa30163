"""Search by one command, without Airflow: `python -m tasks search --num-trials=24`."""

from tasks.errors import NothingToDo
from tasks.options import EvaluateOptions, PresetOptions, RegisterOptions, SearchOptions, TrainOptions
from tasks.pipeline._results import log
from tasks.pipeline.search import gather, repeat_winner, search_plan, search_report, suggest, train_trials
from tasks.pipeline.search.contract import (
    GatherArguments,
    RoundArguments,
    SearchArguments,
    SearchedArguments,
    SearchPlanArguments,
    TrainTrialsArguments,
)
from tasks.store.objects import Store
from tasks.store.records.search import SearchReportResult, SuggestResult

MODELS = (PresetOptions, SearchOptions, TrainOptions, EvaluateOptions, RegisterOptions)


def run(arguments: SearchArguments, store: Store) -> SearchReportResult:
    """Run all steps of a search, or resume an interrupted one.

    Raises:
        BadConfiguration: a range is wrong, or options do not fit the preset.
        BadInput: there is nothing to select trials on, or every trial failed.
        NothingToDo: there is no dataset yet.
    """
    where = arguments.store_uri
    options = {name: getattr(arguments, name) for model in MODELS for name in model.model_fields}
    plan = search_plan.run(SearchPlanArguments(store=where, **options), store)
    common = {"store": where, "search": plan.search_uri}
    for number in range(1, plan.search.rounds + 1):
        try:
            suggested = suggest.run(RoundArguments(**common, round=number), store)
        except NothingToDo as reason:
            log.info("the search ends before round %d: %s", number, reason)
            break
        _train(suggested, common, store)
        gather.run(GatherArguments(**common, round=number), store)
    _train(repeat_winner.run(SearchedArguments(**common), store), common, store)
    return search_report.run(SearchedArguments(**common), store)


def _train(suggested: SuggestResult, common: dict[str, str], store: Store) -> None:
    for batch in suggested.batches:
        train_trials.run(TrainTrialsArguments(**common, batch=batch.uri), store)
