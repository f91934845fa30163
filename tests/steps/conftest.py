"""Steps decode their few frames as the tests of clips do."""

from tests.media.conftest import threads_decode

__all__ = ["threads_decode"]
