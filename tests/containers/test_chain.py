"""The whole chain on the stack, and its results."""

import subprocess
import sys

import pytest

from tasks.local.container_stack import upload
from tasks.local.follow import PlainScreen
from tasks.store.layout import Layout
from tests.containers.job import QUICK
from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

USE_THE_CHAMPION = """
import mlflow, numpy, torch
model = mlflow.pytorch.load_model("models:/kitchen@champion")
verb_logits, noun_logits = model(torch.zeros(2, 2, 256, 340, 3, dtype=torch.uint8))
frames = numpy.zeros((60, 240, 320, 3), numpy.uint8)
answer = mlflow.pyfunc.load_model("models:/kitchen@champion").predict(frames)
print(tuple(verb_logits.shape), tuple(noun_logits.shape), list(answer.columns[:2]))
"""


def test_the_champion_is_loaded_through_the_password_and_answers(chain, stack, tmp_path):
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "MLFLOW_TRACKING_URI": stack.mlflow_url,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": stack.variables["RETAKE_MLFLOW_PASSWORD"],
    }
    done = subprocess.run([sys.executable, "-c", USE_THE_CHAMPION], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "(2, 125) (2, 352) ['video', 'start']", done.stderr


def test_the_run_names_its_code_and_the_airflow_run_which_has_a_link_to_it(chain, stack):
    result = chain.result(chain.latest("retrain"), "train")
    run = stack.mlflow("GET", "runs/get", params={"run_id": result["mlflow_run_id"]})["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["mlflow.source.git.commit"] == stack.engine.images.get("retake/trainer:test").labels["org.opencontainers.image.revision"]
    assert tags["retake.airflow_run"].startswith(f"{stack.airflow_url}/dags/retrain/runs/")
    assert result["mlflow_run_url"].startswith(f"{stack.mlflow_url}/#/experiments/"), "as a browser reaches it"


def test_the_logs_of_the_steps_are_in_the_object_store(chain, stack):
    run, logs = chain.latest("retrain"), stack.store("LOGS")
    train = next(log.uri for log in logs.list("s3://retake-logs/") if run.run_id in log.uri and "task_id=train" in log.uri)
    assert b"epoch 3/3" in logs.read_bytes(train)


def test_no_step_leaves_its_container_behind(chain, stack):
    assert stack.engine.containers.list(all=True, filters={"label": "retake.command", "network": "retake-test_steps"}) == []


def test_a_folder_of_this_machine_is_taken_in_by_the_command_and_uploaded_once(chain, stack, tmp_path):
    """With nothing in it that can be used, so that the chain behind it finds nothing new; in parts, as real films are."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "beach.mp4").write_bytes(b"no film" * (1 << 20))
    options = [f"--set={name}={value}" for name, value in QUICK.items()]
    done = stack.run(sys.executable, "-m", "tasks.local", "ingest-folder", str(folder), "--into=stack", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 file in s3://retake/inbox/holiday/, 1 of them new" in done.stdout
    chain.stop_the_clock()
    store = stack.store()
    assert upload(store, folder, Layout("s3://retake").uploaded("holiday"), PlainScreen(sys.stdout)) == (0, 1)
    inventories = [store.read_bytes(listed.uri) for listed in store.list("s3://retake/ingests/") if listed.name == "inventory.json"]
    assert any(b"holiday/beach.mp4" in inventory for inventory in inventories)


def test_a_command_by_hand_reaches_the_registry_and_the_store(chain, stack):
    decided = chain.result(chain.latest("retrain"), "decide")
    rollback = ["run", "--rm", "retake", "rollback", f"--to={decided['version']}", "--reason=tried out", "--model-name=kitchen"]
    with pytest.raises(AssertionError, match=f"kitchen version {decided['version']} is already champion"):
        stack.compose(*rollback)
