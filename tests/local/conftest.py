"""A home of its own for each test, with ports away from those of a real `make run`, and nothing left running."""

from collections.abc import Iterator

import pytest

from tasks.local import supervise
from tasks.local.home_folder import Home
from tests.ports import port_offset

PORT_OFFSET = port_offset(700)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Home]:
    monkeypatch.setenv("RETAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAKE_PORT_OFFSET", str(PORT_OFFSET))
    own_home = Home.find()
    own_home.make()
    yield own_home
    supervise.down(own_home, lambda _: None)
