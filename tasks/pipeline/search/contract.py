"""Describe the steps that search the best recipe in rounds."""

from pydantic import Field, model_validator

from tasks.keys import search_key, without_later
from tasks.options import EvaluateOptions, PresetOptions, RegisterOptions, SearchOptions, TrainOptions
from tasks.options.search import MAX_ROUNDS
from tasks.pipeline.step import Command, SearchUri, ShellArguments, Step, StepArguments, TrialBatchUri
from tasks.store.derived import search_at, trials_of_batch
from tasks.store.layout import Layout
from tasks.store.records.search import GatherResult, SearchPlanResult, SearchReportResult, SuggestResult, TrialsResult


class SearchPlanArguments(StepArguments, PresetOptions, SearchOptions, TrainOptions, EvaluateOptions, RegisterOptions):
    """All options of a search, and the recipe that it starts from."""


class SearchedArguments(StepArguments):
    """A search."""

    search: SearchUri


class RoundArguments(SearchedArguments):
    """A search and one of its rounds."""

    round: int = Field(ge=1, le=MAX_ROUNDS, description="The round, from 1")


class GatherArguments(RoundArguments):
    """A round, and the failures that the runner recorded."""

    failures: str = Field("[]", description='The failed steps, as JSON: `[{"map_index": 1, "step": "train_trials", "reason": "…"}]`')


class TrainTrialsArguments(SearchedArguments):
    """One batch of trials."""

    batch: TrialBatchUri

    @model_validator(mode="after")
    def _belong_together(self) -> "TrainTrialsArguments":
        search = search_at(self.search).folder_uri
        if not trials_of_batch(self.batch).folder_uri.startswith(search):
            raise ValueError(f"batch {self.batch} is of another search than {search}; take it from the result of `suggest` of this search")
        return self


class SearchArguments(ShellArguments, PresetOptions, SearchOptions, TrainOptions, EvaluateOptions, RegisterOptions):
    """All options of a search at a shell."""


PLAN = Step(
    name="search_plan",
    summary="fix the dataset, the folds and the space of a search",
    arguments=SearchPlanArguments,
    result=SearchPlanResult,
    address=lambda arguments: Layout(arguments.store).search(search_key(without_later(arguments.model_dump(mode="json"), type(arguments)))),
    task="plan",
)
SUGGEST = Step(
    name="suggest",
    summary="suggest the trials of a round",
    arguments=RoundArguments,
    result=SuggestResult,
    address=lambda arguments: search_at(arguments.search).round(arguments.round).suggest,
)
TRAIN_TRIALS = Step(
    name="train_trials",
    summary="train and score a batch of trials",
    arguments=TrainTrialsArguments,
    result=TrialsResult,
    address=lambda arguments: trials_of_batch(arguments.batch),
    task="trials",
    gpu=True,
)
GATHER = Step(
    name="gather",
    summary="gather the trials up to a round, and log them to MLflow",
    arguments=GatherArguments,
    result=GatherResult,
    address=lambda arguments: search_at(arguments.search).round(arguments.round).gather,
)
REPEAT_WINNER = Step(
    name="repeat_winner",
    summary="suggest the winner again under new seeds",
    arguments=SearchedArguments,
    result=SuggestResult,
    address=lambda arguments: search_at(arguments.search).seeds.suggest,
)
REPORT = Step(
    name="search_report",
    summary="write the report of a search",
    arguments=SearchedArguments,
    result=SearchReportResult,
    address=lambda arguments: search_at(arguments.search).report,
    task="report",
)
SEARCH = Command(
    name="search",
    summary="search the best recipe, all rounds",
    arguments=SearchArguments,
    result=SearchReportResult,
    gpu=True,
)
