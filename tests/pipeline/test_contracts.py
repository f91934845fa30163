"""What the contracts say of the steps, against the steps themselves and docs/commands.md, which is made of them."""

import subprocess
import sys
import typing
from importlib import import_module
from types import SimpleNamespace

import grimp
import pytest

from tasks.keys import recipe_of
from tasks.local.home import REPOSITORY
from tasks.options import SegmentOptions
from tasks.pipeline.commands import COMMANDS, STEPS, parse
from tasks.pipeline.step import ShellArguments, StepArguments
from tests.pipeline.page import PAGE, page


@pytest.mark.parametrize("step", COMMANDS.values(), ids=COMMANDS)
def test_a_step_takes_and_gives_what_its_contract_says(step):
    hints = typing.get_type_hints(import_module(step.full_module).run)
    assert (hints["arguments"], hints["return"]) == (step.arguments, step.result)


def test_every_file_of_a_step_has_a_contract():
    folder = REPOSITORY / "tasks" / "pipeline"
    files = {path for path in folder.glob("*/[!_]*.py") if path.stem != "contract"}
    modules = {".".join(path.relative_to(folder).with_suffix("").parts) for path in files}
    assert {step.module for step in COMMANDS.values()} == modules


def test_no_step_imports_another_but_those_that_run_other_steps():
    steps = {step.full_module: step.name for step in COMMANDS.values()}
    imports = grimp.build_graph("tasks")
    assert {steps[step] for step in steps if steps.keys() & imports.find_modules_directly_imported_by(step)} <= {
        "export",
        "predict",
        "search",
    }


def test_a_contract_lies_in_the_file_of_its_dag():
    assert {name: step.dag for name, step in COMMANDS.items()} == {
        name: step.arguments.__module__.split(".")[-2] for name, step in COMMANDS.items()
    }


def test_what_a_dag_runs_is_told_where_to_read_and_write():
    assert all(issubclass(step.arguments, StepArguments) for step in STEPS.values())


@pytest.mark.parametrize(
    ("store", "expected"), [("s3://asked/films/", "s3://asked/films"), ("s3://asked", "s3://asked"), (None, "s3://set/films")]
)
def test_a_command_at_a_shell_takes_the_store_that_is_set_if_none_is_asked_for(store, expected, monkeypatch):
    monkeypatch.setenv("RETAKE_STORE_URI", "s3://set/films/")
    assert ShellArguments(store=store).store_uri == expected


@pytest.mark.slow
def test_what_the_image_without_torch_runs_imports_without_it():
    modules = [step.full_module for step in STEPS.values() if step.image == "worker"]
    program = f"""
import sys
from importlib import import_module
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "pytorch_lightning", "timm"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocker())
for module in {modules!r}:
    import_module(module)
"""
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=120)


RUN = "s3://retake/runs/r/"
LABELS = f"s3://retake/labels/{recipe_of(SegmentOptions())}/"
PLANNED = f"--plan={RUN}decisions/d/plan/"
CHAIN = {
    ("ingest", "--out=s3://retake/ingests/i/"): {},
    ("segment", "--batch=s3://retake/ingests/i/batches/0000.json"): {},
    ("label",): {},
    ("split", f"--labels={LABELS}"): {},
    ("dataset", f"--labels={LABELS}"): {"dataset_uri": "s3://retake/datasets/d/"},
    ("plan", "--weights-result=s3://retake/w/"): {"dataset_uri": "s3://retake/datasets/d/", "decision_uri": f"{RUN}decisions/d/"},
    ("train", PLANNED): {},
    ("register", PLANNED): {"mlflow_run_url": "http://mlflow:5000/#/runs/1", "model_name": "retake-tsn", "version": 3},
}
"""The steps from a film to a model, with what lineage takes from their results."""


def test_lineage_leads_from_a_film_to_a_model_through_clips_dataset_and_training():
    reached = {"s3://retake/inbox/"}
    for (name, *flags), result in CHAIN.items():
        _, arguments = parse([name, "--store=s3://retake", *flags])
        read, written = STEPS[name].lineage(arguments, SimpleNamespace(**result))
        assert reached.intersection(read), name
        reached.update(written)
    assert {"s3://retake/clips/", "s3://retake/datasets/d/", f"{RUN}train/"} < reached
    assert "http://mlflow:5000/models/retake-tsn/versions/3" in reached


def test_the_page_of_the_commands_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make commands`"
