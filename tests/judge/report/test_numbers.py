"""`metrics.json` and the schema beside it."""

import json

import jsonschema
import pytest

from tasks.store.objects import to_json
from tasks.store.records.metrics import Metrics


@pytest.mark.parametrize("case", ["usual", "original", "one clip", "hostile", "bare"])
def test_the_numbers_obey_their_schema_and_can_be_read_back(make_inputs, case):
    metrics = make_inputs(case).metrics
    written = to_json(metrics)
    jsonschema.validate(json.loads(written), Metrics.model_json_schema())
    assert Metrics.model_validate_json(written) == metrics


def test_the_schema_refuses_what_is_missing(make_inputs):
    written = json.loads(to_json(make_inputs("bare").metrics))
    del written["confusions"]
    with pytest.raises(jsonschema.ValidationError, match="confusions"):
        jsonschema.validate(written, Metrics.model_json_schema())
