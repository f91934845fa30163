"""Define the operator of all runners: its command line, its outcome, the tasks it skips."""

import json
import signal
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Never, TypeVar

from airflow.sdk import BaseOperator, BaseOperatorLink, BaseXCom, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.definitions.mappedoperator import OperatorPartial
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pydantic_settings import BaseSettings

from dags._form import Form, places, resolve
from dags._results import Reading, result_of
from tasks.errors import BadConfiguration, BadInput, NothingToDo, RetakeError, Unavailable
from tasks.options import Options
from tasks.pipeline.step import ImageKind
from tasks.settings import load, training_page
from tasks.telemetry import message_of
from tasks.wording import without_secrets

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

S = TypeVar("S", bound=BaseSettings)
Returned = dict[str, Any] | list[dict[str, str]]

FAILURE = "failure"
"""XCom key of a failure's reason, for later steps that continue without it."""


class ResultLink(BaseOperatorLink):
    """A button from a task to an address in the step's result."""

    field: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """Return the address: Airflow asks where the task ran, and keeps it as an XCom."""
        return getattr(operator, self.field, "")


class MlflowRunLink(ResultLink):
    """The button from a task to its MLflow run."""

    name, field = "MLflow run", "mlflow_run_url"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """Return the address, on MLflow's pages for trained models."""
        return training_page(super().get_link(operator, ti_key=ti_key))


class ReportLink(ResultLink):
    """The button from a task to the report that it wrote or read."""

    name, field = "Report", "report_url"


class PackageLink(ResultLink):
    """The button from a task to the files of the package that it made."""

    name, field = "Package", "artifacts_url"


LINKS = (MlflowRunLink(), ReportLink(), PackageLink())


class Skipping(Reading, SkipMixin):
    """A task that skips those directly behind it that the run does not need."""

    inherits_from_skipmixin = True  # Airflow reads it, to skip those tasks again where they are cleared

    def why_needless(self, context: Context) -> str:
        """Say why a run does not need this task; empty if it does.

        `context` is that of the task before, or of this task where it runs by itself.
        """
        return ""

    def refuse_needless(self, context: Context) -> None:
        """Raise AirflowSkipException if the run does not need this task, started by itself."""
        if reason := self.why_needless(context):
            raise AirflowSkipException(reason)

    def skip_needless(self, returned: object, context: Context) -> None:
        """Skip the tasks behind that the run does not need."""
        behind = [task for task in self.downstream_list if isinstance(task, Skipping)]
        needless = {task: reason for task in behind if (reason := task.why_needless(context))}
        for task, reason in needless.items():
            self.log.info("%s is skipped: %s", task.task_id, reason)
        if needless:
            if returned is not None:  # skipping ends this task, and Airflow would drop what it returns
                context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, returned)
            self.skip(context["ti"], needless)


