import ast
import json
import os
import subprocess
import sys
from datetime import timedelta
from importlib import import_module
from itertools import pairwise
from runpy import run_path

import pytest

from dags._tasks import CLIPS, DATASET, MODEL
from tasks.local.home_folder import REPOSITORY
from tasks.options.search import MAX_ROUNDS
from tasks.pipeline.commands import STEPS

FILES = sorted((REPOSITORY / "dags").glob("[!_]*.py"))
MODULES = [import_module(f"dags.{path.stem}") for path in FILES]
DAGS = {module.dag.dag_id: module.dag for module in MODULES}
WITHOUT_STEP = {
    "retrain": {"publish.approve", "prepare.ask", "prepare.use_auto", "learning_curve"},
    "compare_networks": {"network.ask", "use_auto"},
    "forget": {"ask", "ask_to_train", "build"},
    "search": {"retrain"},
    "clean_up": {"airflow_database"},
}
TASKS = [task for dag_id, dag in DAGS.items() for task in dag.tasks if task.task_id not in WITHOUT_STEP.get(dag_id, ())]
GPU_TASKS = {"train", "evaluate", "learning_curve", "rescore", "known", "predict", "compare_versions", "network.train", "network.evaluate"}
GPU_TASKS |= {"seeds", *(f"round_{number}.trials" for number in range(1, MAX_ROUNDS + 1))}

OPERATORS = {"docker": "airflow.providers.docker.operators.docker", "kubernetes": "airflow.providers.cncf.kubernetes.operators.pod"}
HEAVY = {"torch", "pandas", "mlflow", "minio", "av", "numpy", "pytorch_lightning", "sklearn"}
PARSE = f"""
import json, os, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError("a DAG file must not need " + name)
sys.meta_path.insert(0, Blocker())
from importlib import import_module
import airflow.sdk
for runner in sys.argv[1:]:
    if pid := os.fork():
        assert os.waitpid(pid, 0)[1] == 0, runner
        continue
    os.environ["RETAKE_RUNNER"] = runner
    dags = [import_module("dags." + name).dag for name in {[path.stem for path in FILES]!r}]
    print(json.dumps([name for name, module in {OPERATORS!r}.items() if module in sys.modules]), flush=True)
    if runner != "local":
        os._exit(0)
    sys.meta_path.pop(0)
    from airflow.serialization.serialized_objects import DagSerialization
    print(json.dumps([DagSerialization.to_dict(dag) for dag in dags]), flush=True)
    os._exit(0)
"""
"""Parses the folder for each runner named, in processes that begin with nothing imported but what every DAG file needs.

Prints the providers that were imported, and after those of the local runner the DAGs as Airflow keeps them.
"""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def made_of(task):
    return task.partial_kwargs if task.is_mapped else vars(task)


def test_every_file_is_a_dag_named_like_it():
    assert {path.stem for path in FILES} == set(DAGS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_wiring_only(path):
    foreign = {name for name in imports(path) if name.partition(".")[0] not in sys.stdlib_module_names}
    allowed = ("airflow.sdk", "tasks.pipeline", "tasks.options", "tasks.settings", "tasks.store.", "dags._")
    assert not [name for name in foreign if not name.startswith(allowed)]
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.If, ast.For, ast.FunctionDef))]
    assert len(path.read_text().splitlines()) <= 150


def parsed(hash_seed, *runners):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    printed = subprocess.check_output([sys.executable, "-c", PARSE, *runners], env=environment, text=True)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture(scope="module")
def in_every_runner():
    return parsed("1", "local", *OPERATORS)


@pytest.mark.slow
def test_the_folder_imports_without_anything_heavy_and_only_the_provider_of_its_runner(in_every_runner):
    local, _, *others = in_every_runner
    assert local == []
    assert others == [[runner] for runner in OPERATORS]


@pytest.mark.slow
def test_a_dag_is_the_same_at_every_parse_so_that_no_version_is_made_without_a_change(in_every_runner):
    assert parsed("2", "local")[1] == in_every_runner[1]


@pytest.mark.parametrize("dag", DAGS.values(), ids=DAGS)
def test_a_dag_tells_the_person_on_call_what_to_do(dag):
    for wanted in ("Owner", "When it fails", "Safe to rerun at any time"):
        assert wanted in dag.doc_md
    assert "retake" in dag.tags
    assert dag.max_active_runs == 1
    assert not dag.catchup


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.task_id)
def test_every_task_has_a_time_limit_retries_and_a_step(task):
    arguments = made_of(task)
    assert timedelta(minutes=1) < task.execution_timeout <= timedelta(days=7)
    assert task.retries >= 1
    assert arguments["step"] in STEPS
    assert arguments["form"] is sys.modules[f"dags.{task.dag.dag_id}"].FORM


