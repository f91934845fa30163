"""The scored clips that the tests of this room share with those of others."""

from tests.scored_clips import make_clips, make_result, vocabulary

__all__ = ["make_clips", "make_result", "vocabulary"]
