"""Define the base class of options, and the patterns of their values."""

from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

AnyOptions = TypeVar("AnyOptions", bound=BaseModel)
MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
STORE_URI_PATTERN = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\.*[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?$"
"""A bucket, and folders of which none is `.`, `..` or empty."""
StoreUri = Annotated[str, Field(pattern=STORE_URI_PATTERN)]


class Options(BaseModel):
    """A closed, immutable set of options.

    `section` is the heading of the fields that the class itself declares in a trigger form.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str]

    def picked(self, model: type[AnyOptions]) -> AnyOptions:
        """Select the options that `model` declares."""
        return model.model_validate({name: getattr(self, name) for name in model.model_fields})
