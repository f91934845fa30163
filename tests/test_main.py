"""The command line without a server: what it offers, and how it refuses."""

import configparser
import subprocess
import sys
from importlib import import_module

import pytest

from tasks.__main__ import _parse, main
from tasks.local.home import REPOSITORY
from tasks.steps import COMMANDS, STEPS, module_of


def test_the_help_names_every_step(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(step in shown for step in STEPS)


def test_a_steps_help_names_every_argument(capsys):
    for step in STEPS:
        with pytest.raises(SystemExit) as ended:
            main([step, "--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        arguments = {f"--{name.replace('_', '-')}" for name in import_module(module_of(step)).Arguments.model_fields}
        assert {argument for argument in arguments if argument not in shown} == set(), step


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "STEP"),
        (["trane"], "invalid choice: 'trane'"),
        (["label", "--store=s3://retake"], "--out"),
        (["label", "--store=s3://retake", "--out=s3://retake/x/", "--bogus=1"], "--bogus"),
        (["evaluate", "--store=s3://retake", "--out=s3://retake/x/", "--plan=s3://retake/p/", "--model=best"], "--model"),
        (["label", "--store=/tmp", "--out=s3://retake/x/"], "--store"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_wrong_configuration(argv, told, caplog):
    assert main(argv) == 78
    assert told in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]


def test_the_log_of_a_step_holds_nothing_that_a_terminal_obeys():
    command = [sys.executable, "-m", "tasks", "label", "--store=s3://retake", "--out=s3://retake/x/", "--a\x1b[2J\r=1"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False, timeout=60).stderr.decode()
    assert "--a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}" in said
    assert said.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("argv", "videos"),
    [([], None), (["a.mp4", "b c.mp4"], ["a.mp4", "b c.mp4"]), (["--against=none", "--", "-a.mp4"], ["-a.mp4"])],
)
def test_videos_are_named_without_a_flag(argv, videos):
    step, values = _parse(["predict", *argv])
    assert step == "predict"
    assert values.get("videos") == videos


def test_what_a_person_predicts_with_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    shown = capsys.readouterr().out
    assert "[VIDEO ...]" in shown
    assert "--videos" not in shown
    assert "models:/retake-tsn@champion" in "".join(shown.split())


def test_the_rule_that_no_step_imports_another_names_every_step():
    rules = configparser.ConfigParser()
    rules.read(REPOSITORY / ".importlinter")
    named = rules["importlinter:contract:steps-apart"]["modules"].split()
    assert set(named) == {module_of(command) for command in COMMANDS if command != "predict"}
