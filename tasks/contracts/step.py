"""Define the description of a step: name, arguments, result, image, and GPU."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from tasks.options import Options, StoreUri
from tasks.results.record import Record

ImageKind = Literal["worker", "trainer"]
PlanUri = Annotated[StoreUri, Field(description="The `--out` address of `plan`")]
BatchUri = Annotated[StoreUri, Field(description="Address of the batch, a JSON file")]


class StepArguments(Options):
    """The arguments of every step that a DAG runs.

    The DAG chooses `out`, because it contains the form's key; container runners read the result there.
    """

    store: StoreUri = Field(description="The bucket, or a prefix in it, that holds everything")
    out: StoreUri = Field(description="Address that the step writes to; its result.json comes last")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One sub-command of `python -m tasks`.

    Args:
        name: of the sub-command.
        summary: its verb and object.
        module: of its code, below `tasks.steps`; the first part is its DAG.
        arguments: the model of its command line.
        result: the model of its `result.json` and of its last line on stdout.
        task: id of its task, if that differs from the name.
        also_in: further DAGs that run it.
        by_hand: whether only people run it, at a shell.
        image: of its container; only `trainer` has torch.
        gpu: whether it uses a GPU if there is one.
        alternatives: arguments of which exactly one is given.
        positional: arguments without a flag, with the word for each in the help.
    """

    name: str
    summary: str
    module: str
    arguments: type[Options]
    result: type[Record]
    task: str = ""
    also_in: tuple[str, ...] = ()
    by_hand: bool = False
    image: ImageKind = "worker"
    gpu: bool = False
    alternatives: tuple[str, ...] = ()
    positional: Mapping[str, str] = field(default_factory=dict)

    @property
    def dag(self) -> str:
        """Name its DAG."""
        return self.module.partition(".")[0]

    @property
    def task_id(self) -> str:
        """Name its task, without the groups around it."""
        return self.task or self.name

    @property
    def full_module(self) -> str:
        """Name its module; `run` there takes the arguments and the store, and returns the result."""
        return f"tasks.steps.{self.module}"

    @property
    def options(self) -> tuple[type[Options], ...]:
        """List the option models of its arguments, in order."""
        bases = self.arguments.__bases__
        return tuple(base for base in bases if issubclass(base, Options) and base is not Options and not issubclass(base, StepArguments))

    @property
    def own(self) -> tuple[str, ...]:
        """Name the arguments that are in none of those models."""
        chosen = {name for model in self.options for name in model.model_fields}
        return tuple(name for name in self.arguments.model_fields if name not in chosen)
