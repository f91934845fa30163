"""Objects that version 0.2.0 wrote of a run on the sample videos, and small networks, read by the code of today."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
import torch
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet

from tasks.judge.gate.error_budget import record_look
from tasks.learn.networks.checkpoints import load
from tasks.store.layout import Dataset
from tasks.store.records.decisions import CompareResult
from tasks.store.records.record import Record
from tasks.store.records.training import PlanResult
from tests.pipeline.in_process import Bench
from tests.pipeline.mlflow_in_memory import MlflowInMemory, connected
from tests.pipeline.shelf import Shelf
from tests.store.test_layout import addresses

WRITTEN = Path(__file__).parent / "version_0_2_0.zip"
STORE = "s3://retake-sample"
DECISION = f"{STORE}/runs/88b1ed3d7e703e30/decisions/0b2307c7192f18bd/"
COMPARED = f"{DECISION}compare/result.json"


@register_model
def minute_resnet(pretrained: bool = False, num_classes: int = 1000, in_chans: int = 3, **_) -> ResNet:
    """Build the backbone of the networks, with 8 features."""
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes, in_chans, stem_type="deep", stem_width=4, avg_down=True, channels=(4, 4, 4, 8))


def written(folder):
    with zipfile.ZipFile(WRITTEN) as archive:
        return {name.removeprefix(folder): archive.read(name) for name in archive.namelist() if name.startswith(folder)}


@pytest.fixture(scope="module")
def store():
    shelf = Shelf(buckets=("retake-sample",))
    for name, data in written("store/").items():
        shelf.write_bytes(f"{STORE}/{name}", data)
    return shelf


def records(kind=Record):
    """Every model of a record by its name."""
    return {kind.__name__: kind} | {name: model for below in kind.__subclasses__() for name, model in records(below).items()}


def test_every_record_is_read(store):
    models = records()
    kinds = {
        re.compile(re.sub(r"[0-9]+(?=\\?[./-]|$)", "[0-9]+", re.sub("<[^>]+>", "[^/]+", re.escape(address)))): models[name]
        for address, name in addresses().items()
        if name
    }
    read = {}
    for uri in store.objects:
        model = next((model for place, model in kinds.items() if place.fullmatch(uri.removeprefix(f"{STORE}/"))), None)
        if model is not None:
            read[uri] = store.read(uri, model)
    assert len({type(record) for record in read.values()}) >= 25
    unread = {uri for uri in store.objects if uri.endswith("result.json")} - read.keys()
    # Each network had an `evaluate` of its own; the scores that they list are read.
    assert unread == {f"{DECISION}evaluate/{model}/result.json" for model in ("baseline", "fine-tuned")}


@pytest.mark.slow
def test_a_decision_is_compared_anew_with_the_same_outcome(store, monkeypatch):
    connected(MlflowInMemory(), monkeypatch)
    bench = Bench(store.copy())
    before = bench.store.read(COMPARED, CompareResult)
    bench.store.remove(COMPARED)
    after = bench.run("compare", store=STORE, plan=f"{DECISION}plan/")
    assert [(rule.rule, rule.passed) for rule in after.rules if rule.rule != "looks"] == [(rule.rule, rule.passed) for rule in before.rules]
    # Its interval over guessing did not exist.
    assert {rule.detail for rule in before.rules if rule.rule != "guessing"} < {rule.detail for rule in after.rules}
    assert after.attempt.level == pytest.approx(0.025)
    charges = {uri: data for uri, data in bench.store.objects.items() if "/charges/" in uri}
    bench.store.remove(COMPARED)
    assert bench.run("compare", store=STORE, plan=f"{DECISION}plan/") == after
    assert len(charges) == 1
    assert charges.items() <= bench.store.objects.items()
    # As if a hundred other networks had been scored on these clips before.
    plan = bench.store.read(f"{DECISION}plan/result.json", PlanResult)
    val = [clip.uid for clip in bench.store.read(Dataset(plan.dataset_uri).manifest).clips if clip.split == after.split]
    record_look(bench.store, STORE, "comparison", val, [*map(str, range(100))], made_by="a form", model_name="m", split=after.split)
    for uri in (COMPARED, *charges):
        bench.store.remove(uri)
    strict = bench.run("compare", store=STORE, plan=f"{DECISION}plan/")
    assert strict.attempt.level == pytest.approx(0.025 / 101)
    assert strict.attempt.interval[0] < after.attempt.interval[0]
    assert (after.passed, after.challenger_top1, after.opponent_top1) == (before.passed, before.challenger_top1, before.opponent_top1)
    assert {(d.target, d.opponent, d.difference, d.interval) for d in before.differences} <= {
        (d.target, d.opponent, d.difference, d.interval) for d in after.differences
    }


@pytest.mark.parametrize("name", ["tsn", "flow", "fusion"])
def test_a_network_or_a_fusion_answers_as_it_did(name, tmp_path):
    networks = written("networks/")
    (tmp_path / "network.pt").write_bytes(networks[f"{name}.pt"])
    saved = load(tmp_path / "network.pt")
    assert (saved.classes.verbs, saved.classes.nouns, saved.classes.has_objects) == (tuple("abcde"), tuple("wxyz"), True)
    assert [tuple(weight) for weight in saved.weights] == ([(0.25, 0.5), (0.75, 0.5)] if name == "fusion" else [(1, 1)])
    expected = json.load(io.BytesIO(networks["logits.json"]))
    for network, kind in zip(saved.networks, ("tsn", "flow") if name == "fusion" else (name,), strict=True):
        num_channels = network.spec.snippet.num_frames * (2 if kind == "flow" else 3)
        snippets = torch.linspace(-1, 1, 2 * num_channels * 32 * 32).reshape(1, 2, num_channels, 32, 32)
        with torch.no_grad():
            answered = network.eval()(snippets)
        for logits, before in zip(answered, expected[kind], strict=True):
            torch.testing.assert_close(logits[0], torch.tensor(before), atol=1e-4, rtol=1e-4)
