"""Make trigger forms from option models, and resolve the options of a run."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowFailException
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from tasks.keys import form_key, recipe_of
from tasks.options import (
    NO_LOGIN_PATTERN,
    PRESETS,
    UNKEYED_PRESETS,
    ChampionExportOptions,
    CleanUpOptions,
    LearningCurveOptions,
    Options,
    PresetOptions,
    RetrainOptions,
    SegmentOptions,
    StoreRoot,
    TrainOptions,
    with_recipe,
)
from tasks.options.base import refusals
from tasks.options.dag_options import REMOVED, removal
from tasks.settings import RunnerSettings
from tasks.wording import without_secrets

M = TypeVar("M", bound=BaseModel)
log = logging.getLogger(__name__)

NO_LOGIN = "give no address with a user and password, which Airflow would keep with the run; put the file into the store, or use an address that expires"

PASSED_OVER = "passed_over"
"""Key of the XCom that says which events of several a run did not take."""

UNKEYED = frozenset((*LearningCurveOptions.model_fields, *ChampionExportOptions.model_fields, "min_new_labels", "max_hours"))
"""Options that have no part in the key of a form: they change neither weights, a plan that is made, nor the files that were seen."""


class StoreOptions(Options):
    """Choose the store that a run reads and writes."""

    section: ClassVar[str] = "Store"

    store: StoreRoot = Field(
        default_factory=lambda: RunnerSettings().store_uri,
        title="Store",
        description="The bucket, or a prefix in it, that holds all data, such as s3://retake",
        validate_default=True,
    )


class CleanUpForm(CleanUpOptions):
    """Choose whether a clean-up deletes, by default as RETAKE_CLEAN_UP says."""

    dry_run: bool = Field(
        default_factory=lambda: RunnerSettings().clean_up == "list",
        title=CleanUpOptions.model_fields["dry_run"].title,
        description=CleanUpOptions.model_fields["dry_run"].description,
    )


class ThenOptions(Options):
    """Set the options of the runs that this one starts through its asset."""

    section: ClassVar[str] = "Runs that follow"

    then: Annotated[dict[str, Any] | None, AfterValidator(lambda then: then or None)] = Field(
        None,
        title="Options for the runs that follow",
        description='One flat JSON object, such as {"val_share": 0.2, "epochs": 6}; empty: their defaults',
    )


class Handover(BaseModel):
    """The extra of an asset event.

    Other keys are ignored, such as those of an event made by hand.
    """

    store: str | None = None
    params: dict[str, Any] = {}


@dataclass(frozen=True)
class Form:
    """The options of one DAG.

    `first` names the fields that most runs need: they open the form, in this order. Those of `more` are in collapsed sections, by default all
    others. A field in neither is hidden: it is taken from `conf`, from assets and from links. The runs that follow get the same values for
    `shared`; only they have the options of `then`.
    """

    options: tuple[type[Options], ...]
    first: tuple[str, ...] = ()
    more: tuple[str, ...] | None = None
    shared: tuple[type[Options], ...] = ()
    then: tuple[type[Options], ...] = ()

    def params(self) -> dict[str, Param]:
        """Make a Param per field; the page of links finds hidden ones in `store`'s schema."""
        params = {
            name: param for model in self.models() for name, param in _params(model, self.first, has_recipe=PresetOptions in self.options)
        }
        shown = (*self.first, *(name for name in params if name not in self.first and (self.more is None or name in self.more)))
        hidden = {name: param for name, param in params.items() if name not in shown}
        if hidden:
            params["store"].schema["hidden"] = {
                name: {"value": param.value, "description": param.description, "schema": param.schema} for name, param in hidden.items()
            }
        return {name: params[name] for name in shown}

    def models(self) -> tuple[type[Options], ...]:
        """List every model of the form, in order."""
        return (StoreOptions, *self.options, *([ThenOptions] if self.then else []))

    def handover(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Make the extra of the asset event that ends a run with these resolved `values`."""
        shared = {name: values[name] for name in _names(self.shared)}
        return Handover(store=values["store"], params={**shared, **(values["then"] or {} if self.then else {})}).model_dump()


def resolve(context: Context, form: Form) -> dict[str, Any]:
    """Resolve the options of a run, with `force_token` and `decide_token` for `force` and `decide_again`.

    The options of a recipe of the code take the place of defaults. Only a step can resolve `auto`, for it knows the clips, and a saved recipe.

    A manual run has the values of its form, a scheduled run the defaults. A run started by assets has the defaults, overridden by those
    options of one event that this DAG knows.

    Raises:
        AirflowFailException: options are unknown or out of range; the message names each.
    """
    given = given_options(context, form)
    values: dict[str, Any] = {}
    for model in form.models():
        values |= _validated(model, given)
    if form.then:
        then = _without_removed(values["then"] or {})
        _refuse_unknown(then, _names(form.then), "then.")
        for model in form.then:
            _validated(model, then, "then.")
        values["then"] = then or None
    if recipe := PRESETS.get(values.get("preset", "")):
        values = with_recipe(recipe, values)
        _validated(TrainOptions, values, f"preset {values['preset']}: ")
    if RetrainOptions in form.options:
        for option, token in (("force", "force_token"), ("decide_again", "decide_token")):
            values[token] = context["run_id"] if values.pop(option) else None
    return values


def given_options(context: Context, form: Form) -> dict[str, Any]:
    """Collect the options of a run as its form or its event gives them.

    Raises:
        AirflowFailException: one is unknown.
    """
    given = _without_removed(context["params"])
    known = _names(form.models())
    if event := _event(context, form):
        params = _without_removed(event.params)
        given |= {name: value for name, value in params.items() if name in known or name in REMOVED}
        if event.store is not None:
            given["store"] = event.store
        if form.then:
            given["then"] = {name: value for name, value in params.items() if name in _names(form.then)}
    _refuse_unknown(given, known)
    # Those of hidden fields and of `then`, which Airflow does not check.
    if kept := [name for name, value in given.items() if not re.match(NO_LOGIN_PATTERN, json.dumps(value))]:
        raise AirflowFailException(f"{', '.join(kept)}: {NO_LOGIN}; delete this run, and change the password")
    return given


def places(values: Mapping[str, Any], form: Form) -> dict[str, str]:
    """Fill in `{store}`, `{key}` and, for DAGs with cutting options, `{recipe}` of addresses."""
    removed = {name: value for model in form.models() for name, value in model.all_retired().items()}
    unkeyed = {*UNKEYED, *(["preset"] if values.get("preset") in UNKEYED_PRESETS else [])}
    cut = {name: values[name] for name in SegmentOptions.model_fields if name in values}
    recipe = {"recipe": recipe_of(SegmentOptions.model_validate(cut))} if cut else {}
    return {
        "store": values["store"],
        "key": form_key(removed | {name: value for name, value in values.items() if name not in unkeyed}, *form.models()),
        **recipe,
    }


def _params(model: type[Options], first: tuple[str, ...], *, has_recipe: bool) -> Iterable[tuple[str, Param]]:
    schema = model.model_json_schema()
    defaults = model().model_dump(mode="json")
    for name, field in schema["properties"].items():
        field = _flat(field, schema.get("$defs", {}))
        # A form that takes no login says so; Airflow refuses by the pattern before it keeps anything.
        takes_address = NO_LOGIN_PATTERN in (field.get("pattern"), field.get("items", {}).get("pattern"))
        login = NO_LOGIN[0].upper() + NO_LOGIN[1:] if takes_address else None
        recipe = "The recipe may replace this default" if has_recipe and name in TrainOptions.model_fields else None
        help_text = ". ".join(filter(None, (field.pop("description", None), _limits(field), login, recipe, f"Option: {name}")))
        owner = next(base for base in model.__mro__ if issubclass(base, Options) and name in vars(base).get("__annotations__", {}))
        placed: dict[str, Any] = {} if name in first else {"section": owner.section}
        yield name, Param(defaults[name], description=help_text, **placed, **field)


def _flat(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Inline references and unions of a field's JSON schema: Airflow's form does not follow them."""
    parts = [definitions[part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part for part in field.get("anyOf", [field])]
    flat = {key: value for part in parts for key, value in part.items() if key not in ("title", "description", "type", "default")}
    types = [part["type"] for part in parts]
    if types == ["array"] and field.get("default") == []:
        types.append("null")  # Airflow's form makes null of an emptied list, and marks fields without null as required
    flat["type"] = types[0] if len(types) == 1 else sorted(types)
    return flat | {key: field[key] for key in ("title", "description") if key in field}


def _limits(field: Mapping[str, Any]) -> str | None:
    """Word the limits of a number."""
    words = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    if "minimum" in field and "maximum" in field:
        return f"Allowed: {field['minimum']} to {field['maximum']}"
    limits = ", ".join(f"{word} {field[key]}" for key, word in words.items() if key in field)
    return f"Allowed: {limits}" if limits else None


def _event(context: Context, form: Form) -> Handover | None:
    """Choose the event whose options a run takes.

    It is the latest with known options that are no defaults, else the latest. The log and the run's note name the others, so that a person
    can start a run for each.
    """
    events = sorted((event for group in context["triggering_asset_events"].values() for event in group), key=lambda event: event.timestamp)
    if not events:
        return None
    defaults = {name: value for model in (*form.models(), *form.then) for name, value in model().model_dump(mode="json").items()}
    handovers = [_checked(Handover, event.extra, "asset event: ") for event in events]
    changed = [{name: value for name, value in handover.params.items() if value != defaults.get(name, value)} for handover in handovers]
    number = max(range(len(events)), key=lambda number: (bool(changed[number]), number))
    described = [
        without_secrets(f"{handover.store or 'no store'} with {json.dumps(given)}")
        for handover, given in zip(handovers, changed, strict=True)
    ]
    if passed_over := sorted(set(described) - {described[number], f"{handovers[number].store or 'no store'} with {{}}"}):
        others = "; ".join(passed_over)
        note = f"several events started this run; it takes {described[number]}, so trigger it by hand for {others}"
        log.warning("%s", note)
        context["ti"].xcom_push(PASSED_OVER, note)
    return handovers[number]


def _validated(model: type[Options], given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    known = {name: given[name] for name in model.model_fields if name in given}
    known |= {name: [] for name, value in known.items() if value is None and model.model_fields[name].default == []}
    return _checked(model, known, prefix).model_dump(mode="json")


def _checked(model: type[M], given: Mapping[str, Any], prefix: str) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{prefix}{name or 'options'}: {reason}" for name, reason in refusals(error, model))
        raise AirflowFailException(problems) from None


def _without_removed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Drop options that were removed, where they have their defaults, as saved forms give them."""
    return {name: value for name, value in given.items() if name not in REMOVED or value != REMOVED[name]}


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], prefix: str = "") -> None:
    if removed := removal(given, prefix):
        raise AirflowFailException(removed)
    if unknown := sorted(set(given).difference(known)):
        raise AirflowFailException(f"unknown options: {', '.join(prefix + name for name in unknown)}; known are {', '.join(sorted(known))}")


def _names(models: Iterable[type[Options]]) -> tuple[str, ...]:
    return tuple(name for model in models for name in model.model_fields)