def test_every_step_is_in_the_dags_that_its_contract_names():
    runs = {(made_of(task)["step"], task.dag.dag_id) for task in TASKS}
    assert runs == {(name, dag) for name, step in STEPS.items() for dag in (step.dag, *step.also_in)}


def test_later_tasks_are_expanded_over_a_list_that_the_result_has():
    lists = {(given["step"], given["returns"]) for task in TASKS if (given := made_of(task)).get("returns")}
    assert {(step, name) for step, name in lists if name not in STEPS[step].result.model_fields} == set()


INSTEAD = {step: {"plan", "configured", "prediction"} for step in ("flows", "sound")} | {
    "report": {"learning_curve"},
    "forget": {"confirm", "asked"},
}
"""Arguments that exclude one another, or that not every DAG gives."""


def test_what_a_step_takes_is_what_its_arguments_name():
    for task in TASKS:
        given = made_of(task)
        options = {name for model in given.get("options", ()) for name in model.model_fields}
        named = {"store", *options, *given.get("passes", ()), *(given.get("inputs") or {})}
        known = set(STEPS[given["step"]].arguments.model_fields)
        assert named <= known, task.task_id
        assert known - named <= INSTEAD.get(given["step"], set()), task.task_id


@pytest.mark.parametrize(
    ("gpu", "pool", "of_curves"),
    [("auto", "gpu", ("gpu", "gpu")), ("required", "gpu", ("gpu", "gpu")), ("off", "prediction", ("default_pool", "cpu"))],
)
def test_without_a_gpu_no_prediction_waits_behind_a_training_and_neither_behind_a_curve(gpu, pool, of_curves, monkeypatch):
    monkeypatch.setenv("RETAKE_GPU", gpu)
    tasks = run_path(REPOSITORY / "dags" / "predict_videos.py")["dag"].tasks
    assert {task.task_id: task.pool for task in tasks if task.pool != "default_pool"} == {"known": pool, "predict": pool}
    curve = run_path(REPOSITORY / "dags" / "learning_curve.py")["dag"].get_task("learning_curve")
    assert ((curve.pool, curve.queue), curve.weight_rule, curve.priority_weight) == (of_curves, "absolute", 0)


def test_what_needs_torch_has_the_image_with_torch_and_only_training_and_testing_wait_for_the_gpu():
    given = {task.task_id: made_of(task) for task in TASKS}
    trainers = {"prepare.weights", "prepare.sound", "sound", "publish.register", "export", "network.weights", *GPU_TASKS}
    assert {name for name, fields in given.items() if "trainer" in (fields.get("image"), fields.get("image_kind"))} == trainers
    assert {name for name, fields in given.items() if fields.get("gpu")} == GPU_TASKS
    for where in ("pool", "queue"):
        assert {task.task_id for task in TASKS if getattr(task, where) == "gpu"} == GPU_TASKS
    assert {task.queue for dag in DAGS.values() for task in dag.tasks if task.task_id not in GPU_TASKS} == {"cpu"}


def test_each_dag_waits_for_what_the_one_before_makes():
    def made(dag):
        return [asset for task in dag.tasks for asset in (task.partial_kwargs.get("outlets", []) if task.is_mapped else task.outlets)]

    assert [made(DAGS[name]) for name in ("ingest_videos", "build_dataset", "retrain")] == [[CLIPS], [DATASET], [MODEL]]
    when = {name: dag.timetable for name, dag in DAGS.items()}
    assert when["build_dataset"].asset_condition.objects == (CLIPS,)
    assert when["retrain"].asset_condition.objects == (DATASET,)
    assert when["retrain"].timetable.expression == "0 2 * * 1"
    assert {name: when[name].expression for name in ("ingest_videos", "clean_up")} == {
        "ingest_videos": "0 * * * *",
        "clean_up": "0 4 * * 0",
    }


