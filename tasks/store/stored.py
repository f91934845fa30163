"""Define addresses with the model of the stored record, and check keys and folders.

| | `place_uri`, as declared | `uri` of its record | `folder_uri`, below which others lie |
| --- | --- | --- | --- |
| `Stored`, a record | the record | the record | |
| `Output`, the folder of a step | the folder | `result.json` in it, the commit mark | the folder |
| `Place`, any other folder | | | the folder |

A step writes its commit mark last: where it lies, the folder is complete.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, get_args

from pydantic import BaseModel

from tasks.errors import BadConfiguration, BadInput
from tasks.settings import CONNECTION_NAME

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P")
K = TypeVar("K", str, int)
FIELD = re.compile(r"\{(\w+):?(\w*)\}")
"""The key or the number in a pattern, and its format."""


@dataclass(frozen=True)
class Stored(Generic[M]):
    """A record in the store by its model and address, perhaps a template of Airflow."""

    place_uri: str
    model: type[M]

    @property
    def uri(self) -> str:
        """Return the address of the record."""
        return self.place_uri


@dataclass(frozen=True)
class Place:
    """A folder of places that a subclass declares; its address ends with a slash."""

    folder_uri: str


class Folder(Place):
    """A folder of files under names that people chose."""

    def file(self: "HasFolder", name: str) -> str:
        """Return the address of a file; its name may name folders in between."""
        return f"{self.folder_uri}{name}"

    def name_of(self: "HasFolder", uri: str) -> str:
        """Return the name of a file from its address."""
        return uri.removeprefix(self.folder_uri)


@dataclass(frozen=True)
class Output(Stored[M]):
    """The folder of a step, ending in a slash; its record is the commit mark."""

    @property
    def uri(self) -> str:
        """Return the address of the commit mark."""
        return f"{as_folder(self.place_uri)}result.json"

    @property
    def folder_uri(self) -> str:
        """Return the address that the step writes under."""
        return self.place_uri

    file, name_of = Folder.file, Folder.name_of


class OutputOf(Output[M]):
    """An output whose subclass names the model: `class Training(OutputOf[TrainResult])`."""

    def __init__(self, place_uri: str) -> None:
        (base,) = vars(type(self))["__orig_bases__"]  # as the class was written
        super().__init__(place_uri, get_args(base)[0])


class HasFolder(Protocol):
    """A place or an output, which other places can be declared below."""

    @property
    def folder_uri(self) -> str:
        """Return the address of the folder."""


class Below(Generic[P]):
    """An attribute that is a place below its owner's folder: `train = Below("train/", Training)`."""

    def __init__(self, name: str, make: Callable[[str], P]) -> None:
        self._name = name
        self._make = make

    def __get__(self, owner: HasFolder, kind: type) -> P:
        return self._make(f"{owner.folder_uri}{self._name}")


class Keyed(Generic[K, P]):
    """An attribute that finds a place below its owner's folder by key or number.

    With `run = keyed("runs/{key}/", Run)`, `layout.run("0123")` is a `Run`.
    """

    def __init__(self, pattern: str, make: Callable[[str], P]) -> None:
        self.pattern = pattern
        self._make = make

    def __get__(self, owner: HasFolder, kind: type) -> Callable[[K], P]:
        # "runs/{key}/" -> "runs/", "key", "", "/"
        before, _, spec, after = FIELD.split(self.pattern)
        return lambda key: self._make(f"{owner.folder_uri}{before}{format(key, spec)}{after}")


def keyed(pattern: str, make: Callable[[str], P]) -> Keyed[str, P]:
    """Declare places by a key, such as `{key}` in the pattern of their name."""
    return Keyed(pattern, make)


def numbered(pattern: str, make: Callable[[str], P]) -> Keyed[int, P]:
    """Declare places by a number, such as `{number:04d}`."""
    return Keyed(pattern, make)


def stored(model: type[M]) -> Callable[[str], Stored[M]]:
    """Make records of this model, for places declared by a key or a number."""
    return lambda uri: Stored(uri, model)


