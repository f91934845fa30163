"""Describes a step of `python -m tasks`: its name, arguments, result, and the image that it runs in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from tasks.options import Options, StoreUri
from tasks.results.record import Record

ImageKind = Literal["worker", "trainer"]
PlanUri = Annotated[StoreUri, Field(description="Address that the step plan wrote to")]
BatchUri = Annotated[StoreUri, Field(description="Address of the batch, a JSON file")]


class StepArguments(Options):
    """The arguments of every step that a DAG runs.

    `out` has the key of the form in it, which the DAG alone knows, and the runner of a container reads the result there.
    """

    store: StoreUri = Field(description="The bucket, or a prefix in it, that holds everything")
    out: StoreUri = Field(description="Address that the step writes to; its result.json comes last")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One sub-command of `python -m tasks`.

    Args:
        name: of the sub-command.
        summary: what it does.
        module: of its code, below `tasks.steps`, with the DAG that it belongs to as the first part.
        arguments: the model of its command line.
        result: the model of its `result.json` and of its last line on stdout.
        task: id of its task, where that differs from the name.
        also_in: further DAGs that run it.
        by_hand: whether people alone run it, at a shell.
        image: the image that it needs, where it runs in a container; `trainer` alone has torch.
        gpu: whether it uses a GPU where there is one.
        positional: arguments that have no flag, with the word for them in the help.
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
    positional: Mapping[str, str] = field(default_factory=dict)

    @property
    def dag(self) -> str:
        """The DAG that it belongs to."""
        return self.module.partition(".")[0]

    @property
    def task_id(self) -> str:
        """The id of its task, without those of groups around it."""
        return self.task or self.name

    @property
    def full_module(self) -> str:
        """The module that runs it, whose `run` takes the arguments and the store and returns the result."""
        return f"tasks.steps.{self.module}"

    @property
    def options(self) -> tuple[type[Options], ...]:
        """The option models that are part of its arguments, in their order."""
        bases = self.arguments.__bases__
        return tuple(base for base in bases if issubclass(base, Options) and base is not Options and not issubclass(base, StepArguments))

    @property
    def own(self) -> tuple[str, ...]:
        """The names of its arguments that are in none of those models."""
        chosen = {name for model in self.options for name in model.model_fields}
        return tuple(name for name in self.arguments.model_fields if name not in chosen)
