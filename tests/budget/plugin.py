"""Choose the tests of a tier, count the costly things that they do, and fail a run that exceeds `tests/budget.toml`."""

import os
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Generator, Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tasks.local.airflow_api import AirflowApi

FOLDER = Path(__file__).parent
BUDGET = FOLDER.parent / "budget.toml"
TIERS = {
    "fast": lambda marks: not marks & {"integration", "browser", "slow", "containers", "long"},
    "test": lambda marks: not marks & {"containers", "long"},
    "containers": lambda marks: "containers" in marks,
    "long": lambda marks: "long" in marks,
}
"""By tier: checks whether a test with these marks belongs to it."""
NEVER_FAST = ("tests/integration", "tests/containers")
NEVER_FAST_FILE = re.compile(r"^pytestmark = .*\bmark\.(?:integration|browser|slow|containers|long)\b", re.MULTILINE)
"""Found in the text of a file: importing it takes processor time."""
KINDS = ("servers", "airflow_runs", "dag_tests", "trainings", "step_processes", "browser_pages")
EVENTS = pytest.StashKey[Path]()


def every_process() -> ModuleType:
    """Import what each Python process of the tests imports at its start."""
    if "sitecustomize" in sys.modules and hasattr(sys.modules["sitecustomize"], "EVENTS_FILE"):
        return sys.modules["sitecustomize"]
    spec = spec_from_file_location("sitecustomize", FOLDER / "every_process" / "sitecustomize.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["sitecustomize"] = module
    return module


def count_airflow_runs(airflow: AirflowApi) -> None:
    """Count the DAG runs of an Airflow that is about to end, except scheduled ones."""
    with airflow as api:
        reply = api._get("/dags/~/dagRuns", limit=100, order_by="-run_after")
    num_scheduled = sum(run["run_type"] == "scheduled" for run in reply["dag_runs"])
    every_process().record("airflow_runs", reply["total_entries"] - num_scheduled)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tier", choices=TIERS, default="test", help="which tests to run: see CONTRIBUTING.md")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a worker inherits the environment, and counts into the file of its controller
    descriptor, name = tempfile.mkstemp(prefix="test-events-")
    os.close(descriptor)
    config.stash[EVENTS] = Path(name)
    os.environ["TEST_EVENTS_FILE"] = name
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(FOLDER / "every_process"), os.environ.get("PYTHONPATH"))))
    every_process()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file for the fast tier that has no test of it."""
    if config.getoption("tier") != "fast":
        return None
    path = collection_path.relative_to(config.rootpath).as_posix() if collection_path.is_relative_to(config.rootpath) else ""
    is_test = collection_path.suffix == ".py" and collection_path.is_file()
    return True if path in NEVER_FAST or (is_test and NEVER_FAST_FILE.search(collection_path.read_text(encoding="utf-8"))) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    belongs = TIERS[config.getoption("tier")]
    of_tier = {item: belongs({mark.name for mark in item.iter_markers()}) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not of_tier[item]])
    items[:] = [item for item in items if of_tier[item]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record the processor seconds of a test: those of this process and of the child processes that have ended."""
    before = sum(os.times()[:4])
    try:
        return (yield)
    finally:
        os.environ["PYTEST_CURRENT_TEST"] = item.nodeid
        every_process().record("processor_seconds", sum(os.times()[:4]) - before)
        del os.environ["PYTEST_CURRENT_TEST"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that exceeds the budget."""
    if EVENTS in session.config.stash and _excesses(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if EVENTS not in config.stash:
        return
    by_folder = _amounts(config, by_folder=True)
    terminalreporter.section(f"cost of tier {config.getoption('tier')}")
    columns = ("processor_seconds", *KINDS)
    folders = sorted({folder for folder, _ in by_folder}, key=lambda folder: -by_folder[folder, columns[0]])
    rows = [("folder", *(column.replace("_", " ") for column in columns))]
    rows += [
        (folder, *(f"{by_folder[folder, column]:.0f}" if by_folder[folder, column] else "" for column in columns)) for folder in folders
    ]
    terminalreporter.write_line("\n".join(_aligned(rows)))
    for excess in _excesses(config):
        terminalreporter.write_line(f"{excess}: do it below the real thing, or raise the number in {BUDGET.name} and say why", red=True)
    config.stash[EVENTS].unlink(missing_ok=True)


def _excesses(config: pytest.Config) -> list[str]:
    tier = config.getoption("tier")
    allowed = tomllib.loads(BUDGET.read_text())[tier]
    amounts = _amounts(config, by_folder=False)
    return [
        f"the tests did {amounts['', kind]:.0f} {kind.replace('_', ' ')}, and the budget of tier {tier} is {allowed[kind]}"
        for kind in KINDS
        if amounts["", kind] > allowed[kind]
    ]


def _amounts(config: pytest.Config, *, by_folder: bool) -> Counter[tuple[str, str]]:
    """Add up the events by folder (or "") and kind."""
    amounts = Counter[tuple[str, str]]()
    for line in config.stash[EVENTS].read_text().splitlines():
        kind, test, amount = line.split("\t")
        amounts[test.partition("::")[0].rpartition("/")[0] if by_folder else "", kind] += float(amount)  # type: ignore[assignment]
    return amounts


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        f"{row[0]:<{widths[0]}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)) for row in table
    ]