def made(model: type[M]) -> Callable[[str], Output[M]]:
    """Make folders of steps with this commit mark, for places declared by key or number."""
    return lambda uri: Output(uri, model)


def file(name: str) -> Below[str]:
    """Declare a file, or a folder that is only listed, by its address."""
    return Below(name, str)


def record(name: str, model: type[M]) -> Below[Stored[M]]:
    """Declare a record."""
    return Below(name, stored(model))


def output(name: str, model: type[M]) -> Below[Output[M]]:
    """Declare the folder of a step, by the model of its commit mark."""
    return Below(name, made(model))


def last_name(folder: str) -> str:
    """Return the name of a folder from its address."""
    return folder.rstrip("/").rpartition("/")[2]


MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = 255
UNSTORABLE_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""A listing is XML, which has no spelling for these."""
_SCHEME = re.compile(rf"s3(?:\+(?P<connection>{CONNECTION_NAME}))?://")


def split_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` or `s3+name://bucket/key` into bucket and key, which may be empty.

    Raises:
        BadConfiguration: it is no such address.
    """
    scheme = _SCHEME.match(uri)
    bucket, _, key = uri[scheme.end() :].partition("/") if scheme else ("", "", "")
    if not bucket:
        raise BadConfiguration(f"{uri!r} is not an address in the object store; write s3://bucket/key")
    return bucket, key


def without_connection(uri: str) -> str:
    """Return an object's address as other tools know it, `s3://bucket/key`."""
    return f"s3://{'/'.join(split_uri(uri))}"


def connection_of(uri: str) -> str | None:
    """Return the name of the connection in `s3+name://bucket/key`; None for any other text."""
    scheme = _SCHEME.match(uri)
    return scheme["connection"] if scheme else None


def bucket_uri(bucket: str) -> str:
    """Return the address of a bucket."""
    return f"s3://{bucket}"


def without_scheme(uri: str) -> str:
    """Return the bucket, or the folder in it, as people name it elsewhere."""
    return uri.removeprefix("s3://").rstrip("/")


def as_folder(uri: str) -> str:
    """Add the slash at the end of a folder's address, if it is missing."""
    return f"{uri.rstrip('/')}/"


def has_key(uri: str) -> bool:
    """Check whether an s3:// address has both a bucket and a key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bool(bucket and key)


def names_objects(source: str) -> bool:
    """Check whether a source names objects, by a pattern, a folder or a connection."""
    return bool(connection_of(source)) or (source.startswith("s3://") and ("*" in source or source.endswith("/")))


def check_key(uri: str) -> None:
    """Reject an address under which no server can store an object.

    Raises:
        BadInput: a name in it is too long for a file's, is `.` or `..`, or holds characters that no listing can spell.
        BadConfiguration: it is no address, or one of a connection, from which objects are only read.
    """
    _, key = split_uri(uri)
    if connection_of(uri):
        raise BadConfiguration(f"{uri!r} is on another server than the store, where nothing is written; write s3://bucket/key")
    if unstorable := UNSTORABLE_CHARACTERS.search(key):
        raise BadInput(f"its name holds {unstorable[0]!r}, which no object store can list; rename the file ({uri!r})")
    # Servers that store objects as files treat a backslash as a slash.
    for name in key.replace("\\", "/").split("/"):
        if name in (".", ".."):
            raise BadInput(f"its name holds {name!r} as the name of a folder, which no object store takes; rename the file ({uri!r})")
        if (num_bytes := len(name.encode())) > MAX_NAME_BYTES:
            raise BadInput(f"its name in the object store has {num_bytes} bytes, and {MAX_NAME_BYTES} are the limit; rename the file")
    if (num_bytes := len(key.encode())) > MAX_KEY_BYTES:
        raise BadInput(f"its path in the object store has {num_bytes} bytes, and {MAX_KEY_BYTES} are the limit; choose shorter names")
