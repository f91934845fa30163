"""What the contracts say of the steps and of the places of their results, against the steps themselves and docs/commands.md, which is made of them."""

import subprocess
import sys
import typing
from importlib import import_module
from types import SimpleNamespace

import grimp
import pytest

from tasks.errors import BadConfiguration
from tasks.keys import configuration_key, export_key, recipe_of
from tasks.local.home_folder import REPOSITORY
from tasks.options import PRESETS, ExportOptions, SegmentOptions, TrainOptions
from tasks.pipeline.commands import COMMANDS, STEPS, parse
from tasks.pipeline.retrain.contract import PlanArguments
from tasks.pipeline.step import OutArguments, ShellArguments, StepArguments
from tests.pipeline.page import PAGE, page


@pytest.mark.parametrize("step", COMMANDS.values(), ids=COMMANDS)
def test_a_step_takes_and_gives_what_its_contract_says(step):
    hints = typing.get_type_hints(import_module(step.full_module).run)
    assert (hints["arguments"], hints["return"]) == (step.arguments, step.result)


def test_every_file_of_a_step_has_a_contract():
    folder = REPOSITORY / "tasks" / "pipeline"
    files = {path for path in folder.glob("*/[!_]*.py") if path.stem != "contract"}
    modules = {".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in files}
    assert {step.full_module for step in COMMANDS.values()} == modules


def test_no_step_imports_another_but_those_that_run_other_steps():
    steps = {step.full_module: step.name for step in COMMANDS.values()}
    imports = grimp.build_graph("tasks")
    importing = {steps[step] for step in steps if steps.keys() & imports.find_modules_directly_imported_by(step)}
    assert importing <= {"distil", "export", "predict", "search"}


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


TRAINING = "s3://retake/runs/r/"
LABELS = f"s3://retake/labels/{recipe_of(SegmentOptions())}/"
PLANNED = f"--plan={TRAINING}decisions/d/plan/"
CHAIN = {
    ("ingest", "--out=s3://retake/ingests/i/"): {},
    ("segment", "--batch=s3://retake/ingests/i/batches/0000.json"): {},
    ("label",): {},
    ("split", f"--labels={LABELS}"): {},
    ("dataset", f"--labels={LABELS}"): {"dataset_uri": "s3://retake/datasets/d/"},
    ("plan", "--weights-result=s3://retake/w/"): {"dataset_uri": "s3://retake/datasets/d/", "decision_uri": f"{TRAINING}decisions/d/"},
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
    assert {"s3://retake/clips/", "s3://retake/datasets/d/", f"{TRAINING}train/"} < reached
    assert "http://mlflow:5000/models/retake-tsn/versions/3" in reached


def test_the_page_of_the_commands_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make commands`"


ROOT = "s3://retake/lab"
RUN = f"{ROOT}/runs/r"
PLAN = f"--plan={RUN}/decisions/d/plan/"
PREDICTION = f"--plan={ROOT}/predictions/p/plan/"
SEARCH = f"--search={ROOT}/searches/s/x/"
OUT = f"--out={ROOT}/chosen/"
RECIPE = recipe_of(SegmentOptions())
ADDRESSES = {
    ("ingest", OUT): "chosen/",
    ("segment", f"--batch={ROOT}/ingests/i/batches/0012.json"): f"ingests/i/segment/{RECIPE}/0012/",
    ("summarise", f"--ingest={ROOT}/ingests/i"): "ingests/i/summary/",
    ("label",): f"labels/{RECIPE}/",
    ("label", f"--store={ROOT}/"): f"labels/{RECIPE}/",
    ("label", "--crf=21"): f"labels/{recipe_of(SegmentOptions(crf=21))}/",
    ("split", f"--labels={ROOT}/labels/l"): "labels/l/split/",
    ("dataset", f"--labels={ROOT}/labels/l/"): "datasets/",
    ("weights", OUT): "chosen/",
    ("flows", PLAN): "runs/r/flows/",
    ("flows", PLAN.replace("decisions", "comparisons")): "runs/r/flows/",
    ("flows", f"--configured={ROOT}/comparisons/c/x"): "comparisons/c/x/flows/",
    ("flows", PREDICTION.replace("plan", "prediction", 1)): "predictions/p/flows/",
    ("flow", f"--batch={RUN}/flows/f/0000.json"): "runs/r/flows/f/0000/",
    ("sound", PLAN): "runs/r/sound/",
    ("sound", f"--configured={ROOT}/comparisons/c/x"): "comparisons/c/x/sound/",
    ("sound", PREDICTION.replace("plan", "prediction", 1)): "predictions/p/sound/",
    ("train", PLAN): "runs/r/train/",
    ("train", PLAN.rstrip("/")): "runs/r/train/",
    ("evaluate", PLAN): "runs/r/decisions/d/evaluate/",
    ("learning_curve", PLAN): "runs/r/decisions/d/learning_curve/",
    ("rescore", PLAN): "runs/r/decisions/d/rescore/",
    ("compare", PLAN): "runs/r/decisions/d/compare/",
    ("report", PLAN, "--no-learning-curve"): "runs/r/decisions/d/report/",
    ("register", PLAN): "runs/r/register/",
    ("decide", PLAN): "runs/r/decisions/d/decide/",
    (
        "export_champion",
        PLAN,
        "--export=openvino-int8",
    ): f"runs/r/packages/{export_key(ExportOptions(format='openvino', precision='int8'))}/",
    ("configure", OUT): "chosen/",
    (
        "plan_network",
        *(f"--dataset={ROOT}/datasets/d", f"--weights-result={ROOT}/w/", f"--claims={ROOT}/comparisons/c/x/claims/", "--name=n"),
        *("--family=TRN", "--epochs=3"),
    ): f"comparisons/c/x/{configuration_key(TrainOptions(family='TRN', epochs=3))}/plan/",
    ("tabulate", f"--configured={ROOT}/comparisons/c/x/"): "comparisons/c/x/table/",
    ("suggest", SEARCH, "--round=2"): "searches/s/x/rounds/2/suggest/",
    (
        "train_trials",
        SEARCH,
        f"--batch={ROOT}/searches/s/x/rounds/2/batches/0123456789abcdef.json",
    ): "searches/s/x/rounds/2/trials/0123456789abcdef/",
    (
        "train_trials",
        SEARCH,
        f"--batch={ROOT}/searches/s/x/rounds/seeds/batches/0123456789abcdef.json",
    ): "searches/s/x/rounds/seeds/trials/0123456789abcdef/",
    ("gather", SEARCH, "--round=2"): "searches/s/x/rounds/2/gather/",
    ("repeat_winner", SEARCH): "searches/s/x/rounds/seeds/suggest/",
    ("search_report", SEARCH): "searches/s/x/report/",
    ("predict_cut", PREDICTION, f"--batch={ROOT}/predictions/p/batches/0003.json"): "predictions/p/batches/0003/cut/",
    ("predict_known", PREDICTION): "predictions/p/known/",
    ("predict_batch", PREDICTION, f"--batch={ROOT}/predictions/p/batches/0003.json"): "predictions/p/batches/0003/",
    ("predict_report", PREDICTION): "predictions/p/report/",
    ("clean_up",): "clean_up/",
}
BY_FORM = {
    ("plan", f"--weights-result={ROOT}/w/"): "plans/",
    ("compare_versions",): "comparisons/versions/",
    ("predict_plan",): "predictions/choices/",
    ("forget", "a.mp4"): "forgotten/asked/",
    ("search_plan",): "searches/",
}
"""In a folder that the key of all their options names."""


def place(step, *flags):
    _, arguments = parse([step, f"--store={ROOT}", *flags])
    return STEPS[step].address(arguments)


@pytest.mark.parametrize("argv", ADDRESSES, ids=" ".join)
def test_a_steps_flags_determine_the_address_of_its_result(argv):
    output = place(*argv)
    assert output.folder_uri == f"{ROOT}/{ADDRESSES[argv]}"
    assert output.model is STEPS[argv[0]].result


@pytest.mark.parametrize("argv", BY_FORM, ids=" ".join)
def test_a_plan_lies_under_the_key_of_all_options(argv):
    output, other = place(*argv), place(*argv, "--reason=why" if argv[0] == "forget" else "--crops=1")
    assert output.folder_uri.startswith(f"{ROOT}/{BY_FORM[argv]}")
    assert output.model is STEPS[argv[0]].result
    assert output.folder_uri != other.folder_uri


def test_a_recipe_leads_to_the_plan_of_its_options_whether_they_are_given_or_not():
    def plan(preset="light", **options):
        values = {"store": ROOT, "weights_result": f"{ROOT}/w/", "preset": preset} | options
        return STEPS["plan"].address(PlanArguments.model_validate(values))

    light = PRESETS["light"].model_dump(mode="json")
    assert plan() == plan(**light) == plan("none", **light) != plan("none")
    assert plan(epochs=6) == plan(**light | {"epochs": 6}) != plan()


def test_a_single_word_without_a_flag_may_have_one():
    assert place("forget", "a.mp4") == place("forget", "--video=a.mp4") != place("forget", "--source=a.mp4")


def test_every_step_is_tried_here():
    assert {argv[0] for argv in (*ADDRESSES, *BY_FORM)} == set(STEPS)


def test_only_steps_that_see_a_part_of_their_key_are_told_where_to_write():
    assert {name for name, step in STEPS.items() if issubclass(step.arguments, OutArguments)} == {"ingest", "weights", "configure"}


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("train", f"--plan={ROOT}/plans/k/"), "runs/KEY/decisions/KEY/plan/, below the `decision_uri` of the plan's result"),
        (("train", f"--plan={RUN}/decisions/d/compare/"), "runs/KEY/decisions/KEY/plan/"),
        (("predict_known", f"--plan={ROOT}/predictions/choices/k/"), "predictions/KEY/plan/"),
        (("segment", f"--batch={ROOT}/predictions/p/batches/0000.json"), "ingests/KEY/batches/0000.json"),
        (("flow", f"--batch={ROOT}/ingests/i/batches/0000.json"), "flows/KEY/0000.json"),
        (("predict_batch", PREDICTION, f"--batch={ROOT}/ingests/i/batches/0000.json"), "predictions/KEY/batches/0000.json"),
        (("train_trials", SEARCH, f"--batch={ROOT}/predictions/p/batches/0000.json"), "searches/KEY/DIGEST/rounds/1/batches/KEY.json"),
        (
            ("train_trials", SEARCH, f"--batch={ROOT}/searches/s/x/folds/d/batches/0123456789abcdef.json"),
            "searches/KEY/DIGEST/rounds/1/batches/KEY.json",
        ),
        (("search_report", f"--search={ROOT}/searches/s/"), "searches/KEY/DIGEST/"),
        (
            ("train_trials", SEARCH, f"--batch={ROOT}/searches/s/y/rounds/2/batches/0123456789abcdef.json"),
            "is of another search than s3://retake/lab/searches/s/x/",
        ),
    ],
)
def test_an_address_of_another_kind_is_refused_with_the_form_that_is_taken(argv, told):
    with pytest.raises(BadConfiguration) as refused:
        place(*argv)
    assert told in str(refused.value)
