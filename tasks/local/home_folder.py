"""Manage the folder of all local state: credentials, lock, and people who may log in."""

import base64
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tasks.disk import expanded
from tasks.errors import BadConfiguration

READ_OTHERWISE = re.compile(r"\?|%[0-9A-Fa-f]{2}|,|\$\w")
"""SQLAlchemy reads `?` and `%41`, the object store a comma, Airflow `$x` as something else."""
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Home:
    """`.retake/` at the repository's root, or the folder that RETAKE_HOME names."""

    root: Path

    @classmethod
    def find(cls) -> "Home":
        """Find the home of this checkout, without creating it.

        Raises:
            BadConfiguration: RETAKE_HOME names a user that does not exist.
        """
        return cls(expanded(os.environ.get("RETAKE_HOME") or REPOSITORY / ".retake").resolve())

    def make(self) -> None:
        """Create the folder without access for other users: it holds videos and databases.

        Raises:
            BadConfiguration: it cannot be written, or a server would read its path otherwise.
        """
        if odd := READ_OTHERWISE.search(str(self.root)):
            raise BadConfiguration(f"{self.root}: a server would read {odd[0]} as something else; set RETAKE_HOME to another folder")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise BadConfiguration(f"{self.root} cannot be written ({error.strerror}); set RETAKE_HOME to a folder of yours") from None

    def folder(self, name: str) -> Path:
        """Create a sub-folder unless it exists."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def credentials_file(self) -> Path:
        """Locate the generated keys and passwords."""
        return self.root / "credentials.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock out other commands that start or stop servers.

        Raises:
            BadConfiguration: another command holds the lock.
        """
        self.make()
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it if this process dies
            except BlockingIOError:
                file.seek(0)
                raise BadConfiguration(
                    f"another `make run` or `make stop` is running in {self.root} (process {file.read().strip() or 'unknown'}); "
                    "wait for it, or end it with Ctrl-C in its terminal"
                ) from None
            with suppress(OSError):  # on a full disk, the servers can be stopped
                os.truncate(file.fileno(), 0)
                os.write(file.fileno(), str(os.getpid()).encode())
            yield


def _token() -> str:
    return secrets.token_urlsafe(24)


class Credentials(BaseModel):
    """The keys and passwords of the local servers, generated once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store_access_key: str = Field(default_factory=lambda: secrets.token_hex(10))
    store_secret_key: str = Field(default_factory=_token)
    airflow_password: str = Field(default_factory=lambda: secrets.token_urlsafe(12))
    airflow_jwt_secret: str = Field(default_factory=lambda: secrets.token_urlsafe(64))
    airflow_secret_key: str = Field(default_factory=_token)
    airflow_fernet_key: str = Field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())

    @classmethod
    def load(cls, home: Home) -> "Credentials":
        """Load the credentials of `home`.

        Raises:
            BadConfiguration: there are none yet, or the file is damaged.
        """
        try:
            return cls.model_validate_json(home.credentials_file.read_bytes())
        except FileNotFoundError:
            raise BadConfiguration(f"{home.credentials_file} does not exist; start the servers first: `make run`") from None
        except ValidationError as error:
            raise BadConfiguration(
                f"{home.credentials_file} is damaged ({error.errors()[0]['msg']}); `make stop`, delete {home.root}, `make run`"
            ) from None

    @classmethod
    def load_or_create(cls, home: Home) -> "Credentials":
        """Load the credentials of `home`; the first call generates them."""
        if not home.credentials_file.exists():
            home.make()
            write_private(home.credentials_file, cls().model_dump_json(indent=1))
        return cls.load(home)

    @classmethod
    def end_sessions(cls, home: Home) -> None:
        """Change the key of Airflow's logins: after its next start, everybody logs in again."""
        if home.credentials_file.exists():
            renewed = cls.load(home).model_copy(update={"airflow_jwt_secret": cls().airflow_jwt_secret})
            write_private(home.credentials_file, renewed.model_dump_json(indent=1))


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file atomically, by default readable by this user only."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    partial.replace(path)


Role = Literal["labeller", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)
AIRFLOW_ROLES: dict[Role, str] = {"labeller": "user", "viewer": "viewer"}
"""A labeller may also start DAGs; a viewer changes nothing."""
ADMINISTRATOR = "admin"

_NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")


class Person(BaseModel):
    """One person who may log in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    password: str


_PEOPLE = TypeAdapter(dict[str, Person])


def people_file(home: Home) -> Path:
    """Locate the file, which has the passwords."""
    return home.root / "people.json"


def people(home: Home) -> dict[str, Person]:
    """Read the people by name.

    Raises:
        BadConfiguration: the file is damaged.
    """
    if not people_file(home).exists():
        return {}
    try:
        return _PEOPLE.validate_json(people_file(home).read_bytes())
    except ValidationError:
        raise BadConfiguration(f"{people_file(home)} is damaged: delete it and add the people again") from None


def add_person(home: Home, name: str, role: Role) -> Person:
    """Add a person with a new password, or change their role. Hold the lock.

    Raises:
        BadConfiguration: the name cannot be a user's.
    """
    if name == ADMINISTRATOR or not _NAME.fullmatch(name):
        raise BadConfiguration(
            f"{name!r} cannot be added: a name is other than {ADMINISTRATOR}, of a-z, 0-9, '.', '_' and '-', and begins with a letter"
        )
    known = people(home)
    before = known.get(name)
    person = Person(role=role, password=before.password if before else secrets.token_urlsafe(12))
    _write_people(home, known | {name: person})
    if before and before.role != role:
        Credentials.end_sessions(home)
    return person


def remove_person(home: Home, name: str) -> None:
    """Remove a person, and end all sessions, which never check people again. Hold the lock.

    Raises:
        BadConfiguration: nobody has this name.
    """
    known = people(home)
    if known.pop(name, None) is None:
        raise BadConfiguration(f"nobody is called {name}; people are: {', '.join(known) or 'none'}")
    _write_people(home, known)
    Credentials.end_sessions(home)


def _write_people(home: Home, known: dict[str, Person]) -> None:
    home.make()
    write_private(people_file(home), _PEOPLE.dump_json(known, indent=1).decode())
