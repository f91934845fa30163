"""Write and read logits for a video's clips; make named probabilities and intervals of them.

Legend: n clips, f features, 125 verbs, 352 nouns.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import BadInput
from tasks.judge.statistics.answers import action_id, verb_and_noun
from tasks.judge.statistics.scoring import Logits
from tasks.predict.intervals import Interval, intervals, reported
from tasks.predict.probabilities import Distributions, Ranked, distributions, divergences
from tasks.store.records.dataset import NO_OBJECT, NOTHING, Vocabulary, action_name
from tasks.store.records.prediction import Predictor, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.store.records.record import TARGETS, VERB_ALONE, Target
from tasks.store.records.video import ClipRecord

ROWS_PER_GROUP = 64
"""Clips per row group of the Parquet file, and so in memory at once."""

_FLOATS = pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("uri", pa.string()),
        ("start_seconds", pa.float64()),
        ("stop_seconds", pa.float64()),
        ("model_verb_logits", _FLOATS),
        ("model_noun_logits", _FLOATS),
        ("against_verb_logits", _FLOATS),
        ("against_noun_logits", _FLOATS),
        ("features", _FLOATS),
        ("novelty", pa.float64()),
    ],
    metadata={"retake": "logits before softmax; features of the model's backbone; novelty: cosine distance to the nearest training clip"},
)


@dataclass(frozen=True)
class Names:
    """Class names by id, and the targets to show, the deciding one last."""

    verbs: dict[int, str]
    nouns: dict[int, str]
    targets: tuple[Target, ...] = TARGETS

    @classmethod
    def of(cls, vocabularies: Iterable[Vocabulary]) -> "Names":
        """Merge several vocabularies; earlier ones win."""
        verbs: dict[int, str] = {}
        nouns: dict[int, str] = {}
        for vocabulary in vocabularies:
            for names, classes in ((verbs, vocabulary.verbs), (nouns, vocabulary.nouns)):
                for ref in classes:
                    names.setdefault(ref.id, ref.name)
        return cls(verbs, nouns)

    def of_verbs(self) -> "Names":
        """Reduce to verbs: an action is then named by its verb, whatever its noun."""
        return replace(self, nouns={0: NO_OBJECT}, targets=VERB_ALONE)

    @property
    def nothing_verb(self) -> int | None:
        """Return the id of the verb `nothing`; None if no label says it."""
        return next((class_id for class_id, name in self.verbs.items() if name == NOTHING), None)

    def action(self, verb_class: int, noun_class: int) -> int:
        """Compute the id of an action."""
        return action_id(verb_class, noun_class if "noun" in self.targets else 0)

    def name(self, target: Target, class_id: int) -> str:
        """Name a verb, a noun, or an action, such as `put meat`, `wave` or `verb-7`."""
        if target == "verb":
            return self.verbs.get(class_id, f"verb-{class_id}")
        if target == "noun":
            return self.nouns.get(class_id, f"noun-{class_id}")
        verb, noun = verb_and_noun(class_id)
        return action_name(self.name("verb", verb), self.name("noun", noun))


@dataclass(frozen=True)
class Window:
    """A stretch as long as a clip; across two clips it has no address."""

    uid: str
    uri: str
    start_seconds: float
    stop_seconds: float


@dataclass(frozen=True)
class ScoredVideoClips:
    """Consecutive clips of one video.

    Attributes:
        uids, uris: (n,) names and addresses of the clips.
        start_seconds, stop_seconds: (n,) each clip's interval in its video.
        logits: by network, verbs (n, 125) and nouns (n, 352); "against" is missing without a second network.
        features: (n, f) features of the model's backbone.
        novelty: (n,) cosine distance to the nearest training clip; NaN if none is known.
    """

    uids: tuple[str, ...]
    uris: tuple[str, ...]
    start_seconds: NDArray[np.float64]
    stop_seconds: NDArray[np.float64]
    logits: Mapping[PredictorRole, tuple[Logits, Logits]]
    features: NDArray[np.float32]
    novelty: NDArray[np.float64]


class ScoredWriter:
    """Append clips to a file, holding at most `ROWS_PER_GROUP` of them in memory."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._rows: list[dict[str, object]] = []

    def __enter__(self) -> "ScoredWriter":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self._write()
        self._writer.close()

    def add(
        self,
        clip: ClipRecord | Window,
        logits: Mapping[PredictorRole, tuple[Logits, Logits]],
        features: NDArray[np.float32],
        novelty: float | None,
    ) -> None:
        """Add one clip: verb (125,) and noun (352,) logits by network, and features (f,)."""
        named = {
            f"{role}_{head}_logits": of_head for role, both in logits.items() for head, of_head in zip(("verb", "noun"), both, strict=True)
        }
        self._rows.append(
            {
                "uid": clip.uid,
                "uri": clip.uri,
                "start_seconds": clip.start_seconds,
                "stop_seconds": clip.stop_seconds,
                **named,
                "features": features,
                "novelty": novelty,
            }
        )
        if len(self._rows) == ROWS_PER_GROUP:
            self._write()

    def _write(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows = []


def read_scored(path: Path, *, with_features: bool = False) -> Iterator[ScoredVideoClips]:
    """Read a file of `ScoredWriter`, `ROWS_PER_GROUP` clips at a time.

    Features, the largest part of the file, are read only `with_features`; otherwise f is 0.

    Raises:
        BadInput: it is not such a file.
    """
    try:
        # pre_buffer would hold the whole file in memory.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise BadInput(f"{path.name} has other columns than a file of scored clips; predict again")
            columns = [name for name in SCHEMA.names if with_features or name != "features"]
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=columns):
                yield _clips(batch)
    except (pa.ArrowInvalid, OSError):
        raise BadInput(f"{path.name} is not a Parquet file; predict again") from None


