"""The whole chain on the stack, and what is there afterwards for those who use it."""

import subprocess
import sys

import httpx
import pytest
from minio import Minio

from tests.containers.job import QUICK
from tests.containers.stack import PORTS, STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

USE_THE_CHAMPION = """
import mlflow, torch
model = mlflow.pytorch.load_model("models:/kitchen@champion")
verb_logits, noun_logits = model(torch.zeros(2, 2, 256, 340, 3, dtype=torch.uint8))
print(tuple(verb_logits.shape), tuple(noun_logits.shape))
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
    assert done.stdout.strip() == "(2, 125) (2, 352)", done.stderr


def test_the_run_names_the_code_that_made_it_and_the_airflow_run(chain, stack):
    result = chain.result(chain.latest("retrain"), "train")
    tags = _run(stack, result["mlflow_run_id"])["data"]["tags"]
    tags = {tag["key"]: tag["value"] for tag in tags}
    assert tags["mlflow.source.git.commit"] == stack.engine.images.get("retake/trainer:test").labels["org.opencontainers.image.revision"]
    assert tags["retake.airflow_run"].startswith(f"{stack.airflow_url}/dags/retrain/runs/")


def test_the_link_of_a_step_leads_to_mlflow_as_a_browser_reaches_it(chain, stack):
    assert chain.result(chain.latest("retrain"), "train")["mlflow_run_url"].startswith(f"{stack.mlflow_url}/#/experiments/")


def test_the_logs_of_the_steps_are_in_the_object_store(chain, stack):
    variables = stack.variables
    client = Minio(
        endpoint=f"localhost:{PORTS['RETAKE_STORE_PORT']}",
        access_key=variables["RETAKE_STORE_LOGS_ACCESS_KEY"],
        secret_key=variables["RETAKE_STORE_LOGS_SECRET_KEY"],
        secure=False,
    )
    run = chain.latest("retrain")
    names = [found.object_name for found in client.list_objects(bucket_name="retake-logs", recursive=True)]
    train = next(name for name in names if run.run_id in name and "task_id=train" in name)
    assert b"epoch 3/3" in client.get_object(bucket_name="retake-logs", object_name=train).read()


def test_no_step_leaves_its_container_behind(chain, stack):
    assert stack.engine.containers.list(all=True, filters={"label": "retake.command", "network": "retake-test_steps"}) == []


def test_a_folder_of_this_machine_is_taken_in_by_the_command(chain, stack, tmp_path):
    """With nothing in it that can be used, so that the chain behind it finds nothing new; again, which costs no upload."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "beach.mp4").write_text("no film")
    options = [f"--set={name}={value}" for name, value in QUICK.items()]
    command = [sys.executable, "-m", "tasks.local", "ingest-folder", str(folder), "--into=stack", *options]
    for num_new in (1, 0):
        done = subprocess.run(command, cwd=stack.folder, env=stack.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"1 files in s3://retake/inbox/holiday/, of which {num_new} are new" in done.stdout
    chain.stop_the_clock()
    store = stack.store()
    inventories = [store.read_bytes(found.uri) for found in store.list("s3://retake/ingests/") if found.name == "inventory.json"]
    assert any(b"holiday/beach.mp4" in inventory for inventory in inventories)


def test_a_command_by_hand_reaches_the_registry_and_the_store(chain, stack):
    decided = chain.result(chain.latest("retrain"), "decide")
    rollback = ["run", "--rm", "retake", "rollback", f"--to={decided['version']}", "--reason=tried out", "--model-name=kitchen"]
    with pytest.raises(AssertionError, match=f"kitchen version {decided['version']} is already champion"):
        stack.compose(*rollback)


def _run(stack, run_id: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    reply = httpx.get(
        f"{stack.mlflow_url}/api/2.0/mlflow/runs/get",
        params={"run_id": run_id},
        auth=("admin", stack.variables["RETAKE_MLFLOW_PASSWORD"]),
    )
    run: dict[str, dict[str, list[dict[str, str]]]] = reply.raise_for_status().json()["run"]
    return run
