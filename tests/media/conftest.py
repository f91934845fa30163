"""Frames are decoded by threads: the processes that do so elsewhere take longer to start than these few frames."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.video import cache


@pytest.fixture(autouse=True)
def threads_decode(monkeypatch):
    monkeypatch.setattr(cache, "ProcessPoolExecutor", lambda num_workers, mp_context: ThreadPoolExecutor(num_workers))
