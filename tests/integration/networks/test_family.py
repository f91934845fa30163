"""`retrain` with each kind of network and input, every step real: from the weights to the decision, champions of another kind included."""

import json

import pytest
from mlflow import MlflowClient

from tasks.command_line import parse
from tasks.contracts.retrain import PLAN
from tasks.options import FlowOptions, TrainOptions
from tasks.results.evaluation import CompareResult, DecideResult, RegisterResult, ReportResult
from tasks.results.metrics import Metrics
from tasks.results.training import TrainResult
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import EASY_GATE, TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "family"
COMMON = TRAINING | EASY_GATE | {"backbone": "test_resnet", "weights": "none", "num_segments": 3, "model_name": MODEL}
FLOW = {"modality": "flow", "flow_method": "dis", "flow_bound_pixels": 15}
"""Of a kind that no other test has in this store."""
NETWORKS = {
    "TSN test_resnet flow (dis), 3 segments": FLOW,
    "TRN test_resnet rgb, 3 segments": {"family": "TRN"},
    "MTRN test_resnet rgb-difference, 3 segments, 20 draws of relations": {
        "family": "MTRN",
        "modality": "rgb-difference",
        "relation_draws": 20,
    },
    "TSM test_resnet flow (dis), 3 segments": {"family": "TSM", **FLOW},
    "TSN test_resnet rgb, 3 segments, attentive head": {"head": "attentive"},
    "TSN test_resnet rgb, 3 segments, lstm head": {"head": "lstm", "trainable": "heads"},
    "TSM test_resnet flow (dis), 3 segments, tcn head": {"family": "TSM", "head": "tcn", **FLOW},
    # A probe is stored as the linear heads that it is.
    "TSN test_resnet rgb, 3 segments": {"head": "probe", "trainable": "heads"},
}
"""In this order, so that each but the first is measured against a champion of another kind."""


TITLES: dict[int, str] = {}
"""By registered version; the last is made champion, whatever the gate decided."""


class Retrain:
    """The steps of one `retrain`, in this process."""

    def __init__(self, workshop, attempt, options):
        self.store, self.attempt = workshop.store, attempt
        name = json.dumps(options, sort_keys=True).encode().hex()[-16:]
        weights = f"{STORE}/pretrained/choices/{name}/"
        self.do("weights", out=weights, **{key: value for key, value in options.items() if key in TrainOptions.model_fields})
        self.do("plan", weights_result=weights, **options)
        _, arguments = parse(workshop.command("plan", store=STORE, weights_result=weights, **options)[3:])
        self.plan = self.store.read(PLAN.address(arguments))

    def do(self, step, **flags):
        code, said = self.attempt(step, store=STORE, **flags)
        assert code == 0, said

    def follow(self):
        plan = {"plan": f"{self.plan.decision_uri}plan/"}
        self.do("train", **plan)
        for network in self.plan.networks:
            self.do("evaluate", **plan, model=network.model)
        for step in ("compare", "report", "register", "decide"):
            self.do(step, **plan)

    def address(self, step):
        return f"{self.plan.run_uri if step in ('train', 'register') else self.plan.decision_uri}{step}/"

    def result(self, step, model):
        return self.store.read(f"{self.address(step)}result.json", model)


@pytest.mark.parametrize("title", NETWORKS)
def test_every_network_goes_the_whole_way(workshop, chain, attempt, title):
    retrain = Retrain(workshop, attempt, COMMON | NETWORKS[title])
    retrain.follow()
    assert retrain.plan.weights.network == title
    metrics = workshop.store.read(retrain.result("report", ReportResult).metrics_uri, Metrics)
    assert metrics.network == title
    champion = retrain.plan.champion
    assert (champion and champion.version) == (max(TITLES) if TITLES else None)
    if champion:
        assert TITLES[champion.version] != title
        sees_flow = " flow " in TITLES[champion.version]
        assert champion.flows == ((FlowOptions(flow_method="dis", flow_bound_pixels=15),) if sees_flow else ())
    assert ("champion" in {result.model for result in metrics.results}) == (champion is not None)
    assert retrain.result("train", TrainResult).best_val_loss > 0
    # Beside heads that were trained on few clips stands a probe.
    assert [one.target for one in metrics.probe] == (["verb", "noun", "action"] if NETWORKS[title].get("head") == "lstm" else [])
    assert retrain.result("compare", CompareResult).champion_version == (champion and champion.version)
    decided = retrain.result("decide", DecideResult)
    assert decided.version == retrain.result("register", RegisterResult).version
    assert "challenger" in decided.aliases
    TITLES[decided.version] = title
    MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"]).set_registered_model_alias(MODEL, "champion", str(decided.version))
