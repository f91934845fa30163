"""`make run` from end to end: sample videos, then a person's own, under Airflow's scheduler and with every step real."""

import csv
import re
import shlex
import subprocess
import sys

import pytest

from tasks.local.choices import SAMPLE_OPTIONS
from tasks.local.home_folder import REPOSITORY
from tasks.local.run import SAMPLE_STORE, SAMPLES
from tasks.store.records.decisions import CompareResult, DecideResult
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.training import PlanResult
from tests.integration.jobs.browser import COMMENT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

DAGS = {"ingest_videos": "manual", "build_dataset": "asset_triggered", "retrain": "asset_triggered"}
STEPS = (
    *("ingest", "segment", "summarise", "label", "split", "dataset", "weights", "plan"),
    *("train", "evaluate", "compare", "report", "register", "approve", "decide"),
)


def test_the_run_shows_every_step_and_ends_with_the_table_and_where_to_look(kitchen, sample_run):
    said = sample_run.output
    for step in STEPS:
        assert re.search(rf"^\d+:\d\d  \w+  {step}( \[.+\])?: success", said, re.MULTILINE), step
    assert "60 clips" in said
    assert re.search(r"new network +\d", said)
    assert all(kitchen.addresses[name] in said for name in ("airflow", "mlflow"))
    assert kitchen.airflow_password not in said
    assert "\x1b" not in said


def test_assets_start_the_second_and_the_third_dag(kitchen, sample_run):
    assert {dag_id: kitchen.runs(dag_id)[-1]["run_type"] for dag_id in DAGS} == DAGS
    with kitchen.airflow() as api:
        assert api.import_errors() == {}


def test_the_approval_is_kept_with_its_comment(kitchen, sample_run):
    decided = DecideResult.model_validate(kitchen.result(sample_run.retrain, "decide"))
    assert (decided.promoted, decided.decided_by, set(decided.aliases)) == (True, "admin", {"champion", "challenger"})
    assert COMMENT in decided.reason
    assert COMMENT in kitchen.store.read_bytes(f"{SAMPLE_STORE}/decisions.csv").decode()


def test_the_sample_videos_are_learnt_beyond_chance_and_guessing(kitchen, sample_run):
    plan = PlanResult.model_validate(kitchen.result(sample_run.retrain, "plan"))
    assert plan.weights.is_chance
    assert "this baseline is chance" in sample_run.output
    scores = {
        result.model: result
        for evaluation in plan.evaluations
        if evaluation.split == "val"
        for result in [kitchen.store.read(f"{evaluation.out}result.json", EvaluateResult)]
    }
    ours, baseline = scores["fine-tuned"], scores["baseline"]
    for target in ("verb", "noun", "action"):
        mine = getattr(ours, target)
        assert mine.top1 > getattr(baseline, target).top1
        assert mine.top1 > mine.majority_top1
    assert ours.action.top1_interval[0] > ours.action.majority_top1


def test_the_lines_of_the_docs_load_the_champion_without_our_code(kitchen, sample_run, tmp_path):
    docs = (REPOSITORY / "docs" / "predict.md").read_text(encoding="utf-8")
    lines = "".join(block for block in re.findall(r"```python\n(.*?)```", docs, re.DOTALL) if "models:/" in block)
    film = next(SAMPLES.rglob("*.mp4"))
    script = (
        "import torch\nframes = torch.zeros(3, 8, 256, 300, 3, dtype=torch.uint8)\n"
        + lines.replace("retake-tsn@", f"{SAMPLE_OPTIONS['model_name']}@").replace("video.mp4", str(film))
        + "import tasks\nprint(tasks.__file__, tuple(verb_logits.shape), tuple(noun_logits.shape))\n"
    )
    environment = {"MLFLOW_TRACKING_URI": kitchen.addresses["mlflow"]}
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().endswith("/code/tasks/__init__.py (3, 125) (3, 352)"), done.stderr


def test_the_commands_that_it_ends_with_tell_when_actions_happen_in_a_long_film(kitchen, sample_run, tmp_path):
    (shown,) = re.findall(r"^ +(.+ -m tasks predict .+)$", sample_run.output, re.MULTILINE)
    command = shown.replace(".venv/bin/python", sys.executable).replace("~/predicted", str(tmp_path / "predicted"))
    # As many crops as the run: those of val, of which the threshold is. A second network would only take time.
    command = [*shlex.split(command), "--crops=1", "--against=none"]
    done = subprocess.run(command, cwd=REPOSITORY, env=kitchen.environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "predicted"
    means = {
        (row["network"], row["target"]): float(row["ap_mean"])
        for row in csv.DictReader((folder / "when.csv").read_text().splitlines())
        if row["class"] == "(mean of classes)"
    }
    model = next(network for network, _ in means if network.startswith("retake-tsn-sample"))
    assert means[model, "action"] > 0.6 > means["always guessing", "action"]
    assert "long_01.mp4" in (folder / "intervals.csv").read_text()
    assert "-->" in next((folder / "tracks").glob("*.model.intervals.vtt")).read_text()
    assert '<section id="when">' in (folder / "report.html").read_text()


def test_a_persons_own_videos_go_through_the_same_servers(kitchen, own_run):
    assert own_run.output.count("already running at") == 3
    decided = DecideResult.model_validate(kitchen.result(own_run.retrain, "decide"))
    assert (decided.model_name, decided.version) == ("retake-tsn", 1)
    compared = CompareResult.model_validate(kitchen.result(own_run.retrain, "compare"))
    assert compared.opponent == "baseline"
    assert ("champion" in decided.aliases) == decided.promoted == (compared.passed or compared.provisional)
