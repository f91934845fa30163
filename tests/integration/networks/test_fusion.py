"""Two trainings fused: from their names to one registered model that takes a clip."""

import json
import subprocess
import sys

import pytest

from tasks.local.home import REPOSITORY
from tasks.model.checkpoints import HeadWeights, load, save
from tasks.model.class_names import ClassNames
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import Modality
from tasks.results.dataset import Manifest
from tasks.results.evaluation import CompareResult, DecideResult, EvaluateResult, RegisterResult, ReportResult
from tasks.results.metrics import Metrics
from tasks.results.training import PlanResult, TrainResult
from tasks.steps._checkpoints import file_sha256
from tasks.wording import markdown_text
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import EASY_GATE
from tests.steps.shelf import train_result

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "fused"
NAMES = ClassNames(verbs=tuple(f"verb-{i}" for i in range(125)), nouns=tuple(f"noun-{i}" for i in range(352)))
PREDICT = """
import json, mlflow, sys
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = model.predict([sys.argv[2], sys.argv[2]])
bytes_too = model.predict([open(sys.argv[2], "rb").read()])
assert answers.iloc[0].to_dict() == answers.iloc[1].to_dict() == bytes_too.iloc[0].to_dict()
print(json.dumps({"columns": list(answers.columns), "first": answers.iloc[0].to_dict(), "code": sys.modules["tasks"].__file__}))
"""


def spec(**changes):
    return NetworkSpec(**{"backbone": "test_resnet", "num_segments": 2} | changes)


def put_training(workshop, folder, key, network, classes=NAMES, *, is_gone=False):
    """A finished training that nobody trained, whose checkpoint may be gone."""
    path = folder / f"{key}.ckpt"
    save(path, network, classes)
    run = f"{STORE}/runs/{key}/"
    if not is_gone:
        workshop.store.write_file(f"{run}train/best.pt", path)
    result = train_result(f"{run}train/best.pt", file_sha256(path))
    workshop.store.write(f"{run}train/result.json", result)


@pytest.fixture(scope="module")
def members(workshop, chain, tmp_path_factory):
    """What was trained, and a network of another input."""
    # Of a kind that no other test has in this store.
    sees_flow = spec(modality=Modality.FLOW, flow={"flow_method": "dis", "flow_bound_pixels": 17})
    put_training(workshop, tmp_path_factory.mktemp("member"), "f" * 16, Network(sees_flow, seed=3))
    return [f"runs/{chain.run.rstrip('/').rpartition('/')[2]}/", f"{STORE}/runs/{'f' * 16}/"]


