"""Find the intervals of each video from the scored windows of a prediction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.predict.answered import likely_by
from tasks.predict.intervals import Interval, intervals, reported
from tasks.predict.names import Names
from tasks.predict.probabilities import Distributions
from tasks.predict.scored import ScoredVideoClips, read_scored
from tasks.store.records.prediction import Predictor, PredictorRole, PredictPlanResult, ScoredVideo


@dataclass(frozen=True)
class FoundIntervals:
    """The intervals of one video, by network: all those of an action, and those that are reported.

    `clips` are the start and stop of its clips.
    """

    video: ScoredVideo
    clips: tuple[tuple[float, float], ...]
    found: Mapping[PredictorRole, tuple[Interval, ...]]
    reported: Mapping[PredictorRole, tuple[Interval, ...]]

    @property
    def not_reported(self) -> Mapping[PredictorRole, tuple[Interval, ...]]:
        """Return the others that were found."""
        reported = {role: set(own) for role, own in self.reported.items()}
        return {role: tuple(one for one in own if one not in reported[role]) for role, own in self.found.items()}


def find_intervals(
    plan: PredictPlanResult, videos: Sequence[ScoredVideo], names: Names, folder: Path, fetch: Callable[[str, Path], None]
) -> tuple[FoundIntervals, ...]:
    """Find the intervals of each video whose windows were scored.

    Args:
        plan: has the networks with their temperatures and thresholds.
        videos: the predicted videos.
        names: has the targets; without nouns an action is a verb.
        folder: for a file of windows, until this returns.
        fetch: downloads the object at an address to a path.
    """
    return tuple(_find(plan, video, video.windows_uri, names, folder, fetch) for video in videos if video.windows_uri)


def _find(
    plan: PredictPlanResult, video: ScoredVideo, uri: str, names: Names, folder: Path, fetch: Callable[[str, Path], None]
) -> FoundIntervals:
    path = folder / f"{video.video}.windows.parquet"
    fetch(uri, path)
    parts = list(read_scored(path))
    path.unlink()
    if not parts:
        return FoundIntervals(video, (), {}, {})
    starts, stops = (np.concatenate([getattr(part, name) for part in parts]) for name in ("start_seconds", "stop_seconds"))
    each = {role: intervals(starts, stops, _likely(parts, role, plan, names)) for role in plan.predictors if role in parts[0].logits}
    found = {role: tuple(one for one in own if one.verb_class != names.nothing_verb) for role, own in each.items()}
    kept = {role: _reported(own, plan.predictors[role]) for role, own in found.items()}
    # A window has no address of its own.
    clips = [
        (start, stop)
        for part in parts
        for clip_uri, start, stop in zip(part.uris, part.start_seconds.tolist(), part.stop_seconds.tolist(), strict=True)
        if clip_uri
    ]
    return FoundIntervals(video, tuple(clips), found, kept)


def _reported(found: tuple[Interval, ...], network: Predictor) -> tuple[Interval, ...]:
    return reported(found, network.interval_threshold) if network.reports_intervals else ()


def _likely(parts: Sequence[ScoredVideoClips], role: PredictorRole, plan: PredictPlanResult, names: Names) -> Distributions:
    verbs, nouns = (np.concatenate([part.logits[role][head] for part in parts]) for head in (0, 1))
    return likely_by(plan.predictors[role], verbs, nouns, names.targets)
