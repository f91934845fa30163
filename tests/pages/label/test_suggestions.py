"""Suggestions from the tables of a prediction, of today's and of earlier versions, which were CSV."""

import pyarrow as pa
import pytest

from tasks.errors import BadInput
from tasks.judge.statistics.answers import encode
from tasks.pages.label.clips import SuggestedInterval, Suggestion, read_suggestions
from tasks.predict.output_files import INTERVAL_COLUMNS, SCHEMA
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.run_layout import Prediction
from tests.pipeline.shelf import Shelf

PREDICTION = Prediction("s3://retake/predictions/0/")
PLAIN = [name for name in (*SCHEMA.names, *INTERVAL_COLUMNS) if not name.startswith(("noun", "action"))]
INTERVALS = (
    ("a.mp4", "aa", "champion", 8, 12.5, "take", "bag", "take bag", 0, 20, 0.7),
    ("a.mp4", "aa", "baseline", 0, 4, "move", "pan", "move pan", 9, 5, 0.9),
    ("a.mp4", "aa", "champion", 0, 4, "put", "meat", "put meat", 1, 26, 0.8),
    ("b.mp4", "bb", "champion", 2, 4, "wave", NO_OBJECT, "wave", 130, 0, 0.6),
)
ANSWERS = [
    ("a.mp4", "aa", "c1", 0, 8, network, rank, verb, 1, 0.5, "meat", 26, 0.5, action, 1, 26, 0.25 / rank, 0.1)
    for network in ("champion", "baseline")
    for rank, verb, action in ((1, "put", "put meat"), (2, "take", "wave"), (4, "take", "take bag"))
]


def as_csv(columns, rows):
    return "\r\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows), ""]).encode()


def as_parquet(columns, rows):
    return encode(pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows]))


@pytest.fixture(params=["rows", "CSV"])
def suggested(request):
    """The suggestions of a prediction whose tables have these columns alone."""

    def read(kept=(*SCHEMA.names, *INTERVAL_COLUMNS), intervals=INTERVALS):
        store, report = Shelf(), PREDICTION.report
        tables = {
            "table": (SCHEMA.names, ANSWERS),
            "to_label": (("uid", "reason"), [("c2", "unsure"), ("c1", "new")]),
            **({"intervals": (INTERVAL_COLUMNS, intervals)} if intervals else {}),
        }
        for name, (columns, rows) in tables.items():
            places = [place for place, column in enumerate(columns) if column in kept or name == "to_label"]
            given = [columns[place] for place in places], [[row[place] for place in places] for row in rows]
            store.write_bytes(getattr(report, name), as_csv(*given) if request.param == "CSV" else b"not read")
            if request.param == "rows":
                store.write_bytes(getattr(report, f"{name}_rows"), as_parquet(*given))
        return read_suggestions(store, PREDICTION.folder_uri)

    return read


def test_clips_and_intervals_are_those_of_the_first_network_by_rank_video_and_time(suggested):
    suggestions = suggested()
    assert list(suggestions.reasons.items()) == [("c2", "unsure"), ("c1", "new")]
    assert suggestions.by_clip == {"c1": (Suggestion("put", "meat", 0.25), Suggestion("wave", NO_OBJECT, 0.125))}
    assert suggestions.intervals == {
        "aa": (SuggestedInterval("put", "meat", 0.8, 0, 4), SuggestedInterval("take", "bag", 0.7, 8, 12.5)),
        "bb": (SuggestedInterval("wave", NO_OBJECT, 0.6, 2, 4),),
    }


def test_a_network_without_nouns_suggests_verbs_alone_and_a_prediction_without_a_stride_no_intervals(suggested):
    suggestions = suggested(PLAIN, INTERVALS[3:])
    assert suggestions.by_clip == {"c1": (Suggestion("put", NO_OBJECT, 0.5), Suggestion("take", NO_OBJECT, 0.5))}
    assert suggestions.intervals == {"bb": (SuggestedInterval("wave", NO_OBJECT, 0.6, 2, 4),)}
    assert suggested(intervals=()).intervals == {}


def test_tables_that_cannot_be_read_are_refused_with_the_remedy():
    store = Shelf()
    store.write_bytes(PREDICTION.report.table_rows, b"PAR1")
    with pytest.raises(BadInput, match="predict again"):
        read_suggestions(store, PREDICTION.folder_uri)
