"""Type the addresses that steps take from earlier steps.

Each is checked against the map of the store.
"""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

from tasks.options import StoreUri
from tasks.store import derived
from tasks.store.uri import as_folder


def _leads(find: Callable[[str], object]) -> AfterValidator:
    """Accept an address from which `find` derives a place, and leave it as it is."""

    def check(uri: str) -> str:
        find(uri)
        return uri

    return AfterValidator(check)


FolderUri = Annotated[StoreUri, AfterValidator(as_folder)]
"""A folder, which people write with or without the slash at its end."""

TrainingPlanUri = Annotated[
    StoreUri,
    AfterValidator(lambda uri: derived.decision_of_plan(uri).plan.folder_uri),
    Field(description="Address of a plan: `plan/` below the `decision_uri` of the result of `plan`"),
]
PredictionPlanUri = Annotated[
    StoreUri,
    AfterValidator(lambda uri: derived.prediction_of_plan(uri).plan.folder_uri),
    Field(description="Address of a plan: `plan/` below the `prediction_uri` of the result of `predict_plan`"),
]
LabelsUri = Annotated[FolderUri, Field(description="Address that `label` writes to, such as `s3://retake/labels/KEY/`")]
ClaimsUri = Annotated[
    StoreUri,
    AfterValidator(lambda uri: derived.configurations_of_claims(uri).claims.folder_uri),
    Field(description="Address under which configurations claim their trainings, so that no two tasks train the same one"),
]
_BATCH = Field(description="Address of the batch, a JSON file")
IngestBatchUri = Annotated[StoreUri, _leads(lambda uri: derived.segment_of_batch(uri, recipe="")), _BATCH]
FlowBatchUri = Annotated[StoreUri, _leads(derived.flow_of_batch), _BATCH]
PredictionBatchUri = Annotated[StoreUri, _leads(derived.predicted_of_batch), _BATCH]
SearchUri = Annotated[
    StoreUri,
    AfterValidator(lambda uri: derived.search_at(uri).folder_uri),
    Field(description="Address of a search: the `search_uri` of the result of `search_plan`"),
]
TrialBatchUri = Annotated[StoreUri, _leads(derived.trials_of_batch), _BATCH]