ROUNDS = range(1, MAX_ROUNDS + 1)
CHAINS = {
    "ingest_videos": ["ingest segment summarise", "ingest summarise"],
    "build_dataset": ["label split dataset"],
    "retrain": [
        "prepare.weights prepare.plan prepare.ask prepare.flows prepare.flow train evaluate publish.compare publish.report publish.register",
        "prepare.ask prepare.sound train",
        *("publish.report learning_curve", "publish.register learning_curve"),
        "publish.register publish.approve publish.decide export report_with_package",
        *("prepare.ask prepare.use_auto", "prepare.ask train", "publish.register publish.decide"),
    ],
    "learning_curve": ["learning_curve report_with_curve", "learning_curve rescore"],
    "compare_networks": [
        "configure flows flow network.weights network.plan network.ask network.train network.evaluate tabulate",
        "configure sound network.weights",
        *("network.evaluate use_auto", "configure use_auto"),
        *(f"configure {task}" for task in ("network.weights", "network.plan", "network.train", "network.evaluate", "tabulate")),
    ],
    "compare_versions": ["compare_versions"],
    "forget": ["list ask forget ask_to_train build"],
    "search": [
        "plan round_1.suggest",
        *(f"round_{number}.suggest round_{number}.trials round_{number}.gather repeat_winner" for number in ROUNDS),
        *(f"round_{number}.suggest round_{number}.gather" for number in ROUNDS),
        *(f"round_{number}.gather round_{number + 1}.suggest" for number in ROUNDS[:-1]),
        *("repeat_winner seeds report retrain", "repeat_winner report"),
    ],
    "predict_videos": [
        "plan cut flows flow predict report",
        "plan known predict",
        "cut sound predict",
        "plan flows",
        "plan sound predict",
        "plan predict",
    ],
    # The database is cleaned whatever becomes of the store.
    "clean_up": ["clean_up", "airflow_database"],
}
"""Tasks that follow one another in each DAG."""


@pytest.mark.parametrize("dag", DAGS.values(), ids=DAGS)
def test_steps_follow_one_another(dag):
    edges = {edge for chain in CHAINS[dag.dag_id] for edge in pairwise(chain.split())}
    assert {(before, task.task_id) for task in dag.tasks for before in task.upstream_task_ids} == edges
    assert {task.task_id for task in dag.tasks} == {task for chain in CHAINS[dag.dag_id] for task in chain.split()}


def test_two_batches_at_once_are_cut_and_have_their_flow_computed():
    limited = {(task.dag.dag_id, task.task_id) for task in TASKS if made_of(task).get("max_active_tis_per_dagrun") == 2}
    flows = {("retrain", "prepare.flow"), ("compare_networks", "flow"), ("predict_videos", "flow")}
    assert limited >= {("ingest_videos", "segment"), ("predict_videos", "cut"), *flows}


SOME, DONE, ALL = "none_failed_min_one_success", "all_done_min_one_success", "all_done"
RULES = {
    "ingest_videos": {"summarise": SOME},
    # A skipped branch is no failure.
    "retrain": {"prepare.use_auto": "all_skipped", "train": SOME, "publish.decide": SOME, "learning_curve": SOME},
    # The report also says why no curve could be drawn.
    "learning_curve": {"report_with_curve": "none_failed", "rescore": ALL},
    # A row for what failed, and no network waits for another.
    "compare_networks": {"network.weights": ALL, "tabulate": DONE, "use_auto": DONE},
    # A search goes on where a trial failed, and reports the rounds that there were.
    "search": {**{f"round_{number}.gather": DONE for number in ROUNDS}, "repeat_winner": SOME, "report": DONE},
    # A prediction has a page where a batch failed.
    "predict_videos": {"flows": DONE, "sound": DONE, "predict": ALL, "report": DONE},
}
"""The tasks that do not wait for all tasks before them to succeed."""


@pytest.mark.parametrize("dag", DAGS.values(), ids=DAGS)
def test_what_goes_on_after_a_failure(dag):
    assert {task.task_id: task.trigger_rule for task in dag.tasks if task.trigger_rule != "all_success"} == RULES.get(dag.dag_id, {})


def test_what_failed_is_told_to_the_task_that_goes_on():
    group = DAGS["compare_networks"].task_group.children["network"]
    assert type(group).__name__ == "MappedTaskGroup"
    failures = DAGS["compare_networks"].get_task("tabulate").inputs["failures"]
    assert not [task for task in group.children if f"'{task}'" not in failures]
    for number in ROUNDS:
        assert f"'round_{number}.trials'" in DAGS["search"].get_task(f"round_{number}.gather").inputs["failures"]
