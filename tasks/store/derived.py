"""Derive the place of a step's result from the addresses that the step takes.

Each function takes addresses of one form only, so that no step writes beside an object of another kind.
"""

import re

from tasks.store.layout import Ingest
from tasks.store.records.video import FlowResult, SegmentResult
from tasks.store.run_layout import Configurations, Decision, Flows, PredictedBatch, Prediction, Run, SearchPlan, SearchRound, TrainedTrials
from tasks.store.stored import Output, as_folder

_PLAN = r"((s3://.+/runs/[^/]+/)(?:decisions|comparisons)/[^/]+/)plan/?"
_TOGETHER = re.compile(
    r"s3://.+?/(predictions/(choices/)?[^/]+/|labels/[^/]+/|datasets/[0-9a-f]{12,}/|searches/[^/]+/|comparisons/(versions/)?[^/]+/|plans/[^/]+/"
    r"|pretrained/choices/[^/]+/|ingests/[^/]+/(?!inventory\.json)|runs/[^/]+/(known|flows|sound|validation|learning_curve)/"
    r"|runs/[^/]+/(decisions|comparisons)/[^/]+/(report|learning_curve)/)"
)
_SHOWS_CLIPS = re.compile(
    r"s3://.+?/runs/([^/]+)/((known|validation|learning_curve|flows|sound)/"
    r"|(decisions|comparisons)/[^/]+/(report|learning_curve)/|evaluate/.*(\.png|/probe\.json)$|train/last\.ckpt$)"
)


def folder_together(uri: str) -> str | None:
    """Find the folder that is deleted as a whole with an object, if any.

    The objects of such a folder tell of one another.
    """
    match = _TOGETHER.match(uri)
    return match.group() if match else None


def is_training_plan(uri: str) -> bool:
    """Check whether a listed object is the plan of a training."""
    return uri.endswith("/result.json") and re.fullmatch(_PLAN, uri.removesuffix("result.json")) is not None


def run_showing_clips(uri: str) -> str | None:
    """Find the key of the run of an object that may show clips.

    The object may show clips, or depend on them, without naming them. None for any other object.
    """
    match = _SHOWS_CLIPS.match(uri)
    return match[1] if match else None


def claimed_run(uri: str) -> tuple[str, str] | None:
    """Find the dataset's digest and the run of a claim; None for any other object."""
    match = re.fullmatch(r"s3://.+?/(?:searches|comparisons)/[^/]+/([^/]+)/claims/([^/]+)", uri)
    return (match[1], match[2]) if match else None


def taught_run(uri: str) -> str | None:
    """Find the key of the student whose unlabelled clips an object lists, if any."""
    match = re.fullmatch(r"s3://.+?/runs/([^/]+)/train/unlabelled\.json", uri)
    return match[1] if match else None


def decision_of_plan(uri: str) -> Decision:
    """Find the decision, or the comparison of networks, that a plan is part of.

    Raises:
        ValueError: the address is of another form; so for all functions of this file.
    """
    return Decision(_plan_parts(uri)[0])


def run_of_plan(uri: str) -> Run:
    """Find the training that a plan describes."""
    return Run(_plan_parts(uri)[1])


def prediction_of_plan(uri: str) -> Prediction:
    """Find the prediction that a plan describes."""
    form = "predictions/KEY/plan/, below the `prediction_uri` of the plan's result"
    (folder,) = _parts(r"(s3://.+/predictions/[^/]+/)plan/?", uri, form)
    return Prediction(folder)


def configurations_of_claims(uri: str) -> Configurations:
    """Find the configurations that claim their trainings at an address."""
    form = "comparisons/KEY/DIGEST/claims/, as the result of `configure` has it"
    (folder,) = _parts(r"(s3://.+/comparisons/[^/]+/[^/]+/)claims/?", uri, form)
    return Configurations(folder)


def segment_of_batch(uri: str, recipe: str) -> Output[SegmentResult]:
    """Find the output of the task that cuts a batch with one recipe."""
    form = "ingests/KEY/batches/0000.json, as the result of `ingest` has it"
    folder, number = _parts(r"(s3://.+/ingests/[^/]+/)batches/([0-9]{4,})\.json", uri, form)
    return Ingest(folder).segment(recipe, int(number))


def flow_of_batch(uri: str) -> Output[FlowResult]:
    """Find the output of the task that computes the optical flow of a batch."""
    form = "flows/KEY/0000.json, as the result of `flows` has it"
    folder, recipe, number = _parts(r"(s3://.+/flows/)([^/]+)/([0-9]{4,})\.json", uri, form)
    return Flows(folder).computed(recipe, int(number))


def predicted_of_batch(uri: str) -> PredictedBatch:
    """Find the output of the task that predicts a batch of a prediction."""
    form = "predictions/KEY/batches/0000.json, as the result of `predict_plan` has it"
    folder, number = _parts(r"(s3://.+/predictions/[^/]+/)batches/([0-9]{4,})\.json", uri, form)
    return Prediction(folder).predicted(int(number))


def search_at(uri: str) -> SearchPlan:
    """Find a search by the address that its plan names."""
    form = "searches/KEY/DIGEST/, the `search_uri` of the result of `search_plan`"
    (folder,) = _parts(r"(s3://.+/searches/[^/]+/[^/]+/?)", uri, form)
    return SearchPlan(as_folder(folder))


def trials_of_batch(uri: str) -> TrainedTrials:
    """Find the output of the task that trains a batch of trials."""
    form = "searches/KEY/DIGEST/rounds/1/batches/KEY.json, as the result of `suggest` has it"
    folder, key = _parts(r"(s3://.+/searches/[^/]+/[^/]+/rounds/[^/]+/)batches/([0-9a-f]{16})\.json", uri, form)
    return SearchRound(folder).trials(key)


def _plan_parts(uri: str) -> tuple[str, ...]:
    return _parts(_PLAN, uri, "runs/KEY/decisions/KEY/plan/, below the `decision_uri` of the plan's result")


def _parts(pattern: str, uri: str, form: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, uri)
    if match is None:
        raise ValueError(f"{uri} does not have the form s3://…/{form}")
    return match.groups()
