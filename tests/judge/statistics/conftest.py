"""The scored clips that these tests share with those of other rooms."""

from tests.scored_clips import make_clips, make_result, vocabulary

__all__ = ["make_clips", "make_result", "vocabulary"]
