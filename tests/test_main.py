"""The command line without a server: commands, help, and refusals."""

import logging
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from tasks import __main__ as program
from tasks.__main__ import main
from tasks.errors import BadConfiguration
from tasks.local.home_folder import REPOSITORY
from tasks.pipeline.commands import COMMANDS, parse
from tasks.store import objects
from tasks.store.objects import Store
from tasks.telemetry import message_of

PLAN = "s3://retake/runs/r/decisions/d/plan/"
HEAVY = {"torch", "pytorch_lightning", "mlflow", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "minio", "urllib3", "airflow"}


@pytest.fixture
def help_of(capsys):
    """The program's help, on one line."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0
        return " ".join(capsys.readouterr().out.split())

    return run


def test_the_help_names_every_step(help_of):
    shown = help_of()
    assert [step for step in COMMANDS if step not in shown] == []


@pytest.mark.parametrize("step", COMMANDS.values(), ids=COMMANDS)
def test_a_steps_help_names_every_argument(step, help_of):
    shown = help_of(step.name)
    arguments = {f"--{name.replace('_', '-')}" for name in step.arguments.model_fields if name not in step.positional}
    assert {argument for argument in arguments if argument not in shown} == set()


@pytest.mark.parametrize("command", [["tasks", "status"], ["tasks.local", "people", "add", "anna"]])
def test_a_python_without_our_packages_is_one_line_with_the_right_command(command):
    """`-S` leaves out the packages that are installed, as another Python has none of them."""
    done = subprocess.run([sys.executable, "-S", "-m", *command], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert (
        line == f"{sys.executable} lacks {line.split()[2]} `make run` installs it into .venv; then run .venv/bin/python -m {command[0]} …"
    )


def test_a_step_without_a_package_of_its_own_is_one_line_too(monkeypatch, caplog):
    monkeypatch.setattr(program, "import_module", Mock(side_effect=ModuleNotFoundError("No module named 'httpx'", name="httpx")))
    assert main(["status"]) == BadConfiguration.exit_code
    assert [message for message in caplog.messages if "httpx" in message] == [
        f"BadConfiguration: {sys.executable} lacks httpx; `make run` installs it into .venv; then run .venv/bin/python -m tasks …"
    ]


HELP_OF_ALL = """
import contextlib, io, sys, time
from tasks.__main__ import main
from tasks.pipeline.commands import COMMANDS
def show_help(step):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([step, "--help"])
show_help("plan")
seconds = time.process_time()
for step in COMMANDS:
    show_help(step)
assert main(["label", "--store=/tmp"]) == 78
print(seconds, *{name.partition(".")[0] for name in sys.modules})
"""


def test_help_and_a_wrong_command_line_import_nothing_heavy_and_take_little_processor_time():
    said = subprocess.run([sys.executable, "-c", HELP_OF_ALL], cwd=REPOSITORY, capture_output=True, check=True, timeout=60, text=True)
    seconds, *modules = said.stdout.split()
    assert HEAVY.isdisjoint(modules)
    assert float(seconds) < 1.5  # 0.3 s where nothing else runs


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "STEP"),
        (["trane"], "invalid choice: 'trane'"),
        (["label"], "--store"),
        (["weights", "--store=s3://retake"], "--out"),
        (["label", "--store=s3://retake", "--out=s3://retake/x/"], "--out"),
        (["label", "--store=s3://retake", "--bogus=1"], "--bogus"),
        (["evaluate", "--store=s3://retake", f"--plan={PLAN}", "--model=best"], "--model"),
        (["label", "--store=/tmp"], "--store"),
        (["train", "--store=s3://retake", "--plan=s3://retake/plans/x/"], "--plan: s3://retake/plans/x/ does not have the form"),
        (["flow", "--store=s3://retake", "--batch=s3://retake/ingests/x/batches/0000.json"], "the result of `flows`"),
        (["flows", "--store=s3://retake"], "exactly one of --plan, --configured, --prediction is needed"),
        (["flows", "--store=s3://retake", f"--plan={PLAN}", "--configured=s3://retake/c/"], "exactly one"),
        (["recipe", "save", "--epochs=6"], "--names: List should have at least 1 item"),
        (["recipe", "save", "../runs/x", "--epochs=6"], "'../runs/x' is no name of a recipe"),
        (["recipe", "save", "mine", "--head=probe"], "set trainable to heads"),
        (["recipe", "save", "mine", "--layer-decay=0.5"], "recipe save: layer_decay was removed; leave it out"),
        (["search_plan", "--store=s3://retake", "--search=mixup"], "--search-0: mixup was removed; choose another, or leave it out"),
        (["predict", "a.mp4", "--no-preview"], "predict: preview was removed; leave it out"),
        (["predict", "a.mp4", "--engine=openvino-int8"], "predict: --engine: openvino-int8 was removed; choose another, or leave it out"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_wrong_configuration(argv, told, caplog):
    assert main(argv) == 78
    assert told in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]


@pytest.fixture
def said_by(monkeypatch, capsys):
    """The program's log on stderr, as in a process of its own."""

    def run(*argv):
        monkeypatch.setattr(logging.root, "handlers", [])
        code = main(argv)
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_log_of_a_step_holds_nothing_that_a_terminal_obeys(log_format, said_by, monkeypatch):
    monkeypatch.setenv("RETAKE_LOG_FORMAT", log_format)
    code, said = said_by("label", "--store=s3://retake", "--a\x1b[2J\r=1")
    assert code == 78
    assert "--a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}" in said
    assert said.rstrip("\n").isprintable()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_last_line_of_a_bug_is_its_name_and_message_without_secrets(log_format, said_by, monkeypatch):
    def fail(*_, **__):
        raise ValueError("https://me:geheim@h/x")

    monkeypatch.setenv("RETAKE_LOG_FORMAT", log_format)
    monkeypatch.setattr(program, "_run", fail)
    code, said = said_by("predict")
    assert code == 1
    assert message_of(said.splitlines()[-1]) == "ValueError: https://h/x"
    assert "Traceback" in said and "geheim" not in said


