"""A network of torchvision that sees consecutive frames, on a real store and a real MLflow: from its training to the clips of a new film."""

import csv
import io
import json
import subprocess
import sys

import pytest

from tasks.results.evaluation import DecideResult, RegisterResult
from tasks.results.prediction import PredictReportResult
from tests.films.samples import make_samples
from tests.integration.networks.test_family import Retrain
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "video"
# Seeded weights: there are none to download.
OPTIONS = TRAINING | {
    "family": "3D",
    "backbone": "mc3_18",
    "weights": "none",
    "trainable": "heads",
    "feature_variants": 1,
    "model_name": MODEL,
}
ANSWER = """
import json, mlflow, sys, torch
model = mlflow.pytorch.load_model(sys.argv[1])
views = torch.randint(256, (2, 5, 256, 341, 3 * 16), dtype=torch.uint8)
print(json.dumps([[list(logits.shape), bool(logits.isfinite().all())] for logits in model(views)]))
assert "tasks" not in sys.modules
"""


@pytest.fixture(scope="module")
def retrain(workshop, chain):
    def attempt(step, **flags):
        done = workshop.attempt(step, **flags)
        return done.returncode, done.stderr

    done = Retrain(workshop, attempt, OPTIONS)
    done.follow()
    return done


def test_a_registered_video_network_answers_in_a_process_that_knows_nothing_of_us(workshop, retrain, tmp_path):
    version = retrain.result("register", RegisterResult).version
    assert retrain.plan.weights.network == "3D mc3_18 rgb, 5 views"
    assert retrain.result("decide", DecideResult).version == version
    environment = {key: value for key, value in workshop.environment.items() if not key.startswith(("RETAKE_", "PYTHON", "COVERAGE"))}
    script = [sys.executable, "-P", "-c", ANSWER, f"models:/{MODEL}/{version}"]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[[2, 125], True], [[2, 352], True]]


def test_a_registered_video_network_predicts_a_new_film(workshop, retrain, tmp_path, ffmpeg):
    make_samples(tmp_path / "film", seed=13, num_videos=1, video_seconds=8, ffmpeg=ffmpeg)
    command = [*workshop.command("predict"), str(tmp_path / "film"), f"--model=models:/{MODEL}@challenger", "--against=none"]
    done = subprocess.run(
        [workshop.environment["RETAKE_PYTHON"], *command[1:]], env=workshop.environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    predicted = PredictReportResult.model_validate_json(done.stdout.splitlines()[-1])
    assert (predicted.num_videos, predicted.num_clips) == (1, 1)
    rows = list(csv.DictReader(io.StringIO(workshop.store.read_bytes(predicted.table_uri).decode())))
    assert [(row["network"], row["rank"]) for row in rows] == [("video version 1", str(rank)) for rank in range(1, 6)]
    assert "3D mc3_18 rgb, 5 views" in workshop.store.read_bytes(predicted.page_uri).decode()
