"""What is wrong with the values that people gave, in words: pydantic's errors, with what was given."""

from pydantic import BaseModel, ValidationError


def refusals(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """For each value that `model` refused: the option's name, empty where several contradict each other, and what is wrong with it."""
    return [(".".join(map(str, one["loc"])), _reason(one["type"], one["msg"], one["input"], one["loc"], model)) for one in error.errors()]


def _reason(kind: str, message: str, given: object, place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    message = message.removeprefix("Value error, ")
    field = model.model_fields.get(str(place[0])) if place else None
    if field is None or kind in ("value_error", "missing"):
        return message
    if kind == "string_pattern_mismatch":
        return f"{given!r} is not of the form that it needs: {field.description or field.title}"
    return f"{message}, and not {given!r}"
