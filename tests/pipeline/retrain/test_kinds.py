"""Every kind of network from its plan to the registered model, which answers a clip as the evaluation does."""

import html
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from tasks.data.clips.frame_cache import cache_test_frames
from tasks.errors import Unavailable
from tasks.learn.inputs.snippets import read_tested
from tasks.learn.networks.checkpoints import HeadWeights, load
from tasks.predict.probabilities import distributions
from tasks.served import SERVED_FILE, Served
from tasks.store.layout import Dataset
from tasks.store.records.comparison import Comparison, Configuration, ConfigureResult
from tasks.store.records.metrics import Metrics
from tasks.store.run_layout import Configurations, Configured
from tests.learn.tiny import TINY_VIDEO, tiny_video_network
from tests.pipeline.in_process import STORE
from tests.pipeline.retrain.bench import DATASET

pytestmark = pytest.mark.slow

FLOW = {"modality": "flow", "flow_method": "dis"}
HEADS = {"trainable": "heads", "feature_variants": 1}
SOUND = {"modality": "sound", "backbone": "log-mel", "num_segments": 3, **HEADS}
FRAMES = {
    "TSN test_resnet rgb-difference, 3 segments": {"modality": "rgb-difference", "num_segments": 3},
    "TSM test_resnet flow (dis), 2 segments, tcn head": {"family": "TSM", "head": "tcn", **FLOW},
    # A probe is stored as the linear heads that it is.
    "TSN test_resnet rgb, 2 segments": {"head": "probe", **HEADS},
    "3D tiny_video rgb, 3 views": {"family": "3D", "backbone": TINY_VIDEO.name},
}
"""Options by the title of their network."""


@pytest.fixture(autouse=True)
def video_network():
    with tiny_video_network():
        yield


@pytest.fixture
def labelled(bench):
    bench.label(("take", 0, "bag", 20), ("put", 1, "meat", 26), num_train=2, num_val=2)
    return bench


def saved_by(bench, folder):
    bench.store.read_file(f"{bench.plan.run_uri}train/best.pt", folder / "best.pt")
    return folder / "best.pt"


def last_clip(bench, scored):
    return next(clip for clip in bench.store.read(Dataset(DATASET).manifest).clips if clip.uid == scored.uids[-1])


def assert_alike(answers, scored):
    for logits, expected in zip(answers, (scored.verb_logits, scored.noun_logits), strict=True):
        np.testing.assert_allclose(logits, expected[-1], atol=1e-4)


@pytest.mark.parametrize("title", FRAMES)
def test_a_network_of_frames_is_registered_as_a_module_that_answers_as_the_evaluation(labelled, tmp_path, title):
    assert labelled.decide(**FRAMES[title]).weights.network == title
    assert labelled.run("train").best_val_loss > 0
    scored = labelled.evaluate_trained()
    labelled.register()
    (version,) = labelled.mlflow.versions.values()
    assert (labelled.mlflow.models["retake-tsn"].aliases, version.description) == ({"challenger": "1"}, "TSN\n")
    spec, clip = load(saved_by(labelled, tmp_path)).network.spec, last_clip(labelled, scored)
    frames = read_tested(cache_test_frames(labelled.store, [clip], spec)[clip.uid], spec)
    with torch.inference_mode():
        answers = mlflow.pytorch.load_model(labelled.model)(torch.from_numpy(np.stack([frames, frames])))
    assert_alike([logits[1] for logits in answers], scored)
    assert_answers_as(labelled, clip, scored)


