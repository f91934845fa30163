"""A home in which whole jobs are done, under Airflow's scheduler."""

from collections.abc import Iterator

import pytest

from tests.integration.conftest import own_home
from tests.integration.jobs.whole_job import OWN_OPTIONS, Kitchen
from tests.ports import port_offset

KITCHEN_PORT_OFFSET = port_offset(1100)


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory) -> Iterator[Kitchen]:
    """A home in which whole jobs are done."""
    with own_home(tmp_path_factory.mktemp("kitchen"), KITCHEN_PORT_OFFSET) as home:
        home.make()
        yield Kitchen(home)


@pytest.fixture(scope="session")
def sample_run(kitchen) -> str:
    """What `make run` prints, but that it scores the centre crop alone."""
    return kitchen.make_run("crops=1")


@pytest.fixture(scope="session")
def own_run(kitchen, sample_run, shared) -> str:
    """What `make run VIDEOS=kitchen` prints in the same home."""
    return kitchen.make_run(*OWN_OPTIONS, videos=shared / "videos" / "kitchen")