def _clips(batch: pa.RecordBatch) -> ScoredVideoClips:
    roles: list[PredictorRole] = ["model"]
    if batch["against_verb_logits"].null_count == 0:
        roles.append("against")
    return ScoredVideoClips(
        uids=tuple(batch["uid"].to_pylist()),
        uris=tuple(batch["uri"].to_pylist()),
        start_seconds=batch["start_seconds"].to_numpy(),
        stop_seconds=batch["stop_seconds"].to_numpy(),
        logits={role: (_matrix(batch[f"{role}_verb_logits"]), _matrix(batch[f"{role}_noun_logits"])) for role in roles},
        features=_matrix(batch["features"]) if "features" in batch.schema.names else np.empty((len(batch), 0), np.float32),
        novelty=np.array([np.nan if value is None else value for value in batch["novelty"].to_pylist()]),
    )


def _matrix(column: pa.ListArray) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(len(column), -1)


@dataclass(frozen=True)
class Answered:
    """The networks' calibrated predictions.

    Attributes:
        ranked: the best classes, by network and target.
        entropies: (n,) entropy of the model's actions, as a share of the maximum.
        divergences: (n,) Jensen-Shannon divergence of the two networks in bits; empty without a second network.
    """

    ranked: dict[PredictorRole, dict[Target, Ranked]]
    entropies: NDArray[np.float64]
    divergences: NDArray[np.float64]


def answered(clips: ScoredVideoClips, predictors: Mapping[PredictorRole, Predictor], targets: Collection[Target]) -> Answered:
    """Compute probabilities from logits."""
    likely = {role: likely_by(predictors[role], *logits, targets) for role, logits in clips.logits.items()}
    return Answered(
        ranked={role: of_network.ranked() for role, of_network in likely.items()},
        entropies=likely["model"].entropies(),
        divergences=divergences(likely["model"], likely["against"]) if "against" in likely else np.empty(0),
    )


def likely_by(predictor: Predictor, verbs: Logits, nouns: Logits, targets: Collection[Target]) -> Distributions:
    """Compute one network's probabilities; if nouns are no target, of a single noun."""
    temperatures = predictor.verb_temperature, predictor.noun_temperature
    if "noun" not in targets:
        return distributions(verbs, np.zeros((len(verbs), 1), np.float32), *temperatures)
    return distributions(verbs, nouns, *temperatures, predictor.actions)


@dataclass(frozen=True)
class FoundIntervals:
    """The intervals of one video with an action, by network, and its clips' times."""

    video: ScoredVideo
    clips: tuple[tuple[float, float], ...]
    intervals: Mapping[PredictorRole, tuple[Interval, ...]]
    reported: Mapping[PredictorRole, tuple[Interval, ...]]

    @property
    def not_reported(self) -> Mapping[PredictorRole, tuple[Interval, ...]]:
        """Return the intervals that are not reported."""
        reported = {role: set(own) for role, own in self.reported.items()}
        return {role: tuple(interval for interval in own if interval not in reported[role]) for role, own in self.intervals.items()}


def find_intervals(
    plan: PredictPlanResult, videos: Sequence[ScoredVideo], names: Names, folder: Path, fetch: Callable[[str, Path], None]
) -> tuple[FoundIntervals, ...]:
    """Find the intervals of each video whose windows were scored; fetch them into `folder`."""
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
    by_role = {role: tuple(interval for interval in own if interval.verb_class != names.nothing_verb) for role, own in each.items()}
    thresholds = {role: plan.predictors[role].interval_threshold for role in by_role if plan.predictors[role].reports_intervals}
    kept = {role: reported(own, thresholds[role]) if role in thresholds else () for role, own in by_role.items()}
    # A window has no address of its own.
    clips = [
        (start, stop)
        for part in parts
        for clip_uri, start, stop in zip(part.uris, part.start_seconds.tolist(), part.stop_seconds.tolist(), strict=True)
        if clip_uri
    ]
    return FoundIntervals(video, tuple(clips), by_role, kept)


def _likely(parts: Sequence[ScoredVideoClips], role: PredictorRole, plan: PredictPlanResult, names: Names) -> Distributions:
    verbs, nouns = (np.concatenate([part.logits[role][head] for part in parts]) for head in (0, 1))
    return likely_by(plan.predictors[role], verbs, nouns, names.targets)
