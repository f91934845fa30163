"""The first thing a stranger types: what `make` says before there is an environment."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
"""Without what `make test` says to the makes that it starts."""


@pytest.fixture
def make(tmp_path):
    """Runs make in a folder that has the Makefile and what it depends on, but no environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)

    def run(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
        command = [shutil.which("make"), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=CLEAN | {"PATH": path}, capture_output=True, text=True, timeout=60)

    return run


def test_make_alone_lists_the_commands_and_stop_before_anything_ran_is_no_error(make):
    assert {"make run", "make stop", "make test", "make lint"} <= set(re.findall(r"make [a-z]+", make().stdout))
    assert make("stop").returncode == 0


@pytest.mark.parametrize(
    ("python", "message"), [("/bin/false", "/bin/false is not Python 3.11 to 3.13"), ("", "Retake needs Python 3.11 to")]
)
def test_a_python_that_is_unfit_is_named_and_none_at_all_says_what_to_install(make, python, message):
    result = make("run", f"PYTHON={python}")
    assert result.returncode
    assert message in result.stderr


def put_python(folder: Path, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "python").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "python").chmod(0o755)
    return folder / "python"


@pytest.fixture
def printing_python(tmp_path):
    """Puts a Python into the environment that prints what it is told."""
    put_python(tmp_path / ".venv" / "bin", 'printf "[%s]" "$@"').with_name("pip").touch()


@pytest.mark.slow
def test_a_start_that_was_killed_while_it_made_the_environment_is_no_error_for_stop_and_is_made_anew(make, tmp_path):
    environment = put_python(tmp_path / ".venv" / "bin", "exit 1").parent
    stopped = make("stop")
    assert (stopped.returncode, "nothing runs" in stopped.stdout) == (0, True)
    making = f'[ "$2" = venv ] && cp "$0" {environment} && touch {environment}/pip || printf "[%s]" "$@"'
    python = put_python(tmp_path / "own", making)
    assert make("start", f"PYTHON={python}").stdout.endswith("[-m][tasks.local][start]")


def test_a_machine_without_flock_is_told_what_to_install(make, tmp_path):
    result = make("run", path=str(tmp_path))
    assert (result.returncode, result.stderr.splitlines()[0]) == (2, "flock is missing; install it (Debian: util-linux)")


def test_a_file_system_without_locks_is_not_taken_for_another_make(make, tmp_path):
    put_python(tmp_path / "own", "exit 69").rename(tmp_path / "own" / "flock")
    result = make("run", "PYTHON=/bin/false", path=f"{tmp_path / 'own'}:{os.environ['PATH']}")
    assert "another make" not in result.stdout
    assert "/bin/false is not Python" in result.stderr


@pytest.mark.slow
def test_a_start_waits_for_another_one_that_installs_and_then_finds_it_done(make, printing_python, tmp_path):
    held = os.open(tmp_path / ".venv.lock", os.O_CREAT)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with subprocess.Popen(["make", "run"], cwd=tmp_path, env=CLEAN, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout.readline() == "another make installs into .venv; this one waits for it\n"
            shutil.rmtree(tmp_path / ".venv")  # as a first one does that fails
            put_python(tmp_path / ".venv" / "bin", 'printf "[%s]" "$@"').with_name("pip").touch()
            (tmp_path / ".venv" / ".for-run").touch()
            fcntl.flock(held, fcntl.LOCK_UN)
            assert second.stdout.read() == "[-m][tasks.local][run]"
    finally:
        os.close(held)


@pytest.mark.slow
def test_an_ingest_says_nothing_of_the_files_of_make(make, printing_python):
    make("ingest", "VIDEOS=films")
    assert make("ingest", "VIDEOS=films").stdout == "[-m][tasks.local][ingest-folder][films]"


@pytest.mark.slow
def test_a_folder_with_any_name_reaches_the_command_whole(make, printing_python, tmp_path):
    result = make("run", "VIDEOS=my videos; $$(touch harm) '\"", "SET=epochs=3 seed=1")
    assert result.stdout.endswith("[-m][tasks.local][run][--videos][my videos; $(touch harm) '\"][--set][epochs=3][--set][seed=1]")
    result = make("backup", "restore", *(f"{name}=my disk; $$(touch harm) '\"" for name in ("TO", "FROM")), "ARGS=--x")
    assert result.stdout.endswith("".join(f"[-m][tasks.local][{name}][my disk; $(touch harm) '\"][--x]" for name in ("backup", "restore")))
    assert [make(target).returncode for target in ("backup", "restore")] == [2, 2]
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("variable", "message"),
    [("VIDEO=films", r"VIDEO\. did you mean VIDEOS=\?"), ("set=a=1", r"set\. did you mean SET"), ("X=1", r"X\. .*SET")],
)
def test_a_variable_that_nothing_reads_is_refused_with_the_nearest_name(make, printing_python, variable, message):
    result = make("run", variable)
    assert result.returncode
    assert not result.stdout
    assert re.search(f"unknown variable {message}", result.stderr)


@pytest.mark.slow
def test_settings_may_be_given_as_variables(make, printing_python):
    assert make("run", "CUDA_VISIBLE_DEVICES=0", "RETAKE_HOME=/tmp/elsewhere").stdout.endswith("[run]")


@pytest.mark.slow
def test_the_commands_for_tests_choose_them_by_what_they_need_and_use_a_worker_a_core(make, printing_python):
    tiers, all_tests = make("test-fast", "test-containers", "test-long", "coverage").stdout, make("test").stdout
    for chosen in ("[--tier=fast][-n]", "[--tier=containers][-n]", "[--tier=long][-n]", "[--cov]"):
        assert chosen in tiers
        assert chosen not in all_tests
    assert f"[-n][{min(os.cpu_count(), 4)}]" in all_tests
    assert "[-m][pytest][-n][2][tests/local][-x]" in make("test", "WORKERS=2", "ARGS=tests/local -x").stdout


def test_constraints_leave_torch_and_addresses_out():
    text = (REPOSITORY / "constraints.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^(torch|torchvision|triton)==|^(nvidia|cuda)-", text, re.MULTILINE)
    assert re.search(r"^apache-airflow==", text, re.MULTILINE)


@pytest.mark.parametrize("is_ci", [False, True])
def test_without_npm_the_scripts_of_the_pages_are_not_checked_which_fails_in_ci(tmp_path, is_ci):
    (tmp_path / "make").symlink_to(shutil.which("make"))
    alone = {"PATH": str(tmp_path), **({"CI": "true"} if is_ci else {})}
    ended = subprocess.run(["make", "lint-pages"], cwd=REPOSITORY, env=alone, capture_output=True, text=True, timeout=60)
    assert (ended.returncode != 0) is is_ci
    assert "the scripts of the pages are not checked: no npm is installed (Debian: npm)" in ended.stderr