def assert_answers_as(bench, clip, scored):
    """The registered model predicts a clip by itself as its answers in the evaluation, scaled by the temperatures that it was served with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", sys.path[:])  # MLflow puts the model's code before ours
        model = mlflow.pyfunc.load_model(bench.model)
    (answer,) = model.predict([bench.store.read_bytes(clip.uri)]).to_dict("records")
    (how,) = Path(bench.model).rglob(SERVED_FILE)
    served = Served.model_validate_json(how.read_bytes())
    temperatures = served.verb_temperature, served.noun_temperature
    likely = distributions(scored.verb_logits[-1:], scored.noun_logits[-1:], *temperatures, served.actions)
    names = model.metadata.metadata
    (verb,), (noun,), (probability,) = (values.tolist() for values in likely.best())
    assert (answer["verb"], answer["noun"]) == (names["verbs"].get(verb, f"verb-{verb}"), names["nouns"].get(noun, f"noun-{noun}"))
    assert answer["probability"] == pytest.approx(probability, rel=1e-3)
    assert served.actions == ((0, 20), (1, 26))


def cut_off(*_, **__):
    raise Unavailable("cut off")


def test_a_network_that_hears_is_registered_once_as_a_model_that_answers_as_the_evaluation(labelled, monkeypatch):
    assert labelled.decide(**SOUND, crops=10).weights.network == "TSN log-mel sound, 3 segments"
    labelled.run("train")
    scored = labelled.evaluate_trained()
    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(labelled.mlflow, "create_model_version", cut_off)
        labelled.register()
    assert labelled.register().version == len(labelled.mlflow.logged_models) == 1
    assert_answers_as(labelled, last_clip(labelled, scored), scored)


@pytest.mark.parametrize("options", [{}, {"join": "features", "head": "tcn", **HEADS}], ids=["averaged", "joined"])
def test_two_networks_are_reported_and_registered_as_one_model_that_answers_as_the_evaluation(labelled, tmp_path, options):
    members = []
    for own in ({"frame_step": 30}, SOUND):
        members.append(f"runs/{labelled.decide(**own).run_key}/")
        labelled.run("train")
    plan = labelled.decide(fuse=members, crops=10, **options)
    trained = labelled.run("train")
    saved = load(saved_by(labelled, tmp_path))
    assert plan.train.fuse == members
    assert [network.spec.modality for network in saved.networks] == ["rgb", "sound"]
    results = labelled.evaluate()
    _, reported = labelled.report()
    metrics, page = labelled.store.read(reported.metrics_uri, Metrics), labelled.page(reported)
    assert metrics.network == plan.weights.network
    assert html.escape(plan.weights.network) in page
    if saved.joint:
        assert (len(trained.epochs), trained.fusion) == (1, None)
        assert saved.joint.spec.joined == tuple(network.num_features for network in saved.networks)
        assert metrics.baseline.startswith("the mean of 2 networks with equal weights")
    else:
        fusion = trained.fusion
        assert trained.epochs == ()
        assert trained.best_val_loss == fusion.chosen_loss <= fusion.equal_loss + 2e-3
        assert all(fusion.chosen_loss <= member.val_loss + 2e-3 for member in fusion.members)
        assert saved.weights == tuple(HeadWeights(member.verb_weight, member.noun_weight) for member in fusion.members)
        assert [network.spec.title for network in saved.networks] == [member.network for member in fusion.members]
        assert all(member.name in page for member in metrics.fusion.members)
        num_parameters = sum(parameter.numel() for network in saved.networks for parameter in network.parameters())
        assert results["fine-tuned", "val"].num_parameters == num_parameters
        assert "| verbs | nouns |" in labelled.store.read_bytes(reported.card_uri).decode()
    labelled.run("register")
    assert labelled.run("decide").report_url == reported.report_url
    scored = labelled.evaluate_trained()
    assert_answers_as(labelled, last_clip(labelled, scored), scored)
    row = compared(labelled)
    assert (row.family, row.inputs) == ("joined features" if saved.joint else "fusion", ("rgb", "sound"))


def compared(bench):
    """The only row of a comparison."""
    place, out = Configurations(f"{STORE}/comparisons/x/d/"), Configured(f"{STORE}/comparisons/x/d/0/")
    bench.store.write(out.plan, bench.plan)
    line = Configuration(name="fuse=", options="{}", dataset=DATASET, out=out.folder_uri, claims=f"{place.folder_uri}claims/")
    bench.store.write(place, ConfigureResult(dataset_uri=DATASET, configured_uri=place.folder_uri, configurations=(line,)))
    (row,) = bench.store.read(bench.run("tabulate", configured=place.folder_uri).comparison_uri, Comparison).networks
    return row
