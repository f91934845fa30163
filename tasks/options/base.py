"""Define the base class of options, patterns of values, and the words of refusals."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from tasks.errors import BadConfiguration
from tasks.wording import without_secrets

STORED: dict[str, Any] = {"is": "stored"}
"""The context in which pydantic validates records of the store."""
AnyOptions = TypeVar("AnyOptions", bound=BaseModel)
MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
STORE_URI_PATTERN = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\.*[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?$"
"""A bucket, and folders; none is `.`, `..` or empty."""
StoreUri = Annotated[str, Field(pattern=STORE_URI_PATTERN)]
StoreRoot = Annotated[StoreUri, AfterValidator(lambda uri: uri.rstrip("/"))]
"""The address of a whole store: with a slash at the end it is the same store."""
NO_LOGIN_PATTERN = r"^(?![\s\S]*://(?:[^/?#\s\"]{0,999}@|[^/?#\s\"\[]{0,999}:(?!\d{1,5}[/?#])[^\s\"]{0,999}@))"
"""Digits behind a colon, up to `/`, `?` or `#`, are a port; all else up to an `@` is a password, which may have a slash. The lengths bound the time."""
Address = Annotated[str, Field(json_schema_extra={"pattern": NO_LOGIN_PATTERN})]
"""Text that may be an address. A form refuses one with a user and a password, which Airflow would keep; a command line takes it."""


class Options(BaseModel):
    """A closed, immutable set of options.

    `section` is the heading in a trigger form of the fields that the class itself declares. Records of earlier versions may have `retired`
    options, given here with their defaults, and `retired_values` of options or of members of their lists. Those that are not defaults are
    kept in `gone`, and written again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str]
    retired: ClassVar[Mapping[str, Any]] = {}
    retired_values: ClassVar[Mapping[str, Collection[str]]] = {}
    _gone: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def all_retired(cls) -> dict[str, Any]:
        """Return the retired options, also of base classes, with their defaults."""
        return _of_all(cls, "retired")

    @property
    def gone(self) -> Mapping[str, Any]:
        """Return the options of a record that cannot be chosen any more."""
        return self._gone

    def require_current(self, of: str) -> None:
        """Raise `BadConfiguration` if a record asks for options that are gone."""
        if self.gone:
            said = ", ".join(f"{name}={value}" for name, value in self.gone.items())
            raise BadConfiguration(f"{of} is from an earlier version, with options that were removed: {said}; start anew without them")

    def keyed(self, **chosen: Any) -> dict[str, Any]:  # noqa: ANN401 - as `model_dump` takes them
        """Dump the options for a key, with retired ones, so that earlier keys stay."""
        return self.all_retired() | self.model_dump(mode="json", **chosen)

    @model_validator(mode="wrap")
    @classmethod
    def _read_retired(cls, given: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:  # noqa: ANN401 - of any kind
        if info.context is not STORED or not isinstance(given, Mapping):
            return handler(given)
        retired, values = cls.all_retired(), _of_all(cls, "retired_values")
        gone = {
            name: value
            for name, value in given.items()
            if (name in retired and value != retired[name])
            or any(each in values.get(name, ()) for each in (value if isinstance(value, list) else [value]))
        }
        options = handler({name: value for name, value in given.items() if name not in retired and name not in gone})
        options._gone = gone
        return options

    @model_serializer(mode="wrap")
    def _write_gone(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        kept = self._gone.keys() if info.include is None else self._gone.keys() & info.include
        return written | {name: value for name, value in self._gone.items() if name in kept and name not in (info.exclude or ())}

    def picked(self, model: type[AnyOptions]) -> AnyOptions:
        """Select the options that `model` declares."""
        return model.model_validate({name: getattr(self, name) for name in model.model_fields})


def _of_all(model: type, name: str) -> dict[str, Any]:
    """Merge a mapping of a class with those of its base classes."""
    return {key: value for base in reversed(model.__mro__) for key, value in vars(base).get(name, {}).items()}


def refusals(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """List name (empty if options contradict one another) and reason for each rejected value."""
    return [
        (
            ".".join(map(str, problem["loc"])),
            without_secrets(_reason(problem["type"], problem["msg"], problem["input"], problem["loc"], model)),
        )
        for problem in error.errors()
    ]


def _reason(kind: str, message: str, given: object, place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    message = message.removeprefix("Value error, ")
    field = model.model_fields.get(str(place[0])) if place else None
    if field is None or kind in ("value_error", "missing"):
        return message
    if given in _of_all(model, "retired_values").get(str(place[0]), ()):
        return f"{given} was removed; choose another, or leave it out"
    if kind == "string_pattern_mismatch":
        return f"{given!r} does not have the required form: {field.description or field.title}"
    return f"{message}, and not {given!r}"
