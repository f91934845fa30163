"""Parse the failures of mapped tasks that a runner hands to a later step."""

from pydantic import BaseModel, TypeAdapter, ValidationError

from tasks.errors import BadConfiguration


class Failure(BaseModel):
    """A failed step."""

    map_index: int
    step: str
    reason: str


def parse_failures(text: str) -> list[Failure]:
    """Parse the flag `--failures`.

    Raises:
        BadConfiguration: it is not a list of failures.
    """
    try:
        return TypeAdapter(list[Failure]).validate_json(text)
    except ValidationError as error:
        raise BadConfiguration(f"--failures is not a list of failures: {error.errors()[0]['msg']}") from None
