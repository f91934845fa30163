import json

import pytest

from tasks.errors import BadInput, MissingObject
from tasks.results.comparison import Configuration, ConfigureResult
from tasks.steps import tabulate
from tasks.storage import Store

CONFIGURED = "s3://retake/comparisons/x/configured/"


class Shelf(Store):
    """A store in memory."""

    def __init__(self, objects):
        self.objects = objects

    def read_bytes(self, uri):
        if uri not in self.objects:
            raise MissingObject(f"{uri} is not in the store")
        return self.objects[uri]


def test_a_result_that_cannot_be_read_is_the_reason_why_its_network_is_left_out():
    configurations = [
        Configuration(name=name, options="{}", dataset="s3://retake/datasets/x/", out=f"{CONFIGURED}{name}/", claims=CONFIGURED)
        for name in ("old", "gone")
    ]
    configured = ConfigureResult(dataset_uri="s3://retake/datasets/x/", configured_uri=CONFIGURED, configurations=tuple(configurations))
    plan = f"{CONFIGURED}old/plan/result.json"
    store = Shelf({f"{CONFIGURED}result.json": configured.model_dump_json().encode(), plan: json.dumps({"run_key": "1"}).encode()})
    with pytest.raises(BadInput) as caught:
        tabulate.run(tabulate.Arguments(store="s3://retake", out="s3://retake/out/", configured=CONFIGURED), store)
    told = str(caught.value).removeprefix("every configuration failed: ")
    assert told.startswith(f"old: {plan} is not a PlanResult (")
    assert told.endswith(f"gone: {tabulate.NO_REASON}")
