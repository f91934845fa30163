"""New films predicted by two networks against a real store and a real MLflow: by hand, and by `dag.test()`."""

import csv
import io
import json
import shutil
import subprocess

import pytest
from mlflow import MlflowClient

from tasks.__main__ import main
from tasks.local.samples import make_samples
from tasks.results.prediction import PredictPlanResult, PredictReportResult
from tests.integration.conftest import CHAIN_STORE as STORE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "models:/retake-tsn@challenger"


@pytest.fixture(scope="module")
def films(tmp_path_factory, ffmpeg):
    """Two new films, one of a single frame, one that is none, and a table, which is no video."""
    folder = tmp_path_factory.mktemp("new") / "new & <films>"
    make_samples(folder, seed=7, num_videos=2, video_seconds=16, ffmpeg=ffmpeg)
    one_frame = ["-f", "lavfi", "-i", "testsrc=s=320x240:r=30:d=1", "-frames:v", "1", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *one_frame, folder / "one frame.mp4"], check=True)
    (folder / "words.mp4").write_text("no video")
    return folder


@pytest.fixture
def predict(workshop, monkeypatch, capsys, caplog):
    """`python -m tasks predict` in this process: the exit code, the result and what was logged."""

    def call(*argv):
        for name, value in workshop.environment.items():
            monkeypatch.setenv(name, value)
        caplog.clear()
        code = main(["predict", *map(str, argv)])
        shown = capsys.readouterr().out.strip()
        return code, json.loads(shown.splitlines()[-1]) if shown else None, caplog.messages

    return call


@pytest.fixture(scope="module")
def predicted(workshop, chain, films):
    """One prediction of the folder, in a process of its own as a person starts it."""
    command = [*workshop.command("predict"), str(films), f"--model={MODEL}", "--crops=1", "--preview", "--num-to-label=3"]
    done = subprocess.run(command, env=workshop.environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return PredictReportResult.model_validate_json(done.stdout.splitlines()[-1])


def read_table(workshop, uri):
    return list(csv.DictReader(io.StringIO(workshop.store.read_bytes(uri).decode())))


def test_a_folder_is_predicted_and_bad_files_cost_themselves(workshop, predicted):
    assert (predicted.num_videos, predicted.num_clips) == (2, 4)
    reasons = {bad.name: bad.reason for bad in predicted.first_set_aside}
    assert "shorter than the 2 s" in reasons["one frame.mp4"]
    assert "not a video" in reasons["words.mp4"]
    rows = read_table(workshop, predicted.table_uri)
    assert len(rows) == 4 * 2 * 5
    assert {row["network"] for row in rows} == {"retake-tsn version 1", "baseline"}
