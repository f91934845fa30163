"""What every test may use: the shared real videos and reference data, where they are."""

import os
from pathlib import Path

import hypothesis
import pytest

from tasks.video.ffmpeg import find_ffmpeg

# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("retake", deadline=None)
hypothesis.settings.load_profile("retake")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on a Docker Engine run when they are asked for; then an engine that is not there makes them fail."""
    if os.environ.get("RETAKE_TEST_CONTAINERS"):
        return
    for item in items:
        if item.get_closest_marker("containers"):
            item.add_marker(pytest.mark.skip(reason="needs a Docker Engine: `make test-containers`"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real videos and reference logits; absent on a user's machine, demanded under CI."""
    if SHARED.is_dir():
        return SHARED
    if os.environ.get("CI"):
        pytest.fail(f"{SHARED} is absent, and CI demands it")
    pytest.skip(f"real videos and reference logits are not at {SHARED}")


@pytest.fixture(scope="session")
def ffmpeg() -> Path:
    return find_ffmpeg(None)
