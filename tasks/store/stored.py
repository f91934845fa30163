"""An address together with the model of the record that is stored at it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Stored(Generic[M]):
    """A record in the store: its address, or the template of one, and its model."""

    place_uri: str
    model: type[M]

    @property
    def uri(self) -> str:
        """Give the address of the record."""
        return self.place_uri


@dataclass(frozen=True)
class Folder:
    """A folder of files under names that people chose; its address ends with a slash."""

    folder_uri: str

    def file(self, name: str) -> str:
        """Give the address of a file; its name may name folders in between."""
        return f"{self.folder_uri}{name}"

    def name_of(self, uri: str) -> str:
        """Give the name of a file from its address."""
        return uri.removeprefix(self.folder_uri)


@dataclass(frozen=True)
class Output(Stored[M]):
    """The folder of a step, with a slash at the end; its record is the commit mark."""

    @property
    def uri(self) -> str:
        """Give the address of the commit mark."""
        return mark_of(self.place_uri)

    @property
    def folder_uri(self) -> str:
        """Give the address that the step writes under."""
        return self.place_uri

    def file(self, name: str) -> str:
        """Give the address of a file beside the commit mark."""
        return Folder(self.place_uri).file(name)

    def name_of(self, uri: str) -> str:
        """Give the name of a file beside the commit mark."""
        return Folder(self.place_uri).name_of(uri)


def mark_of(folder: str) -> str:
    """Give the address of the commit mark of a step that writes to a folder."""
    return f"{folder.rstrip('/')}/result.json"
