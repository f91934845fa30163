"""Run the local servers and the DAGs on them from the command line.

`make run` calls `python -m tasks.local run`.
"""

import argparse
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

if sys.version_info < (3, 11):  # noqa: UP036 - another Python may be older, and cannot import the rest
    sys.exit(f"{sys.executable} is Python {sys.version.split()[0]}, and Retake needs 3.11 or later; run .venv/bin/python -m tasks.local …")

from tasks.wording import lacks

try:
    from tasks.disk import full_disk
    from tasks.errors import BadConfiguration, RetakeError, Unavailable
    from tasks.local import processes, supervise
    from tasks.local.airflow_api import AirflowApi
    from tasks.local.container_stack import ENV_FILE, find_stack, ingest_into_stack
    from tasks.local.follow import screen_for
    from tasks.local.home_backup import back_up_home, restore_home
    from tasks.local.home_folder import ROLES, Credentials, Home, add_person, people, people_file, remove_person
    from tasks.local.run import cancel, end_tracked, ingest_folder, open_store, ready_airflow, run, say_where, state_of
    from tasks.local.servers import step_environment
    from tasks.pipeline.upkeep.contract import PLACE
    from tasks.wording import count, size
except ModuleNotFoundError as error:
    sys.exit(lacks(error, "tasks.local"))


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    arguments = _parser().parse_args(argv)
    try:
        home = Home.find()
        code: int | None = arguments.command(home, arguments)
        return code or 0
    except RetakeError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except BrokenPipeError:  # `head`, for example, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if not full_disk(error):
            raise
        sys.stderr.write(f"{error.filename or home.root}: the disk is full; make room there, and repeat the command\n")
        return Unavailable.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ninterrupted; the servers and any started run go on. `make cancel` ends the runs, `make stop` the servers, `make run` resumes\n"
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("run", help="run all DAGs on the sample videos or on your folder, and leave the servers up")
    command.add_argument("--videos", help="folder of labelled videos, or pattern of a bucket; default: the sample videos")
    _add_settings(command)
    command.set_defaults(command=lambda home, a: run(home, a.videos, a.set))

    command = commands.add_parser("ingest-folder", help="ingest one folder, or pattern of a bucket; Airflow starts the DAGs that follow")
    command.add_argument("videos")
    command.add_argument(
        "--into",
        choices=("auto", "local", "stack"),
        default="auto",
        help="auto: the stack of `make up` if it is up, else the local servers",
    )
    _add_settings(command)
    command.set_defaults(command=_ingest_folder)

    for name, function, text in (
        ("start", _start, "start the servers that are not running"),
        ("stop", _stop, "stop the servers"),
        (
            "status",
            _status,
            "show which servers run, their addresses and login, and runs, datasets, champions and users; exit code 1 if only some servers run, or one is unhealthy",
        ),
        ("env", _env, "print the environment variables, secrets included, that `python -m tasks STEP` needs"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=function)

    command = commands.add_parser("cancel", help="end every unfinished run")
    command.add_argument(
        "--of", choices=("auto", "local", "stack"), default="auto", help="auto: the local servers if they run, else the stack of `make up`"
    )
    command.set_defaults(command=_cancel)

    command = commands.add_parser("backup", help="copy stores, MLflow and Airflow into a folder or a bucket, while runs go on")
    command.add_argument("to", metavar="TO", help=PLACE)
    command.add_argument("--with-secrets", action="store_true", help="copy credentials.json and people.json, too")
    command.set_defaults(command=_back_up)

    command = commands.add_parser("restore", help="put a backup into a new home, which RETAKE_HOME names")
    command.add_argument("source", metavar="FROM", help=PLACE)
    command.add_argument("--snapshot", help="name of the backup; default: the latest")
    command.add_argument("--replace", action="store_true", help="replace what the home has")
    command.set_defaults(command=_restore)

    command = commands.add_parser("people", help="add, change, remove or list who may log in to the local Airflow")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("add", help="let a person log in, or change their role; print the password")
    action.add_argument("name")
    action.add_argument("--role", choices=ROLES, default="labeller", help="labeller: labels and starts DAGs; viewer: looks")
    action.set_defaults(command=_add_person)
    action = actions.add_parser("remove", help="lock a person out")
    action.add_argument("name")
    action.set_defaults(command=_remove_person)
    actions.add_parser("list", help="list names and roles").set_defaults(command=_list_people)
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an option of any step, such as epochs=3; may be repeated"
    )


def _ingest_folder(home: Home, arguments: argparse.Namespace) -> int:
    if arguments.into != "local":
        if in_containers := find_stack():
            return ingest_into_stack(in_containers, arguments.videos, arguments.set)
        if arguments.into == "stack":
            raise BadConfiguration("the stack in containers is not up; `make up` starts it")
        if ENV_FILE.exists():
            _say(f"the stack of {ENV_FILE} is not up; ingesting into the local servers")
    return ingest_folder(home, arguments.videos, arguments.set)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _start(home: Home, _: argparse.Namespace) -> None:
    with home.lock():
        servers = supervise.up(home, _say)
        with ready_airflow(home, servers):
            say_where(home, servers, screen_for(sys.stdout))