def test_a_log_format_that_does_not_exist_is_a_wrong_configuration(said_by, monkeypatch):
    monkeypatch.setenv("RETAKE_LOG_FORMAT", "xml")
    code, said = said_by("predict")
    assert code == 78
    assert said.startswith("BadConfiguration: environment: RETAKE_LOG_FORMAT")


@pytest.mark.parametrize(
    ("argv", "videos"), [([], []), (["a.mp4", "b c.mp4"], ["a.mp4", "b c.mp4"]), (["--against=none", "--", "-a.mp4"], ["-a.mp4"])]
)
def test_videos_are_named_without_a_flag(argv, videos):
    command, arguments = parse(["predict", *argv])
    assert command.name == "predict"
    assert arguments.videos == videos


def test_a_command_may_have_a_name_of_two_words():
    command, arguments = parse(["labels", "import", "a.json", "b c.xml", "--frame-rate=30"])
    assert command.name == "labels import"
    assert [str(file) for file in arguments.files] == ["a.json", "b c.xml"]
    with pytest.raises(BadConfiguration, match="invalid choice: 'labels'"):
        parse(["labels", "--store=s3://retake"])


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_prediction_ends_in_words_on_a_terminal_and_in_json_elsewhere(is_terminal, monkeypatch, capsys):
    module = SimpleNamespace(run=lambda arguments, store: None, in_words=lambda result, store: ["a\nb", "http://me:geheim@h/x"])
    monkeypatch.setattr(program, "_module", lambda command: module)
    monkeypatch.setattr(Store, "from_settings", lambda settings: None)
    monkeypatch.setattr(objects, "to_json", lambda result: b'{"num_videos":1}\n')
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"RETAKE_STORE_{name}", "x")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert main(["predict"]) == 0
    assert capsys.readouterr().out == ("a\N{REPLACEMENT CHARACTER}b\nhttp://h/x\n" if is_terminal else '{"num_videos":1}\n')


def test_the_help_of_predict_names_videos_and_the_model(help_of):
    shown = help_of("predict")
    assert "[VIDEO ...]" in shown
    assert "--videos" not in shown
    assert "models:/retake-tsn@champion" in shown.replace(" ", "")


def test_the_span_of_a_step_names_its_training(monkeypatch):
    given, key = {}, 16 * "a"
    monkeypatch.setattr(program, "step_span", lambda _, attributes: nullcontext(given.update(attributes)))
    monkeypatch.setattr(program, "_run", lambda *_, **__: "")
    assert main(["train", "--store=s3://retake", f"--plan=s3://retake/runs/{key}/decisions/d/plan/"]) == 0
    assert (given["retake.step"], given["retake.run_key"]) == ("train", key)
