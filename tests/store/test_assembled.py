"""Every address of the store is made in `tasks/store/`, and nowhere else."""

from pathlib import Path

import pytest

from tasks.local.home import REPOSITORY
from tests.store.assembled import assembled, vocabulary

STORE = REPOSITORY / "tasks" / "store"
NAMES = vocabulary([path for path in STORE.glob("*.py") if path.stem != "objects"])
CODE = [path for room in ("tasks", "dags") for path in sorted((REPOSITORY / room).rglob("*.py")) if STORE not in path.parents]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(Path(path).relative_to(REPOSITORY)))
def test_no_other_file_makes_an_address(path):
    assert assembled(path.read_text(), NAMES) == []


@pytest.mark.parametrize(
    "planted",
    [
        'f"{plan.run_uri}train/"',
        'f"{store_uri}/new/{key}"',
        'f"{arguments.out}labels.json"',
        'f"{folder}manifest.json"',
        'f"{root}/runs/{key}/"',
        'f"{uri}{name}"',
        "f\"{uri.rstrip('/')}/result.json\"",
        'f"s3://{bucket}/x"',
        '"s3://" + bucket',
        'store_uri + "/new"',
        'root + "/videos/" + video',
        'found.uri.removesuffix("decide/result.json")',
        'checkpoint_uri.rpartition("/runs/")',
        '"{store}/ingests/{key}/"',
        '"{{ task.mapped.out }}weights/"',
        'f"{DECISION}plan/"',
        'f"{DECISION}new/"',
        "f\"{_planned('run_uri')}train/\"",
    ],
)
def test_an_address_that_is_assembled_is_found(planted):
    assert assembled(f'"""Writes `{{store}}/x`."""\nmade = {planted}\n', NAMES) == [2]


@pytest.mark.parametrize(
    "harmless",
    [
        'f"{plan.run_uri} is gone; run the step again"',
        'f"nothing in {inbox_uri}"',
        'f"{url}/artifacts/report.html"',
        'f"known are {names}"',
        'f"{stage}/loss"',
        'Layout("{store}").ingest("{key}")',
        '"{{ task.mapped.name | truncate(100) }}"',
        "f\"{{{{ ti.xcom_pull(task_ids='{GROUP}.plan')['{field}'] }}}}\"",
    ],
)
def test_other_texts_are_left_alone(harmless):
    assert assembled(f"made = {harmless}\n", NAMES) == []
