"""Each DAG in one process by `dag.test()`, with every step real."""

import json
import subprocess
import sys

import pytest

from tasks.local.home import REPOSITORY
from tasks.local.samples import make_samples
from tasks.video.ffmpeg import find_ffmpeg

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "s3://retake-dag-test"
TRAINING = {
    "backbone": "tf_efficientnet_lite0",
    "weights": "imagenet",
    "trainable": "heads",
    "epochs": 1,
    "frame_step": 30,
    "crops": 1,
    "model_name": "dag-test",
}
SCRIPT = """
import json, sys
from importlib import import_module
done = {}
for dag_id, conf in json.loads(sys.argv[1]).items():
    run = import_module(f"dags.{dag_id}").dag.test(run_conf=conf)
    tasks = [(t.task_id, t.map_index, str(t.state)) for t in run.get_task_instances()]
    done[dag_id] = {"state": str(run.state), "tasks": tasks}
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def tested(workshop, tmp_path_factory):
    """By DAG, the state of its run and of each task."""
    folder = tmp_path_factory.mktemp("dag-test")
    make_samples(folder / "films", seed=0, num_videos=3, video_seconds=16, ffmpeg=find_ffmpeg(None))
    confs = {
        "ingest_videos": {"store": STORE, "sources": [str(folder / "films")]},
        "build_dataset": {"store": STORE},
        "retrain": {"store": STORE, **TRAINING},
    }
    environment = {
        **workshop.environment,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    }
    airflow = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(airflow, cwd=REPOSITORY, env=environment, capture_output=True, check=True, timeout=200)
    script = [sys.executable, "-c", SCRIPT, json.dumps(confs)]
    done = subprocess.run(script, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("dag_id", "num_tasks"),
    [("ingest_videos", 1 + 3 + 1), ("build_dataset", 3), ("retrain", 2 + 1 + 4 + 2)],
)
def test_every_task_of_the_dag_succeeds(tested, dag_id, num_tasks):
    assert tested[dag_id]["state"] == "success"
    assert len(tested[dag_id]["tasks"]) == num_tasks
    assert {state for *_, state in tested[dag_id]["tasks"]} == {"success"}
