"""Turn pydantic's validation errors into plain words that quote the given value without secrets."""

from pydantic import BaseModel, ValidationError

from tasks.wording import without_secrets


def refusals(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """List option name and reason for each rejected value.

    The name is empty if several options contradict each other.
    """
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
    if kind == "string_pattern_mismatch":
        return f"{given!r} does not have the required form: {field.description or field.title}"
    return f"{message}, and not {given!r}"
