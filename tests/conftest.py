"""Configure all tests: environment, order, workers, and the shared real videos and reference data."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tasks.data.video.ffmpeg import find_ffmpeg

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["tests.budget.plugin"]

KEPT_SETTINGS = ("RETAKE_FUZZ_LABELS", "RETAKE_FUZZ_VIDEOS", "RETAKE_SCREENSHOTS")

# Workers share the cores, and floating-point sums depend on the number of threads. Set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"
# Settings of the shell are meant for `make run`; tests choose their own.
for name in [name for name in os.environ if name.startswith("RETAKE_") and name not in KEPT_SETTINGS]:
    del os.environ[name]

# The time of an example depends on the load of the machine more than on the code. CI tries the same examples each time.
hypothesis.settings.register_profile("retake", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("retake")

WITH_SERVERS = ("tests/containers/", "tests/integration/jobs/", "tests/integration/", "tests/pages/label/in_browser/", "")
"""Prefixes of tests that share servers, slowest first; the last matches all others."""

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests without garbage collection, which takes a third of the time, and leave them out of all later collections."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest tests first."""
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (WITH_SERVERS.index(_folder_with_servers(item.nodeid)), item.path not in slow_files))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Assign tests that share servers, or a file, to one worker; ignore `--dist`."""
    config.option.loadscopereorder = False
    return ByServers(config, log)


class ByServers(LoadFileScheduling):  # type: ignore[misc] # no type information is published
    """Group tests by the servers that they share, else by file."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = _folder_with_servers(nodeid) or super()._split_scope(nodeid)
        return scope


def _folder_with_servers(nodeid: str) -> str:
    return next(folder for folder in WITH_SERVERS if nodeid.startswith(folder))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real videos and reference logits; optional, but required in CI."""
    if SHARED.is_dir():
        return SHARED
    if os.environ.get("CI"):
        pytest.fail(f"{SHARED} is missing, and CI requires it")
    pytest.skip(f"real videos and reference logits are not at {SHARED}")


@pytest.fixture(scope="session")
def ffmpeg() -> Path:
    return find_ffmpeg(None)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Open a browser for one file: its event loop runs until it is closed, and other tests start loops of their own."""
    from playwright.sync_api import sync_playwright

    from tests.integration.jobs.browser import FLAGS, chromium

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield opened
        opened.close()
