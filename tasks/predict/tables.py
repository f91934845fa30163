"""Write predictions as CSV and Parquet tables: one row per clip, network and rank.

Tidy rows instead of one wide row per clip: spreadsheets can filter them, pandas and SQL can group them, and a second network or more ranks
add rows, not columns. Each row holds the verb, noun and action of one rank; the action of rank 2 need not combine the verb and noun of
rank 2.
"""

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.judge.statistics.answers import NUM_RANKS, verb_and_noun
from tasks.predict.names import Names
from tasks.predict.probabilities import Ranked
from tasks.predict.scored import ScoredVideoClips
from tasks.store.records.prediction import PredictedVideo
from tasks.store.records.record import TARGETS, Target
from tasks.wording import plain_cell

NUM_DECIMALS = 6
SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("video_sha256", pa.string()),
        ("uid", pa.string()),
        ("start_seconds", pa.float64()),
        ("stop_seconds", pa.float64()),
        ("network", pa.string()),
        ("rank", pa.int8()),
        ("verb", pa.string()),
        ("verb_class", pa.int16()),
        ("verb_probability", pa.float64()),
        ("noun", pa.string()),
        ("noun_class", pa.int16()),
        ("noun_probability", pa.float64()),
        ("action", pa.string()),
        ("action_verb_class", pa.int16()),
        ("action_noun_class", pa.int16()),
        ("action_probability", pa.float64()),
    ],
    metadata={
        "retake": "probabilities of verbs and nouns are calibrated where the page says so; an action's is its verb's times its noun's"
    },
)


def schema_of(targets: Collection[Target]) -> pa.Schema:
    """Select the columns of a table with these targets."""
    others = tuple(target for target in TARGETS if target not in targets)
    return pa.schema([field for field in SCHEMA if not field.name.startswith(others)], metadata=SCHEMA.metadata)


class PredictionTables:
    """Writes both files a few clips at a time.

    Each `add` makes one Parquet row group, which bounds memory.
    """

    def __init__(self, csv_path: Path, parquet_path: Path, names: Names) -> None:
        self._names = names
        self._text = csv_path.open("w", newline="", encoding="utf-8")
        self._schema = schema_of(names.targets)
        self._csv = csv.DictWriter(self._text, self._schema.names, lineterminator="\n")
        self._csv.writeheader()
        self._parquet = pq.ParquetWriter(parquet_path, self._schema, compression="zstd")

    def __enter__(self) -> "PredictionTables":
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._parquet.close()

    def add(self, video: PredictedVideo, clips: ScoredVideoClips, answers: Mapping[str, Mapping[Target, Ranked]]) -> None:
        """Add clips of one video, with their ranked classes by network name."""
        rows = list(self._rows(video, clips, answers))
        self._parquet.write_table(pa.Table.from_pylist(rows, schema=self._schema))
        self._csv.writerows({name: plain_cell(value) for name, value in row.items()} for row in rows)

    def _rows(
        self, video: PredictedVideo, clips: ScoredVideoClips, answers: Mapping[str, Mapping[Target, Ranked]]
    ) -> Iterator[dict[str, object]]:
        targets = self._names.targets
        for i, uid in enumerate(clips.uids):
            for network, ranked in answers.items():
                for k in range(NUM_RANKS):
                    ids = {target: int(ranked[target].ids[i, k]) for target in targets}
                    named: dict[str, object] = {target: self._names.name(target, class_id) for target, class_id in ids.items()}
                    likely: dict[str, object] = {
                        f"{target}_probability": round(float(ranked[target].probabilities[i, k]), NUM_DECIMALS) for target in targets
                    }
                    yield {
                        "video": video.name,
                        "video_sha256": video.video,
                        "uid": uid,
                        "start_seconds": round(float(clips.start_seconds[i]), 3),
                        "stop_seconds": round(float(clips.stop_seconds[i]), 3),
                        "network": network,
                        "rank": k + 1,
                        **named,
                        **likely,
                        **self._classes(ids),
                    }

    def _classes(self, ids: Mapping[Target, int]) -> dict[str, object]:
        if "action" not in ids:
            return {"verb_class": ids["verb"]}
        verb, noun = verb_and_noun(ids["action"])
        return {"verb_class": ids["verb"], "noun_class": ids["noun"], "action_verb_class": verb, "action_noun_class": noun}
