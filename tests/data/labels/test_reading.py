"""Files that look like labels and are none."""

import json

import pytest

from tasks.data.labels.reading import layout_of
from tasks.data.labels.rows import AnnotationFile
from tasks.errors import BadLabels
from tasks.predict import files
from tests.data.labels.formats.told import actions, reasons

CELLS = {"video": "a.mp4", "uid": "a.mp4", "start_seconds": "0", "stop_seconds": "8", "verb": "put", "noun": "meat"}
TABLES = {"intervals": files.INTERVAL_COLUMNS, "predictions": files.SCHEMA.names}


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_a_table_of_predictions_labels_nothing_until_a_person_takes_it(label, columns):
    lines = "\n".join([",".join(columns), ",".join(CELLS.get(name, "") for name in columns)])
    found = label({"a.mp4": 1}, {"x.csv": lines})
    reason = "x.csv: holds predictions of a network, not labels; to label by it, check its lines and delete the column 'network'"
    assert (actions(found), reasons(found)) == ([None], [reason])
    with pytest.raises(BadLabels, match="predictions"):
        layout_of(AnnotationFile("x.csv", lines.encode()))
    assert actions(label({"a.mp4": 1}, {"x.csv": lines.replace("network", "checked")})) == ["put meat"]


def test_results_in_activitynets_format_are_predictions(label):
    results = {"version": "1", "results": {"a": [{"label": "put meat", "score": 0.5, "segment": [0, 8]}]}}
    (reason,) = reasons(label({"a.mp4": 1}, {"intervals.model.json": json.dumps(results)}))
    assert "holds predictions" in reason
