"""The scored clips that these tests share with those of other rooms, and a plan to evaluate."""

from tests.scored_clips import make_clips, make_result, vocabulary
from tests.steps.retrain.evaluating import score, shelf

__all__ = ["make_clips", "make_result", "score", "shelf", "vocabulary"]
