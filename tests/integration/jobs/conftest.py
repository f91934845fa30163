"""Run whole jobs in one home, under Airflow's scheduler."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.local import supervise
from tasks.local.choices import SAMPLE_OPTIONS
from tests.budget.plugin import count_airflow_runs
from tests.integration.conftest import own_home
from tests.integration.jobs.browser import open_browser
from tests.integration.jobs.whole_job import OWN_OPTIONS, SAMPLE_CHANGES, Kitchen, MadeRun
from tests.ports import port_offset

KITCHEN_PORT_OFFSET = port_offset(1100)
KITCHEN = pytest.StashKey[Kitchen]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the servers after the last job: an idle Airflow takes a tenth of a core from later tests."""
    if (kitchen := item.session.stash.get(KITCHEN, None)) and not (nextitem and nextitem.path.is_relative_to(Path(__file__).parent)):
        del item.session.stash[KITCHEN]
        try:
            count_airflow_runs(kitchen.airflow())
        finally:
            supervise.down(kitchen.home, lambda _: None)


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory, request) -> Iterator[Kitchen]:
    """Make the home of the jobs."""
    with own_home(tmp_path_factory.mktemp("kitchen"), KITCHEN_PORT_OFFSET) as home:
        home.make()
        kitchen = request.session.stash[KITCHEN] = Kitchen(home)
        yield kitchen
        # After the last test of all, fixtures end before the hook above.
        if KITCHEN in request.session.stash:
            del request.session.stash[KITCHEN]
            count_airflow_runs(kitchen.airflow())


@pytest.fixture(scope="session")
def sample_run(kitchen) -> MadeRun:
    """Return `make run` with the centre crop only and without a learning curve, whose promotion a person approves in the browser."""

    def approve(address: str) -> None:
        with open_browser(kitchen) as browser:
            browser.approve(address, str(SAMPLE_OPTIONS["model_name"]))

    return kitchen.make_run(*SAMPLE_CHANGES, "promotion=approve", answer=approve)


@pytest.fixture(scope="session")
def own_run(kitchen, sample_run, shared) -> MadeRun:
    """Return `make run VIDEOS=kitchen` in the same home."""
    return kitchen.make_run(*OWN_OPTIONS, videos=shared / "videos" / "kitchen")
