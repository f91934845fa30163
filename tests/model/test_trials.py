"""One trial against `fit`: the same heads, the same curve, and the score of a test."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.errors import BadConfiguration, BadDataset
from tasks.model.backbones import find
from tasks.model.checkpoints import load
from tasks.model.data import CachedClip
from tasks.model.engines.engine import clip_logits, prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.feature_cache import FeatureMemory
from tasks.model.history import EpochRecord
from tasks.model.network import Network, weights_sha256
from tasks.model.snippets import read_snippets
from tasks.model.spec import Consensus
from tasks.model.training import TrainOutcome, fit
from tasks.model.trials import (
    ScoredClip,
    TrialJob,
    TrialOutcome,
    by_themselves,
    prepare_head_trial,
    run_head_trial,
    score_network,
    train_heads,
)
from tasks.results.dataset import NOTHING
from tests.model.test_training import job, scores

pytestmark = pytest.mark.slow

HEADS = {"trainable": "heads", "feature_variants": 2, "learning_rate": 1e-2}
RICH = {
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "mixup": 0.4,
    "dropout": 0.5,
    "validation_crops": 10,
    "ema_decay": 0.9,
    "accumulate_batches": 2,
    "clip_norm": 1,
    "patience": 2,
    "precision": "bf16-mixed",
}
CHOICES = {
    "default": {},
    "rich": RICH,
    "sgd": {"optimizer": "sgd", "sampler": "balanced", "learning_rate": 0.1},
    "altered labels": {"label_noise": 0.5, "class_weights": "balanced"},
    "altered labels in balance": {"label_noise": 0.5, "sampler": "balanced"},
}


def trial(folder: Path, clips: list[CachedClip], *, num_crops: int = 1, keeps_last: bool = False, **choice) -> TrialJob:
    planned = replace(job(folder / "job", clips, **choice), features=folder / "features")
    return TrialJob(planned, num_crops, keeps_last)


def heads(folder: Path, clips: list[CachedClip], consensus: Consensus = Consensus.AVERAGE, **choice) -> TrialJob:
    planned = trial(folder, clips, **HEADS | choice)
    # Of four segments, a training draws some relations and a test takes all.
    changed = {"consensus": consensus, "num_segments": 2 if consensus is Consensus.AVERAGE else 4}
    network = Network(planned.train.network.spec.model_copy(update=changed), seed=1)
    return replace(planned, train=replace(planned.train, network=network.eval()))


def through_fit(planned: TrialJob, folder: Path) -> TrainOutcome:
    """Train the same job from an equal network to files of its own."""
    spec = planned.train.network.spec
    return fit(replace(planned.train, network=Network(spec, seed=1), folder=folder))


def run_trial(planned: TrialJob) -> TrialOutcome:
    """Train and score a trial in this process, as a batch of one."""
    return run_head_trial(prepare_head_trial(planned), FeatureMemory(0))


def curve(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    return [replace(record, seconds=0) for record in history]


def test_a_clip_of_several_parts_has_the_mean_of_their_logits_by_seconds(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=2)
    first, second = (clip.frames for clip in planned.train.val[:2])
    engine = PytorchEngine(prepare(load(through_fit(planned, tmp_path / "fit").best).network), planned.num_crops)
    parts = [engine.score(read_snippets(frames, engine.network.spec)) for frames in (first, second)]
    verb, noun = (0.25 * one + 0.75 * other for one, other in zip(*parts, strict=True))
    label = int(verb.argmax()), int(noun.argmax())
    other = ScoredClip(*label, ((first, 1.0), (second, 3.0)))
    wrong = replace(other, noun=(label[1] + 1) % len(noun))
    losses = [float(torch.logsumexp(verb, 0) - verb[label[0]] + torch.logsumexp(noun, 0) - noun[one.noun]) for one in (other, wrong)]
    outcome = run_trial(replace(planned, others=(other, wrong)))
    scored = score_network(engine.network, planned.train.classes, (other, wrong), planned.num_crops, "cpu")
    for loss, right in ((outcome.loss, outcome.right), scored):
        assert right == {"verb": "11", "noun": "10", "action": "10"}
        assert loss == pytest.approx(sum(losses) / 2, rel=1e-4)


def test_clips_in_which_nothing_happens_are_not_scored(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=2)
    first = planned.train.val[0]
    idle = ScoredClip(4, 3, ((first.frames, 1.0),))
    acting = replace(idle, verb=0)
    named = planned.train.classes.model_copy(update={"verbs": (*planned.train.classes.verbs[:4], NOTHING)})
    planned = replace(planned, train=replace(planned.train, classes=named))
    alone = run_trial(replace(planned, others=(acting,)))
    beside = run_trial(replace(planned, others=(idle, acting, idle)))
    assert (beside.loss, beside.right) == (alone.loss, alone.right)
    assert len(beside.right["action"]) == 1


def in_a_test(outcome: TrainOutcome, planned: TrialJob) -> tuple[float, list[list[bool]]]:
    """Return the loss and, for each clip, whether verb and noun are right, of a test of the best checkpoint."""
    engine = PytorchEngine(prepare(load(outcome.best).network), planned.num_crops)
    losses, rights = [], []
    for clip in planned.train.val:
        logits = engine.score(read_snippets(clip.frames, engine.network.spec))
        pairs = list(zip(logits, (clip.verb, clip.noun), strict=True))
        losses.append(sum(float(torch.logsumexp(one, 0) - one[label]) for one, label in pairs))
        rights.append([int(one.argmax()) == label for one, label in pairs])
    return sum(losses) / len(losses), rights


@pytest.mark.parametrize("consensus", [Consensus.AVERAGE, Consensus.MULTISCALE_RELATION])
@pytest.mark.parametrize("name", CHOICES)
def test_heads_and_curve_are_those_of_a_training_to_the_bit(clips, tmp_path: Path, name, consensus):
    planned = heads(tmp_path, clips, consensus, epochs=5, **CHOICES[name])
    before = weights_sha256(planned.train.network)
    network, keeper, best_epoch = train_heads(prepare_head_trial(planned), FeatureMemory(2**20))
    outcome = run_trial(planned)
    assert weights_sha256(planned.train.network) == before
    assert not planned.train.folder.exists()
    trained = through_fit(planned, tmp_path / "fit")
    best = load(trained.best).network.eval()
    theirs = best.head.state_dict()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in network.head.state_dict().items())
    assert not all(torch.equal(tensor, theirs[key]) for key, tensor in planned.train.network.head.state_dict().items())
    seen = torch.randn(1, best.spec.num_segments, find(best.spec.backbone).num_features)
    assert all(map(torch.equal, clip_logits(network, seen), clip_logits(best, seen)))
    assert curve(tuple(keeper.history)) == curve(outcome.history) == scores(trained)
    assert best_epoch == outcome.best_epoch == trained.best_epoch
    assert outcome.stopped_early == trained.stopped_early


@pytest.mark.parametrize("num_crops", [1, 10])
@pytest.mark.parametrize("consensus", [Consensus.AVERAGE, Consensus.MULTISCALE_RELATION])
def test_the_score_is_that_of_a_test_of_the_best_checkpoint(clips, tmp_path: Path, consensus, num_crops):
    planned = heads(tmp_path, clips, consensus)
    planned = replace(planned, train=replace(planned.train, val=clips), num_crops=num_crops)
    outcome = run_trial(planned)
    trained = through_fit(planned, tmp_path / "fit")
    loss, rights = in_a_test(trained, planned)
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    whole = score_network(load(trained.best).network, planned.train.classes, by_themselves(clips), num_crops, "cpu")
    assert whole == (pytest.approx(loss, rel=1e-5), outcome.right)
    assert outcome.right == {
        "verb": "".join(str(int(verb)) for verb, _ in rights),
        "noun": "".join(str(int(noun)) for _, noun in rights),
        "action": "".join(str(int(verb and noun)) for verb, noun in rights),
    }
    assert {"0", "1"} == set(outcome.right["verb"] + outcome.right["noun"])


def test_a_trial_in_half_precision_is_scored_in_float32(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, precision="bf16-mixed", epochs=2)
    loss, _ = in_a_test(through_fit(planned, tmp_path / "fit"), planned)
    outcome = run_trial(planned)
    validated = outcome.history[outcome.best_epoch].val
    assert outcome.loss == pytest.approx(loss, rel=1e-6)
    assert validated and outcome.loss != pytest.approx(validated.loss, rel=1e-6)


def test_without_objects_verbs_alone_are_scored(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=2)
    planned = replace(planned, train=replace(planned.train, classes=planned.train.classes.model_copy(update={"has_objects": False})))
    outcome = run_trial(planned)
    assert list(outcome.right) == ["verb"]
    best = outcome.history[outcome.best_epoch].val
    assert best and outcome.loss == pytest.approx(best.verb_loss, rel=1e-5)


def test_a_long_trial_writes_nothing_on_the_way(clips, tmp_path: Path):
    planned = replace(heads(tmp_path, clips, epochs=200, feature_variants=1, validate_every=50), keeps_last=True)
    outcome = run_trial(planned)
    assert [file.name for file in planned.train.folder.iterdir()] == ["last.ckpt"]
    assert len(outcome.history) == 200


def test_a_loss_that_is_never_finite_fails(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=1)
    diverging = planned.train.options.model_copy(update={"learning_rate": 1e60})
    with pytest.raises(BadConfiguration, match="finite"):
        run_trial(replace(planned, train=replace(planned.train, options=diverging, network=Network(planned.train.network.spec, seed=1))))


def test_a_class_without_an_output_is_named(clips, tmp_path: Path):
    planned = heads(tmp_path, clips)
    with pytest.raises(BadDataset, match="verb 99"):
        run_trial(replace(planned, train=replace(planned.train, val=[replace(clips[4], verb=99)])))
