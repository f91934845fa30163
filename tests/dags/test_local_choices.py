"""`make run` hands each DAG the options that its form has, and no others."""

import pytest

from dags import build_dataset, ingest_videos, retrain
from dags._form import StoreOptions
from tasks.errors import BadConfiguration
from tasks.local.choices import CHAIN, parse

# What `make run` says by itself.
NOT_CHOSEN = {*StoreOptions.model_fields, "then"}


def fields(models):
    return {name for model in models for name in model.model_fields}


@pytest.mark.parametrize("module", [ingest_videos, build_dataset, retrain], ids=lambda module: module.dag.dag_id)
def test_the_driver_knows_the_options_of_each_form(module):
    own, then = CHAIN[module.dag.dag_id]
    assert fields(own) == fields(module.FORM.models()) - NOT_CHOSEN
    assert fields(then) == fields(module.FORM.then) - NOT_CHOSEN


@pytest.mark.parametrize("option", ["sources=/films", "dataset=s3://retake/datasets/x"])
def test_what_the_chain_makes_itself_is_not_chosen(option):
    with pytest.raises(BadConfiguration, match="unknown options"):
        parse([option])
