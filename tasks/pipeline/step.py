"""Describe commands and steps: name, arguments, result and its place, image, GPU."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, Field

from tasks.options import Options, StoreRoot, StoreUri
from tasks.settings import RunnerSettings, load
from tasks.store import derived
from tasks.store.records.record import Record
from tasks.store.stored import Output, as_folder

ImageKind = Literal["worker", "trainer"]


class StepArguments(Options):
    """The arguments of every step that a DAG runs."""

    store: StoreRoot = Field(description="The bucket, or a prefix in it, that holds everything")


class OutArguments(StepArguments):
    """The arguments of a step whose other arguments do not determine its result's address.

    The address contains the key of the whole form, or of a configuration; the step takes a part of it.
    """

    out: StoreUri = Field(description="Address that the step writes to; its result.json comes last")


class ShellArguments(Options):
    """The arguments of a command that people run on a store."""

    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes RETAKE_STORE_URI")

    @property
    def store_uri(self) -> str:
        """Return the store's address without a slash at the end."""
        return self.store or load(RunnerSettings).store_uri


A = TypeVar("A", bound=Options)
P = TypeVar("P", bound=Output[Any])
Addresses = Callable[[A, Any], Iterable[str | None]]
"""Finds addresses from the arguments and the result of a step."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One sub-command of `python -m tasks`; people run it at a shell.

    Args:
        arguments: the model of its command line, in `contract.py` of its DAG's folder.
        result: the model of its last line on stdout.
        module: of its code, beside the contract; by default named as the command.
        torch: whether it needs torch.
        gpu: whether it uses a GPU if there is one, by torch.
        positional: arguments without a flag, with the word for each in the help; a single one has a flag, too, for DAGs.
    """

    name: str
    summary: str
    arguments: type[Options]
    result: type[Record]
    module: str = ""
    torch: bool = False
    gpu: bool = False
    positional: Mapping[str, str] = field(default_factory=dict)

    @property
    def dag(self) -> str:
        """Return the id of its DAG."""
        return self.arguments.__module__.split(".")[-2]

    @property
    def image(self) -> ImageKind:
        """Return the image of its container; only `trainer` has torch."""
        return "trainer" if self.torch or self.gpu else "worker"

    @property
    def full_module(self) -> str:
        """Return the name of its module; `run` there takes the arguments and the store."""
        return f"{self.arguments.__module__.rpartition('.')[0]}.{self.module or self.name}"

    @property
    def options(self) -> tuple[type[Options], ...]:
        """List the option models of its arguments, in order."""
        own = StepArguments, ShellArguments
        return tuple(
            base for base in self.arguments.__bases__ if issubclass(base, Options) and base is not Options and not issubclass(base, own)
        )

    @property
    def own(self) -> tuple[str, ...]:
        """List the arguments that are in none of those models."""
        chosen = {name for model in self.options for name in model.model_fields}
        return tuple(name for name in self.arguments.model_fields if name not in chosen)


@dataclass(frozen=True, kw_only=True)
class Step(Command, Generic[A, P]):
    """A command that DAGs run; it leaves its result in the store.

    Args:
        address: finds the place of its result from its arguments.
        task: id of its task, if that differs from the name.
        also_in: further DAGs that run it.
        reads: finds the inputs, for lineage, besides the addresses among its arguments.
        writes: finds the outputs, for lineage, besides its result.
    """

    arguments: type[A]
    address: Callable[[A], P]
    task: str = ""
    also_in: tuple[str, ...] = ()
    reads: Addresses[A] = lambda arguments, result: ()
    writes: Addresses[A] = lambda arguments, result: ()

    @property
    def task_id(self) -> str:
        """Return the id of its task, without the groups around it."""
        return self.task or self.name

    def lineage(self, arguments: A, result: Record) -> tuple[list[str], list[str]]:
        """List the addresses that it read and wrote."""
        given = [getattr(arguments, name) for name in self.own if name not in ("store", "out")]
        addresses = (value for value in given if isinstance(value, str) and value.startswith("s3://"))
        read = filter(None, (*addresses, *self.reads(arguments, result)))
        written = filter(None, (self.address(arguments).folder_uri, *self.writes(arguments, result)))
        return list(read), list(written)


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
MaxHours = Annotated[
    float | None, Field(gt=0, description="A training that is expected to take longer asks first; empty: 2 without a GPU, 12 with one")
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