@pytest.fixture(scope="module")
def plan(workshop, members):
    done = workshop.plan(STORE, "fusion", fuse=members, model_name=MODEL, **EASY_GATE)
    assert done.returncode == 0, done.stderr
    return PlanResult.model_validate_json(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def trained(workshop, plan):
    workshop.run("train", store=STORE, plan=f"{plan.decision_uri}plan/")
    return workshop.store.read(f"{plan.run_uri}train/result.json", TrainResult)


@pytest.fixture(scope="module")
def registered(workshop, plan, trained):
    flags = {"store": STORE, "plan": f"{plan.decision_uri}plan/"}
    for network in plan.networks:
        workshop.run("evaluate", **flags, model=network.model)
    skipped = workshop.attempt("learning_curve", **flags)
    assert (skipped.returncode, "a fusion of trained networks is not trained" in skipped.stderr) == (99, True)
    for step in ("compare", "report", "register", "decide"):
        workshop.run(step, **flags)
    return workshop.store.read(f"{plan.run_uri}register/result.json", RegisterResult)


def test_the_run_is_named_by_its_members_and_by_nothing_else_that_could_be_chosen(workshop, plan, members):
    assert [member.name for member in plan.weights.members] == members
    assert plan.train.fuse == [f"runs/{member.run_key}/" for member in plan.weights.members]
    other = workshop.plan(STORE, "fusion-again", fuse=members[::-1][::-1], model_name=MODEL, epochs=7, backbone="resnet50", **EASY_GATE)
    assert json.loads(other.stdout.splitlines()[-1])["run_key"] == plan.run_key
    swapped = workshop.plan(STORE, "fusion-swapped", fuse=members[::-1], model_name=MODEL, **EASY_GATE)
    assert json.loads(swapped.stdout.splitlines()[-1])["run_key"] != plan.run_key


def test_the_weights_are_chosen_on_val_and_kept_in_the_checkpoint(workshop, plan, trained, tmp_path):
    fusion = trained.fusion
    assert trained.epochs == ()
    assert trained.best_val_loss == fusion.chosen_loss <= fusion.equal_loss + 2e-3
    assert all(fusion.chosen_loss <= member.val_loss + 2e-3 for member in fusion.members)
    workshop.store.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    saved = load(tmp_path / "best.pt")
    assert saved.weights == tuple(HeadWeights(member.verb_weight, member.noun_weight) for member in fusion.members)
    assert [network.spec.title for network in saved.networks] == [member.network for member in fusion.members]


def test_everything_that_follows_a_training_follows_a_fusion(workshop, plan, trained, registered, tmp_path):
    compared, decided = (
        workshop.store.read(f"{plan.decision_uri}{step}/result.json", model)
        for step, model in (("compare", CompareResult), ("decide", DecideResult))
    )
    assert decided.promoted == compared.passed
    scored = workshop.store.read(f"{plan.evaluations[-1].out}result.json", EvaluateResult)
    workshop.store.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    assert scored.num_parameters == sum(p.numel() for network in load(tmp_path / "best.pt").networks for p in network.parameters())
    reported = workshop.store.read(f"{plan.decision_uri}report/result.json", ReportResult)
    metrics = workshop.store.read(reported.metrics_uri, Metrics)
    page, card = (workshop.store.read_bytes(uri).decode() for uri in (reported.report_uri, reported.card_uri))
    for member in metrics.fusion.members:
        assert member.name in page
        assert member.network in page
    assert "Fusion" in page
    assert "| verbs | nouns |" in card
    assert all(markdown_text(member.network) in card for member in metrics.fusion.members)


def test_the_registered_model_takes_a_clip_in_a_process_that_knows_nothing_of_us(workshop, plan, chain, registered, tmp_path):
    manifest = workshop.store.read(f"{plan.dataset_uri}manifest.json", Manifest)
    clip = tmp_path / "a clip.mp4"
    workshop.store.read_file(manifest.clips[0].uri, clip)
    environment = {key: value for key, value in workshop.environment.items() if not key.startswith(("RETAKE_", "PYTHON", "COVERAGE"))}
    script = [sys.executable, "-P", "-c", PREDICT, f"models:/{MODEL}/{registered.version}", str(clip)]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "/code/tasks/" in found["code"]
    assert not found["code"].startswith(str(REPOSITORY))
    first = found["first"]
    assert (len(first["verb_logits"]), len(first["noun_logits"])) == (125, 352)
    assert max(first["verb_logits"]) == first["verb_logits"][first["verb_class"]]
    assert first["verb"] == workshop_name(manifest, first["verb_class"])
    assert 0 < first["noun_probability"] < 1


def workshop_name(manifest, verb_class):
    return {ref.id: ref.name for ref in manifest.vocabulary.verbs}.get(verb_class, f"verb-{verb_class}")


@pytest.fixture(scope="module")
def odd(workshop, tmp_path_factory):
    workshop.store.ensure_bucket(STORE)
    folder = tmp_path_factory.mktemp("odd")
    put_training(workshop, folder, "b" * 16, Network(spec(), seed=0), ClassNames(verbs=("stir", *NAMES.verbs[1:]), nouns=NAMES.nouns))
    put_training(workshop, folder, "c" * 16, Network(spec(), seed=1), ClassNames(verbs=("fry", *NAMES.verbs[1:]), nouns=NAMES.nouns))
    put_training(workshop, folder, "d" * 16, Network(spec(), seed=2))
    workshop.store.write_bytes(f"{STORE}/runs/{'d' * 16}/train/best.pt", b"other bytes")
    put_training(workshop, folder, "e" * 16, Network(spec(), seed=3))
    put_training(workshop, folder, "0" * 16, Network(spec(), seed=4), is_gone=True)


@pytest.mark.parametrize(
    ("fused", "code", "said"),
    [
        ((), 78, "names no network; write models:/NAME@ALIAS"),
        (("e",), 78, "is one network alone; name two or more"),
        (("e", f"{STORE}/runs/{'e' * 16}/"), 78, "is the same network as runs/eeeeeeeeeeeeeeee/"),
        (("e", "0"), 65, "runs/0000000000000000/: its checkpoint s3://retake-steps/runs/0000000000000000/train/best.pt is gone"),
        (("e", "9"), 65, "has no finished training under runs/9999999999999999/"),
        (("e", "models:/no-such-model@champion"), 65, "there is no registered model no-such-model"),
        (
            ("e", "s3://another-store/runs/0123456789abcdef/"),
            65,
            "was trained in another store (s3://another-store/runs/0123456789abcdef/)",
        ),
        (("b", "c"), 65, "verb 0 is fry to runs/cccccccccccccccc/ and stir to runs/bbbbbbbbbbbbbbbb/"),
        (("e", "d"), 65, "runs/dddddddddddddddd/: s3://retake-steps/runs/dddddddddddddddd/train/best.pt is not the file that was recorded"),
    ],
)
def test_a_network_that_cannot_be_fused_is_named_in_one_line(workshop, odd, fused, code, said):
    names = [f"runs/{name * 16}/" if len(name) == 1 else name for name in fused] or ["retake-tsn"]
    done = workshop.attempt("weights", store=STORE, out=f"{STORE}/odd/", fuse=names)
    assert done.returncode == code, done.stderr
    last = done.stderr.splitlines()[-1]
    assert said in last
