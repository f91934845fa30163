"""Frames are decoded by threads: the processes that do so elsewhere take longer to start than these few frames."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.video import cache

DEBIANS = "7.1.5-0+deb13u1"


@pytest.fixture(autouse=True)
def threads_decode(monkeypatch):
    monkeypatch.setattr(cache, "ProcessPoolExecutor", lambda num_workers, mp_context: ThreadPoolExecutor(num_workers))


@pytest.fixture
def debians(ffmpeg, tmp_path):
    """The same ffmpeg under Debian's version, for only what it says of itself matters here."""
    path = tmp_path / "debian" / "ffmpeg"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\n[ "$1" = -version ] && exec echo ffmpeg version {DEBIANS} Copyright\nexec {ffmpeg} "$@"\n')
    path.chmod(0o755)
    return path
