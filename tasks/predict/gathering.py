"""Write tables and tracks, a few clips at a time, and collect the page's data."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.judge.statistics.answers import verb_and_noun
from tasks.predict.agreement import TalliedClip, Tally
from tasks.predict.output_files import PredictionTables, block, file_stem, opening
from tasks.predict.page import Differing, Guess, ShownClip, ShownVideo
from tasks.predict.probabilities import Ranked
from tasks.predict.scored_video import Answered, Names, ScoredVideoClips, answered, read_scored
from tasks.predict.to_label import Candidate, ToLabel, chosen, percentiles, pool, scores
from tasks.store.records.prediction import KnownLabel, Predictor, PredictorRole, PredictPlanResult, ScoredVideo

MAX_SHOWN_CLIPS = 2000
"""Limit for all timelines of a page together. Clips beyond it are only in the tables."""

NUM_DIFFERING = 10

MIN_DIVERGENCE = 0.005
"""Bits. Less would read 0.00 bits."""

NUM_GUESSES = 3

UNSURE = 0.5
"""Below this probability of its best action, the model finds all others together more likely."""


@dataclass
class Gathered:
    """The page's data of all videos: a few hundred bytes per clip.

    `videos` are those that fit on the page; `differing` has the largest differences first. `distances` are, by video, those of its clips to
    the nearest training clip, if any is known.
    """

    tally: Tally
    num_clips: int = 0
    num_videos_trained_on: int = 0
    num_trained_by: Counter[str] = field(default_factory=Counter)
    videos: list[ShownVideo] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    to_label: list[ToLabel] = field(default_factory=list)
    distances: dict[str, list[float]] = field(default_factory=dict)
    num_unsure: int = 0


class _Gatherer:
    def __init__(
        self,
        plan: PredictPlanResult,
        names: Names,
        labels: Mapping[str, KnownLabel],
        folder: Path,
        fetch: Callable[[str, Path], None],
        unwanted: AbstractSet[str],
    ) -> None:
        self._plan, self._names, self._labels, self._folder, self._fetch, self._unwanted = plan, names, labels, folder, fetch, unwanted
        self._heap: list[tuple[float, int, Differing]] = []
        self._places: list[tuple[ScoredVideo, int]] = []
        self._entropies: list[float] = []
        self._novelty: list[float] = []
        self._num_shown = 0
        self._trained_on = frozenset(plan.trained_on)
        trained_by = {plan.predictors[role].label: frozenset(videos) for role, videos in plan.trained_by.items()}
        self._trained_by = trained_by or {"A network": self._trained_on}  # earlier plans do not say which
        self.gathered = Gathered(Tally(names))

    def add(self, video: ScoredVideo, tables: PredictionTables) -> None:
        gathered = self.gathered
        is_trained_on = video.video in self._trained_on
        source = self._plan.sources.get(video.video, video.video)
        shown: list[ShownClip] = []
        num_read = 0
        for clips in self._read(video):
            predicted = answered(clips, self._plan.predictors, self._names.targets)
            tables.add(video, clips, {predictor.label: predicted.ranked[role] for role, predictor in self._answering(predicted)})
            self._write_tracks(video, clips, predicted)
            gathered.tally.add(self._tallied(video, clips, predicted), source, predicted.ranked, self._labels, is_trained_on=is_trained_on)
            num_shown = min(len(clips.uids), MAX_SHOWN_CLIPS - self._num_shown)
            shown += (self._shown(clips, predicted, i) for i in range(num_shown))
            self._num_shown += num_shown
            for i, uid in enumerate(clips.uids):
                if len(predicted.divergences):
                    self._note_difference(video, clips, predicted, i, gathered.num_clips + i)
                if uid not in self._labels and self._unwanted.isdisjoint((uid, video.video, source)):
                    self._places.append((video, num_read + i))
                    self._entropies.append(float(predicted.entropies[i]))
                    self._novelty.append(float(clips.novelty[i]))
            if not np.isnan(clips.novelty).any():
                gathered.distances.setdefault(video.video, []).extend(clips.novelty.tolist())
            gathered.num_unsure += int((predicted.ranked["model"]["action"].probabilities[:, 0] < UNSURE).sum())
            num_read += len(clips.uids)
            gathered.num_clips += len(clips.uids)
        gathered.num_videos_trained_on += is_trained_on
        trained = tuple(label for label, videos in self._trained_by.items() if video.video in videos)
        gathered.num_trained_by.update(trained)
        if shown:
            gathered.videos.append(ShownVideo(video.name, video.video, tuple(shown), num_read, trained))

    def close(self) -> Gathered:
        best = sorted(self._heap, key=lambda entry: (-entry[0], -entry[1]))
        self.gathered.differing = [differing for _, _, differing in best]
        if self._places and self._plan.predict.num_to_label:
            self.gathered.to_label = self._choose()
        return self.gathered

    def _choose(self) -> list[ToLabel]:
        novelty = np.array(self._novelty)
        values, shares = scores(np.array(self._entropies), novelty), percentiles(novelty)
        picked = pool(values)
        wanted: dict[str, dict[int, int]] = {}
        videos: dict[str, ScoredVideo] = {}
        for place in picked:
            video, number = self._places[place]
            videos[video.scored_uri] = video
            wanted.setdefault(video.scored_uri, {})[number] = place
        candidates: dict[int, Candidate] = {}
        features: dict[int, np.ndarray] = {}
        for uri, places in wanted.items():
            first = 0
            for clips in self._read(videos[uri], with_features=True):
                if here := [(places[first + i], i) for i in range(len(clips.uids)) if first + i in places]:
                    predicted = answered(clips, self._plan.predictors, self._names.targets)
                    for place, i in here:
                        candidates[place] = self._candidate(videos[uri], clips, predicted, i)
                        # Copy: a view of one row would keep the whole array in memory.
                        features[place] = clips.features[i].copy()
                first += len(clips.uids)
        return chosen(
            [candidates[place] for place in picked],
            np.stack([features[place] for place in picked]),
            values[picked],
            None if shares is None else shares[picked],
            self._plan.predict.num_to_label,
        )

    def _read(self, video: ScoredVideo, *, with_features: bool = False) -> Iterator[ScoredVideoClips]:
        path = self._folder / f"{video.video}.parquet"
        self._fetch(video.scored_uri, path)
        yield from read_scored(path, with_features=with_features)
        path.unlink()

    def _write_tracks(self, video: ScoredVideo, clips: ScoredVideoClips, predicted: Answered) -> None:
        folder = self._folder / "tracks"
        folder.mkdir(exist_ok=True)
        for role, predictor in self._answering(predicted):
            with (folder / f"{file_stem(video)}.{role}.vtt").open("a", encoding="utf-8") as track:
                if not track.tell():
                    track.write(opening(f"{predictor.label} on {video.name}, {video.video}"))
                for i, (start, stop) in enumerate(zip(clips.start_seconds, clips.stop_seconds, strict=True)):
                    best = self._guess(predicted, role, i)
                    track.write(block(float(start), float(stop), best.action, best.probability))

    def _answering(self, predicted: Answered) -> Iterator[tuple[PredictorRole, Predictor]]:
        """Yield the networks that predicted these clips; the second may be missing for some videos."""
        return ((role, predictor) for role, predictor in self._plan.predictors.items() if role in predicted.ranked)

    def _shown(self, clips: ScoredVideoClips, predicted: Answered, i: int) -> ShownClip:
        return ShownClip(
            uid=clips.uids[i],
            start_seconds=float(clips.start_seconds[i]),
            stop_seconds=float(clips.stop_seconds[i]),
            model=self._guess(predicted, "model", i),
            against=self._guess(predicted, "against", i) if "against" in predicted.ranked else None,
            truth=self._truth(clips.uids[i]),
        )

    def _tallied(self, video: ScoredVideo, clips: ScoredVideoClips, predicted: Answered) -> list[TalliedClip]:
        times = clips.start_seconds.tolist(), clips.stop_seconds.tolist()
        divergences = predicted.divergences.tolist() or [0.0] * len(clips.uids)
        return [TalliedClip(uid, video.name, *rest) for uid, *rest in zip(clips.uids, *times, divergences, strict=True)]

    def _note_difference(self, video: ScoredVideo, clips: ScoredVideoClips, predicted: Answered, i: int, number: int) -> None:
        divergence = float(predicted.divergences[i])
        # The clip number breaks ties in clip order, and keeps the heap from comparing `Differing`, which has no order.
        if divergence < MIN_DIVERGENCE or (len(self._heap) == NUM_DIFFERING and (divergence, -number) <= self._heap[0][:2]):
            return
        differing = Differing(
            uid=clips.uids[i],
            uri=clips.uris[i],
            file=video.name,
            start_seconds=float(clips.start_seconds[i]),
            stop_seconds=float(clips.stop_seconds[i]),
            divergence=divergence,
            model=self._guesses(predicted.ranked["model"]["action"], i),
            against=self._guesses(predicted.ranked["against"]["action"], i),
            truth=self._truth(clips.uids[i]),
            media=None,
        )
        put = heapq.heappush if len(self._heap) < NUM_DIFFERING else heapq.heapreplace
        put(self._heap, (divergence, -number, differing))

    def _candidate(self, video: ScoredVideo, clips: ScoredVideoClips, predicted: Answered, i: int) -> Candidate:
        best = predicted.ranked["model"]["action"]
        verb, noun = verb_and_noun(int(best.ids[i, 0]))
        first, second = self._guesses(best, i)[:2]
        return Candidate(
            uid=clips.uids[i],
            file=video.name,
            start_seconds=float(clips.start_seconds[i]),
            stop_seconds=float(clips.stop_seconds[i]),
            verb=self._names.name("verb", verb),
            noun=self._names.name("noun", noun),
            first=first.action,
            first_probability=first.probability,
            second=second.action,
            second_probability=second.probability,
            entropy=float(predicted.entropies[i]),
            novelty=float(clips.novelty[i]),
        )

    def _guess(self, predicted: Answered, role: PredictorRole, i: int) -> Guess:
        return self._guesses(predicted.ranked[role]["action"], i)[0]

    def _guesses(self, best: Ranked, i: int) -> tuple[Guess, ...]:
        pairs = zip(best.ids[i, :NUM_GUESSES].tolist(), best.probabilities[i, :NUM_GUESSES].tolist(), strict=True)
        return tuple(Guess(self._names.name("action", action), likely) for action, likely in pairs)

    def _truth(self, uid: str) -> str | None:
        label = self._labels.get(uid)
        return self._names.name("action", self._names.action(label.verb_class, label.noun_class)) if label else None


def gather(
    plan: PredictPlanResult,
    videos: Sequence[ScoredVideo],
    labels: Mapping[str, KnownLabel],
    names: Names,
    folder: Path,
    fetch: Callable[[str, Path], None],
    unwanted: AbstractSet[str] = frozenset(),
) -> Gathered:
    """Write `predictions.csv`, `predictions.parquet` and `tracks/` under `folder`; return the page's data.

    `unwanted` are the uids of clips, videos and sources that are not to be labelled.
    """
    gatherer = _Gatherer(plan, names, labels, folder, fetch, unwanted)
    with PredictionTables(folder / "predictions.csv", folder / "predictions.parquet", names) as tables:
        for video in videos:
            gatherer.add(video, tables)
    return gatherer.close()
