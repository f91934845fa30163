import json

import jsonschema
import pytest

from tasks.judge.report import templating
from tasks.judge.report.templating import machine_rows
from tasks.store.objects import to_json
from tasks.store.records.metrics import Metrics


def test_times_are_in_utc_settings_are_words_and_code_cannot_be_left():
    for iso in ("2026-11-26T00:25:13+00:00", "2026-11-26T01:25:13+01:00", "2026-11-26T00:25:13Z", "2026-11-26T00:25:13"):
        assert templating.utc(iso) == "2026-11-26 00:25 UTC"
    assert templating.utc("None") == "unknown date"
    assert list(map(templating.setting, (None, True, 1e-5, 60, "auto"))) == ["none", "yes", "1e-05", "60", "auto"]
    assert templating.code("a`b\nc") == "`a'b c`"


def test_a_machine_has_sizes_and_its_versions_stand_together():
    hardware = {"memory_bytes": 8 * 2**30, "num_cores": 2, "version.torch": "2.13.0", "version.timm": "1.0.20"}
    told = " | ".join(map(" ".join, machine_rows(hardware)))
    assert told == "memory 8 GiB | cores 2 | versions torch 2.13.0, timm 1.0.20"
    assert machine_rows({}) == []


@pytest.mark.parametrize("case", ["original", "bare"])
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
