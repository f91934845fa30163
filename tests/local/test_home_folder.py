import json
import signal
import stat
import subprocess
import sys

import pytest

from tasks.errors import BadConfiguration
from tasks.local import __main__ as commands
from tasks.local import servers
from tasks.local.home_folder import Credentials, Home, add_person, people, people_file, remove_person
from tasks.local.servers import WANTED_PORTS

HOLD = """
import sys
from pathlib import Path
from tasks.local.home_folder import Home
with Home(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_credentials_stay_the_same_differ_between_homes_and_are_readable_by_this_user_alone(home, tmp_path):
    first = Credentials.load_or_create(home)
    assert stat.S_IMODE(home.credentials_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert Credentials.load_or_create(home) == first
    other = Credentials.load_or_create(Home(tmp_path / "other"))
    assert not set(first.model_dump().values()) & set(other.model_dump().values())


def test_missing_credentials_and_damaged_files_are_named(home):
    with pytest.raises(BadConfiguration, match="make run"):
        Credentials.load(home)
    home.credentials_file.write_text('{"store_access_key": ')
    with pytest.raises(BadConfiguration, match=r"credentials\.json is damaged"):
        Credentials.load_or_create(home)
    people_file(home).write_text('{"anna": {}}')
    with pytest.raises(BadConfiguration, match=r"people\.json is damaged"):
        people(home)


def test_a_second_command_is_refused_while_one_is_at_work_and_a_killed_one_leaves_no_lock(home):
    with home.lock(), pytest.raises(BadConfiguration, match="another `make run`"), home.lock():
        pytest.fail("two commands held the lock")
    command = [sys.executable, "-c", HOLD, str(home.root)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BadConfiguration, match=f"process {holder.pid}"), home.lock():
            pytest.fail("two commands held the lock")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with home.lock():
        pass


@pytest.mark.parametrize("letter", ["?", "%20", ",", "$HOME"])
def test_a_home_whose_path_a_server_would_read_otherwise_is_refused_before_it_is_made(tmp_path, letter):
    with pytest.raises(BadConfiguration, match="set RETAKE_HOME"):
        Home(tmp_path / f"my{letter}films").make()
    assert not list(tmp_path.iterdir())


def test_a_home_may_be_named_from_the_persons_own_folder_on(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RETAKE_HOME", "~/my films")
    assert Home.find().root == tmp_path / "my films"


def test_a_full_disk_keeps_nobody_from_the_lock(home):
    (home.root / "lock").symlink_to("/dev/full")
    with home.lock():
        pass


def configured(home) -> tuple[str, dict[str, str]]:
    """Read the users of Airflow with their roles, and their passwords."""
    credentials = Credentials.load_or_create(home)
    servers.write_airflow_files(home, credentials)
    users = servers.airflow_environment(home, credentials, WANTED_PORTS["airflow"])["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    return users, json.loads(servers.passwords_file(home).read_text())


def test_airflow_sends_traces_and_metrics_once_a_collector_is_named_and_never_by_itself():
    assert servers.telemetry_environment({"PATH": "/bin", "OTEL_SERVICE_NAME": "x"}) == {"OTEL_SERVICE_NAME": "x"}
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "console", "OPENLINEAGE_URL": "http://l"}
    made = servers.telemetry_environment({"PATH": "/bin", **asked})
    assert made.items() >= asked.items()
    assert {name: value for name, value in made.items() if name not in asked} == {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "airflow",
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "AIRFLOW__METRICS__OTEL_ON": "True",
    }


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


def test_the_command_prints_a_password_on_a_terminal_alone(home, capsys, monkeypatch):
    assert commands.main(["people", "add", "anna", "--role", "viewer"]) == 0
    password = people(home)["anna"].password
    out = capsys.readouterr().out
    assert f"in {people_file(home)}; on a terminal this command shows it" in out
    assert password not in out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert commands.main(["people", "add", "anna", "--role", "viewer"]) == 0
    assert password in capsys.readouterr().out
    assert commands.main(["people", "list"]) == 0
    assert capsys.readouterr().out == "anna: viewer\n"
    assert commands.main(["people", "remove", "anna"]) == 0
    assert people(home) == {}
