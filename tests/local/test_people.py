"""People who may log in to the local Airflow."""

import json
import stat
import sys

import pytest

from tasks.errors import BadConfiguration
from tasks.local import __main__ as commands
from tasks.local import servers
from tasks.local.home import Credentials, add_person, people, people_file, remove_person
from tasks.local.servers import WANTED_PORTS


def configured(home) -> tuple[str, dict[str, str]]:
    """Read the users of Airflow with their roles, and their passwords."""
    credentials = Credentials.load_or_create(home)
    servers.write_airflow_files(home, credentials)
    users = servers.airflow_environment(home, credentials, WANTED_PORTS["airflow"])["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    return users, json.loads(servers.passwords_file(home).read_text())


def test_people_have_roles_and_passwords_of_their_own_in_airflow(home):
    anna, ben = add_person(home, "anna", "labeller"), add_person(home, "ben", "viewer")
    users, passwords = configured(home)
    assert users == "admin:admin,anna:user,ben:viewer"
    assert (passwords["anna"], passwords["ben"]) == (anna.password, ben.password)
    assert len(set(passwords.values())) == 3
    assert stat.S_IMODE(people_file(home).stat().st_mode) == 0o600


def test_a_changed_role_keeps_the_password_who_is_removed_is_gone_and_no_login_outlives_either(home):
    signed_with = [Credentials.load_or_create(home).airflow_jwt_secret]
    password = add_person(home, "anna", "labeller").password
    assert add_person(home, "anna", "labeller").password == password
    assert [Credentials.load(home).airflow_jwt_secret] == signed_with
    assert add_person(home, "anna", "viewer").password == password
    assert configured(home)[0] == "admin:admin,anna:viewer"
    signed_with.append(Credentials.load(home).airflow_jwt_secret)
    remove_person(home, "anna")
    assert configured(home)[0] == "admin:admin"
    assert len({*signed_with, Credentials.load(home).airflow_jwt_secret}) == 3
    with pytest.raises(BadConfiguration, match="nobody is called anna"):
        remove_person(home, "anna")


@pytest.mark.parametrize("name", ["admin", "", "a:admin", "a,b", "Anna", "x" * 33, "ann\n"])
def test_a_name_that_airflow_would_read_otherwise_is_refused(home, name):
    with pytest.raises(BadConfiguration, match="cannot be added"):
        add_person(home, name, "labeller")
    assert people(home) == {}


def test_a_damaged_file_is_named(home):
    people_file(home).write_text('{"anna": {}}')
    with pytest.raises(BadConfiguration, match=r"people\.json is damaged"):
        configured(home)


def test_the_command_prints_a_password_on_a_terminal_alone(home, capsys, monkeypatch):
    assert commands.main(["people", "add", "anna", "--role", "viewer"]) == 0
    password = people(home)["anna"].password
    out = capsys.readouterr().out
    assert str(people_file(home)) in out
    assert password not in out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert commands.main(["people", "add", "anna", "--role", "viewer"]) == 0
    assert password in capsys.readouterr().out
    assert commands.main(["people", "list"]) == 0
    assert capsys.readouterr().out == "anna: viewer\n"
    assert commands.main(["people", "remove", "anna"]) == 0
    assert people(home) == {}
