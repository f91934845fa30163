"""Steps decode their few frames as the tests of clips do."""

from tests.data.clips.conftest import threads_decode

__all__ = ["threads_decode"]