def _stop(home: Home, _: argparse.Namespace) -> None:
    if not home.root.exists():
        _say("nothing runs")
        return
    with home.lock():
        # Damaged files or a full disk must not keep servers running.
        with suppress(RetakeError, OSError), _local_airflow(home) as api:
            for at_work in api.active_runs() if api else ():
                _say(f"interrupting {at_work.dag_id}, run {at_work.run_id}: `make start` goes on with it")
        supervise.down(home, _say)


def _back_up(home: Home, arguments: argparse.Namespace) -> None:
    done = back_up_home(home, arguments.to, with_secrets=arguments.with_secrets)
    _say(f"backup {done.name} in {done.folder}: {count(done.num_objects, 'object')}, {size(done.size_bytes)}")
    _say(f"new since the last one: {count(done.num_new, 'object')}, {size(done.new_bytes)}")


def _restore(home: Home, arguments: argparse.Namespace) -> None:
    with home.lock():
        done = restore_home(home, arguments.source, arguments.snapshot, _say, replace=arguments.replace)
    _say(f"restored {done.name} into {home.root}: {count(len(done.objects), 'object')}; `make start` starts all servers")
    _say("runs that were at work when it was made go on then; `make cancel` ends them")


def _cancel(home: Home, arguments: argparse.Namespace) -> None:
    with ExitStack() as opened:
        api = opened.enter_context(_local_airflow(home)) if arguments.of != "stack" else None
        if api is None and arguments.of != "local" and (in_containers := find_stack()):
            api = opened.enter_context(in_containers.airflow())
        if api is None:
            raise BadConfiguration("no Airflow answers, so no run is at work; `make start` starts the local one")
        _say(f"ending all runs of Airflow at {api.address}")
        cancel(api, screen_for(sys.stdout))
        if mlflow := supervise.healthy_address(home, "mlflow"):
            end_tracked(mlflow, api.address)


def _add_person(home: Home, arguments: argparse.Namespace) -> None:
    with home.lock():
        person = add_person(home, arguments.name, arguments.role)
        password = person.password if sys.stdout.isatty() else f"in {people_file(home)}; on a terminal this command shows it"
        _say(f"{arguments.name}, {person.role}: password {password}")
        _take_in(home)


def _remove_person(home: Home, arguments: argparse.Namespace) -> None:
    with home.lock():
        remove_person(home, arguments.name)
        _take_in(home)


def _list_people(home: Home, _: argparse.Namespace) -> None:
    for name, person in people(home).items():
        _say(f"{name}: {person.role}")


def _take_in(home: Home) -> None:
    """Restart Airflow with its people if it runs, but interrupt no run. Hold the lock."""
    with _local_airflow(home) as api:
        runs = api.active_runs() if api else []
    if api is None:
        _say("Airflow learns of it at the next `make start`")
    elif runs:
        _say(f"Airflow learns of it at the next `make start`; wait until {runs[0].dag_id} has ended")
    else:
        _say("Airflow restarts to learn of it, and does not answer for a minute or two")
        supervise.up(home, _say)


@contextmanager
def _local_airflow(home: Home) -> Iterator[AirflowApi | None]:
    """Yield a client of the local Airflow, or None if it does not answer."""
    address = supervise.healthy_address(home, "airflow")
    if address is None:
        yield None
        return
    with AirflowApi(address, Credentials.load(home).airflow_password) as api:
        yield api


def _status(home: Home, _: argparse.Namespace) -> int:
    states = supervise.running(home)
    if not any(state.is_running for state in states):
        _say("no server runs; `make start` starts them, `make run` also runs the DAGs")
        return 0
    for state in states:
        if state.is_healthy:
            condition = f"healthy at {state.server.address}"
        elif state.is_running:
            log = processes.log_file(home, state.server.name)
            condition = f"running, but unhealthy at {state.server.address}; see {log}, then `make stop` and `make start`"
        else:
            condition = "not running; `make start` starts it"
        _say(f"{state.server.title}: {condition}")
    servers = [state.server for state in states]
    unhealthy = [state.server.name for state in states if not state.is_healthy]
    if not unhealthy:
        say_where(home, servers, screen_for(sys.stdout))
    with _local_airflow(home) as api:
        for line in state_of(api, open_store(home, servers), people(home)) if api and "store" not in unhealthy else ():
            _say(line)
    return 1 if unhealthy else 0


def _env(home: Home, _: argparse.Namespace) -> None:
    states = supervise.running(home)
    if stopped := [state.server.title for state in states if not state.is_running]:
        raise BadConfiguration(f"not running: {', '.join(stopped)}; start them with `make run` or `make start`")
    ports = {state.server.name: state.server.ports for state in states}
    variables = step_environment(home, Credentials.load(home), ports)
    if sys.stdout.isatty():
        sys.stderr.write('# Secrets: do not paste these lines anywhere. Use: eval "$(.venv/bin/python -m tasks.local env)"\n')
    for name, value in (variables | {"MLFLOW_TRACKING_URI": variables["RETAKE_MLFLOW_URI"]}).items():
        _say(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    sys.exit(main())