class StepOperator(Skipping):
    """One step of `python -m tasks`; a subclass defines where it runs.

    Args:
        step: sub-command of `python -m tasks`.
        form: the DAG's options, see `_form.Form`.
        options: the option models that the step takes.
        passes: names of resolved values that the step takes besides, such as `dataset`.
        inputs: further flags; templated, and `{store}`, `{key}` and `{recipe}` are filled in.
        mapped: one element of the list that the task, or the group around it, is expanded over; templates reach it as `task.mapped`.
        overlay: template of a JSON object whose options override the form's.
        returns: name of the result's list that later tasks are expanded over. It is the task's return value, because Airflow expands over
            nothing else; the whole result is the XCom `result`.
        image: of the step's container.
        switch: name of an option; where it is `off`, the task is skipped.
        feeds: id of the task whose result is a `PlanResult`, and the input that this task makes. If the plan's networks do not need it, the
            task is skipped.
        gpu: whether it uses a GPU if there is one. Such a task waits in the queue `gpu`, others in `cpu`, unless `queue` says otherwise.
    """

    template_fields = ("mapped", "overlay", "inputs")  # in this order: the others may refer to `task.mapped`
    operator_extra_links = LINKS
    ui_color = "#e8f0fe"
    provider_arguments: ClassVar[dict[str, Any]] = {}
    """Arguments for the provider's operator."""

    def __init__(
        self,
        *,
        step: str,
        form: Form,
        options: tuple[type[Options], ...] = (),
        passes: tuple[str, ...] = (),
        inputs: dict[str, str] | None = None,
        mapped: dict[str, str] | None = None,
        overlay: str | None = None,
        returns: str | None = None,
        image: ImageKind = "worker",
        switch: str = "",
        feeds: tuple[str, str] | None = None,
        gpu: bool = False,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own arguments
    ) -> None:
        super().__init__(**{"queue": _queue(gpu), **self.provider_arguments, **kwargs})
        self.step = step
        self.form = form
        self.options = options
        self.passes = passes
        self.inputs = inputs
        self.mapped = mapped
        self.overlay = overlay
        self.returns = returns
        self.image_kind = image
        self.switch = switch
        self.feeds = feeds
        self.gpu = gpu
        self._ended: tuple[list[str], dict[str, Any]] | None = None

    @classmethod
    def partial(cls, *, gpu: bool = False, **kwargs: Any) -> OperatorPartial:  # noqa: ANN401 - Airflow's own arguments
        """Set the queue of a mapped task: the scheduler reads it before any operator exists."""
        return super().partial(gpu=gpu, **{"queue": _queue(gpu), **kwargs})

    def execute(self, context: Context) -> Returned:
        """Run the step and return its result, or the list that `returns` names.

        The step's stderr goes into the task's log.

        Raises:
            AirflowFailException: bad input, wrong configuration or a bug, which a retry does not fix.
            AirflowSkipException: there was nothing to do, or the run does not need the task.
            AirflowException: everything else.
        """
        self.refuse_needless(context)
        values = self.values(context)
        flags = command_flags(self, values)
        self.log.info("python -m tasks %s", without_secrets(" ".join((self.step, *flags))))
        try:
            result = self.run_step(flags, context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            name = self.task_id.rpartition(".")[2]  # without its groups
            context["ti"].xcom_push(FAILURE, {"step": name, "map_index": context["ti"].map_index, "reason": str(error)})
            raise
        return self.conclude(result, values, context)

    def why_needless(self, context: Context) -> str:
        """Say which option switches the task off, or that no network needs its input."""
        if self.switch and self.values(context)[self.switch] == "off":
            return f"the option {self.switch} is off"
        if self.feeds:
            plan, made = self.feeds
            inputs = result_of(plan, context).get("inputs")
            if inputs is not None and made not in inputs:
                return f"no network of this run needs {made}"
        return ""

    def values(self, context: Context) -> dict[str, Any]:
        """Resolve the options of the run, and put those of the overlay in their place."""
        overlay: dict[str, Any] = json.loads(self.overlay) | {"preset": "none"} if self.overlay else {}
        return resolve(context, self.form) | overlay

    @abstractmethod
    def run_step(self, flags: list[str], context: Context) -> dict[str, Any]:
        """Run the step to its end and return its result; raises as `execute` does."""

    def conclude(self, result: dict[str, Any], values: Mapping[str, Any], context: Context) -> Returned:
        """Hand `result` to Airflow: the links, the asset events and the XComs."""
        for link in LINKS:
            setattr(self, link.field, result.get(link.field, ""))
        self._ended = (command_flags(self, values), result)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = self.form.handover(values)
        returned: Returned = result
        if self.returns is not None:
            context["ti"].xcom_push("result", result)
            returned = result[self.returns]
        self.skip_needless(returned, context)
        return returned

    def get_openlineage_facets_on_complete(self, _: object) -> "OperatorLineage[Any, Any]":
        """Name what the step read and wrote. Only Airflow's provider for OpenLineage calls this."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import Dataset

        from tasks.pipeline.commands import STEPS, parse

        if self._ended is None:
            return OperatorLineage()
        flags, result = self._ended
        _command, arguments = parse([self.step, *flags])
        step = STEPS[self.step]
        read, written = step.lineage(arguments, step.result.model_validate(result))
        inputs, outputs = ([Dataset(*dataset_name(address)) for address in addresses] for addresses in (read, written))
        return OperatorLineage(inputs=inputs, outputs=outputs)


def dataset_name(address: str) -> tuple[str, str]:
    """Split an address into OpenLineage's namespace and name, such as `s3://bucket` and `runs/KEY/train`."""
    scheme, separator, rest = without_secrets(address).partition("://")
    host, _, name = rest.partition("/")
    return (f"{scheme}://{host}", name.rstrip("/") or "/") if separator else ("file", scheme)


def command_flags(step: StepOperator, values: Mapping[str, Any]) -> list[str]:
    """Make the flags of `step` from resolved `values`; leave out None."""
    names = (*(name for model in step.options for name in model.model_fields), *step.passes)
    where = places(values, step.form)
    addresses = {name: _filled(text, where) for name, text in (step.inputs or {}).items()}
    flags = {"store": values["store"], **{name: values[name] for name in names}, **addresses}
    return [flag for name, value in flags.items() for flag in _spelled(name, value)]


def settings_of(model: type[S]) -> S:
    """Load settings from the environment.

    Raises:
        AirflowFailException: a variable is missing or malformed; the message names each.
    """
    try:
        return load(model)
    except BadConfiguration as error:
        raise AirflowFailException(str(error)) from None


def raise_outcome(step: str, code: int, last_line: str) -> Never:
    """Raise the exception by which Airflow fails, retries or skips a step that ended.

    The message is the step's last line on stderr.

    Raises:
        AirflowFailException: no retry.
        AirflowSkipException: nothing to do.
        AirflowException: a retry, where the task has one left.
    """
    outcomes: dict[int, tuple[type[AirflowException], str]] = {
        BadInput.exit_code: (AirflowFailException, ""),
        RetakeError.exit_code: (AirflowFailException, f"{step} has a bug: "),
        BadConfiguration.exit_code: (AirflowFailException, ""),
        NothingToDo.exit_code: (AirflowSkipException, ""),
        Unavailable.exit_code: (AirflowException, ""),
    }
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    exception, prefix = outcomes.get(code, (AirflowException, f"{step} ended with {how}: "))
    raise exception(prefix + (message_of(last_line) or "nothing on stderr"))


def raise_out_of_memory(step: str, variable: str) -> Never:
    """Raise that a step reached the memory limit of `variable`; a retry may have more."""
    raise AirflowException(
        f"{step} reached the memory limit of its container; raise {variable}, or choose options that need less, such as a smaller batch size"
    )


def _queue(gpu: bool) -> str:
    return "gpu" if gpu else "cpu"


def _filled(text: str, where: Mapping[str, str]) -> str:
    """Fill in the places; str.format would also read attributes of the values."""
    for name, value in where.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _spelled(name: str, value: object) -> list[str]:
    """Spell one option as flags, as `--name=value`: a value may start with a dash."""
    flag = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}={item}" for item in (value if isinstance(value, list) else [value])]
