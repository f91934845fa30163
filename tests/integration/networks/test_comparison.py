"""Several networks in one run, on the trainings that retrain makes, and retrain on theirs."""

import json

import jsonschema
import pytest
from mlflow import MlflowClient

from tasks.store.records.comparison import Comparison, TabulateResult
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.conftest import etags
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

TSN, TRN, BROKEN = "family=TSN", "family=TRN num_segments=3 epochs=1", "family=TSM backbone=no_such_network"
SAME = "family=TSN weights=imagenet"
"""What `weights` makes of `auto` for this backbone."""
CONF = {"store": STORE, "configurations": [TSN, TRN, BROKEN, SAME], "preset": "none", **TRAINING}


def objects_under(workshop, folder):
    return etags(workshop.store, f"{STORE}/{folder}")


@pytest.fixture(scope="module")
def trained_before(workshop, chain):
    return objects_under(workshop, "runs")


@pytest.fixture(scope="module")
def states(workshop, trained_before):
    return workshop.dag_test({"compare_networks": CONF})["compare_networks"]


@pytest.fixture(scope="module")
def tabulated(workshop, states):
    tables = [uri for uri in objects_under(workshop, "comparisons") if "/tables/" in uri and uri.endswith("/result.json")]
    (table,) = tables
    return workshop.store.read(table, TabulateResult)


@pytest.fixture(scope="module")
def comparison(workshop, tabulated):
    return workshop.store.read(tabulated.comparison_uri, Comparison)


def test_a_configuration_that_fails_does_not_stop_the_others(states):
    assert states["run"] == "success"
    ends = {index: [states[f"network.{task}[{index}]"] for task in ("weights", "plan", "train", "evaluate")] for index in range(4)}
    assert ends[1] == ["success"] * 4
    assert ends[2] == ["failed", *["upstream_failed"] * 3]
    assert sorted([ends[0], ends[3]]) == [["success", "failed", *["upstream_failed"] * 2], ["success"] * 4]


def test_the_table_names_what_was_measured_of_each_and_why_one_is_missing(comparison):
    assert [network.name for network in comparison.networks] == [TSN, TRN]
    assert [network.others for network in comparison.networks] == [(SAME,), ()]
    assert [(failed.name, failed.step) for failed in comparison.failed] == [(BROKEN, "weights")]
    assert "no_such_network" in comparison.failed[0].reason
    first, second = comparison.networks
    assert comparison.reference == TSN
    assert first.differences == ()
    assert {difference.opponent for difference in second.differences} == {"reference"}
    assert {difference.target for difference in second.differences} == {"verb", "noun", "action"}
    assert (second.family, second.num_segments) == ("TRN", 3)
    for network in comparison.networks:
        assert network.num_parameters > 3e6
        assert network.num_flops > 1e8
        assert network.peak_memory_bytes > 2**28
        assert network.latency.inference_median_seconds > 0
    assert second.num_flops > 1.4 * first.num_flops


def test_the_reference_is_the_training_that_retrain_made(workshop, chain, trained_before, comparison):
    assert comparison.networks[0].run_uri == chain.run
    now = objects_under(workshop, "runs")
    changed = [uri for uri in trained_before if now[uri] != trained_before[uri]]
    assert changed == []
    under_first = {uri.removeprefix(chain.run) for uri in now.keys() - trained_before.keys() if uri.startswith(chain.run)}
    assert {uri.partition("/")[0] for uri in under_first} == {"comparisons"}


def test_the_page_and_the_numbers_of_a_schema_are_in_the_store(workshop, tabulated):
    folder = tabulated.report_uri.removesuffix("report.html")
    schema, numbers = (json.loads(workshop.store.read_bytes(uri)) for uri in (f"{folder}networks.schema.json", tabulated.comparison_uri))
    jsonschema.validate(numbers, schema)
    page, table = (workshop.store.read_bytes(uri).decode() for uri in (tabulated.report_uri, tabulated.table_uri))
    assert all(name in text for name in (TSN, SAME, TRN, BROKEN) for text in (page, table))


def test_the_run_of_the_comparison_and_those_of_its_networks_know_each_other(workshop, tabulated, comparison):
    client = MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"])

    def tags(url):
        return client.get_run(url.rpartition("/")[2]).data.tags

    mine = tags(tabulated.mlflow_run_url)
    assert mine["retake.compares"] == ", ".join(network.run_key for network in comparison.networks)
    assert TSN.partition("=")[2] in mine["mlflow.note.content"]
    for network in comparison.networks:
        assert tabulated.mlflow_run_url in tags(network.mlflow_run_url).values()


def test_the_same_again_changes_nothing_and_retrain_finds_the_training_done(workshop, tabulated, comparison):
    before = objects_under(workshop, "runs"), objects_under(workshop, "comparisons")
    assert workshop.dag_test({"compare_networks": CONF})["compare_networks"]["tabulate[-1]"] == "success"
    assert (objects_under(workshop, "runs"), objects_under(workshop, "comparisons")) == before

    trn = {"family": "TRN", "num_segments": 3, "epochs": 1}
    done = workshop.plan(STORE, "after-comparison", **trn)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout.splitlines()[-1])
    assert plan["run_uri"] == comparison.networks[1].run_uri
    again = workshop.attempt("train", store=STORE, plan=f"{plan['decision_uri']}plan/")
    assert "found finished" in again.stderr


def test_where_nothing_can_be_configured_no_network_begins(workshop):
    states = workshop.dag_test({"compare_networks": {"store": "s3://retake-nothing"}})["compare_networks"]
    assert states.pop("run") == "success"
    assert set(states.values()) == {"skipped"}
