"""One stack for all tests of this folder, built and started once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.local.airflow_api import RunRef
from tests.budget.plugin import count_airflow_runs
from tests.containers.job import Disturbed, Job, disturb, small_samples
from tests.containers.stack import Stack, own_stack

PLACES = {
    Path(__file__).with_name(name): place
    for place, name in enumerate(
        ("test_compose.py", "test_proxy.py", "test_up.py", "test_chain.py", "test_label_page.py", "test_faults.py", "test_hardening.py")
    )
}
"""The first three run during the chain. Tests of other files come last, because they leave another stack."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: PLACES.get(item.path, len(PLACES)))


@pytest.fixture(scope="session")
def cold_stack(tmp_path_factory) -> Iterator[Stack]:
    """A stack that is not up yet."""
    with own_stack(tmp_path_factory.mktemp("stack") / "retake") as stack:
        yield stack


@pytest.fixture(scope="session")
def first_up(cold_stack) -> str:
    """The output of `make up`, from nothing to healthy."""
    with ThreadPoolExecutor() as pool:
        up = pool.submit(cold_stack.make, "up")
        small_samples(cold_stack.folder / "videos" / "small")
    code, said = up.result()
    assert code == 0, said
    return said


@pytest.fixture(scope="session")
def begun(cold_stack, first_up) -> tuple[Job, RunRef]:
    """The whole chain on small sample videos, started through Airflow's REST API with a password."""
    job = Job(cold_stack)
    return job, job.start_ingest("/videos/small", seed=0)


@pytest.fixture(scope="session")
def stack(cold_stack, begun) -> Iterator[Stack]:
    """The stack, up and well; the chain runs in it."""
    yield cold_stack
    count_airflow_runs(cold_stack.airflow())


@pytest.fixture(scope="session")
def chain(begun) -> Job:
    """The chain at its end, with its network as champion."""
    job, run = begun
    job.follow(run)
    job.name_champion()
    return job


@pytest.fixture(scope="session")
def disturbed(chain) -> Disturbed:
    """A run whose services were killed one after another."""
    return disturb(chain)
