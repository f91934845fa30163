"""Keep who may log in to the local Airflow besides the administrator: name, role and password."""

import re
import secrets
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tasks.errors import BadConfiguration
from tasks.local.home import Credentials, Home, write_private

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


def add(home: Home, name: str, role: Role) -> Person:
    """Add a person with a new password, or change the role of one who is there. Hold the lock.

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
    _write(home, known | {name: person})
    if before and before.role != role:
        Credentials.end_sessions(home)
    return person


def remove(home: Home, name: str) -> None:
    """Remove a person and end all sessions, for a login holds without looking at the people again. Hold the lock.

    Raises:
        BadConfiguration: nobody has this name.
    """
    known = people(home)
    if known.pop(name, None) is None:
        raise BadConfiguration(f"nobody is called {name}; people are: {', '.join(known) or 'none'}")
    _write(home, known)
    Credentials.end_sessions(home)


def _write(home: Home, known: dict[str, Person]) -> None:
    home.make()
    write_private(people_file(home), _PEOPLE.dump_json(known, indent=1).decode())
