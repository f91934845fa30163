"""An address together with the model of the record that is stored at it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Stored(Generic[M]):
    """A record in the store: its address, or the template of one, and its model."""

    place: str
    model: type[M]

    @property
    def uri(self) -> str:
        """Give the address of the record."""
        return self.place


@dataclass(frozen=True)
class Output(Stored[M]):
    """The folder of a step, with a slash at the end; its record is the commit mark."""

    @property
    def uri(self) -> str:
        """Give the address of the commit mark."""
        return f"{self.place.rstrip('/')}/result.json"

    @property
    def folder(self) -> str:
        """Give the address that the step writes under."""
        return self.place

    def file(self, name: str) -> str:
        """Give the address of a file beside the commit mark."""
        return f"{self.place}{name}"
