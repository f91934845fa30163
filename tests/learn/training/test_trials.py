"""One trial against `fit`: the same heads, the same curve, and the score of a test; and how both go on to more epochs, to the bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.errors import BadCheckpoint, BadConfiguration, BadDataset
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.features import FeatureMemory
from tasks.learn.inputs.snippets import read_snippets
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.training.epochs import LAST, with_last_weights
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.trials import TrialJob, TrialOutcome, prepare_head_trial, run_head_trial, score_network, train_heads
from tasks.options import Consensus
from tasks.store.records.dataset import NOTHING
from tests.learn.tiny import RICH, kept_job, scores, tiny

pytestmark = pytest.mark.slow

OF_HEADS = {
    "class_weights": "balanced",
    "dropout": 0.5,
    "validation_crops": 10,
    "patience": 2,
    "precision": "bf16-mixed",
    "label_noise": 0.5,
}
CHOICES = {"default": ({}, Consensus.MULTISCALE_RELATION, 10), "rich": (RICH | OF_HEADS, Consensus.AVERAGE, 1)}


def heads(folder: Path, clips: list[CachedClip], consensus: Consensus = Consensus.AVERAGE, num_crops: int = 1, **choice) -> TrialJob:
    # Of four segments, a training draws some relations and a test takes all.
    spec = tiny(consensus=consensus, num_segments=2 if consensus is Consensus.AVERAGE else 4)
    planned = kept_job(folder / "job", clips, spec, **{"learning_rate": 1e-2} | choice)
    return TrialJob(replace(planned, network=planned.network.eval()), num_crops)


def with_train(planned: TrialJob, **changes) -> TrialJob:
    return replace(planned, train=replace(planned.train, **changes))


def through_fit(planned: TrialJob, folder: Path) -> TrainOutcome:
    """Train the same job from an equal network to files of its own."""
    return fit(replace(planned.train, network=Network(planned.train.network.spec, seed=1), folder=folder))


def last_of(trained: TrainOutcome, planned: TrialJob) -> Network:
    """Return the network after the last epoch of `through_fit`."""
    return with_last_weights(planned.train.network, trained.best.with_name(LAST))


def run_trial(planned: TrialJob) -> TrialOutcome:
    """Train and score a trial in this process, as a batch of one."""
    return run_head_trial(prepare_head_trial(planned), FeatureMemory(0))


def test_clips_in_which_nothing_happens_are_not_scored(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=2)
    idle = replace(planned.train.val[0], verb=4)
    acting = replace(idle, verb=0)
    classes = planned.train.classes
    planned = with_train(planned, classes=classes.model_copy(update={"verbs": (*classes.verbs[:4], NOTHING)}))
    alone, beside = (run_trial(with_train(planned, val=val)) for val in ([acting], [idle, acting, idle]))
    assert (beside.loss, beside.right) == (alone.loss, alone.right)
    assert len(beside.right["action"]) == 1


def in_a_test(outcome: TrainOutcome, planned: TrialJob) -> tuple[float, list[list[bool]]]:
    """Return the loss and, for each clip, whether verb and noun are right, of a test of the last checkpoint."""
    engine = PytorchEngine(prepare(last_of(outcome, planned)), planned.num_crops)
    losses, rights = [], []
    for clip in planned.train.val:
        logits = engine.score(read_snippets(clip.frames, engine.network.spec))
        pairs = list(zip(logits, (clip.verb, clip.noun), strict=True))
        losses.append(sum(float(torch.logsumexp(scores, 0) - scores[label]) for scores, label in pairs))
        rights.append([int(scores.argmax()) == label for scores, label in pairs])
    return sum(losses) / len(losses), rights


@pytest.mark.parametrize("name", CHOICES)
def test_heads_and_curve_are_those_of_a_training_to_the_bit_and_the_score_that_of_a_test_of_the_last_epoch(clips, tmp_path: Path, name):
    choice, consensus, num_crops = CHOICES[name]
    # A high rate, so that the best epoch is not the last.
    planned = with_train(heads(tmp_path, clips, consensus, num_crops, learning_rate=0.3, epochs=7, **choice), val=clips[2:])
    before = weights_sha256(planned.train.network)
    network, keeper, best_epoch = train_heads(prepare_head_trial(planned), FeatureMemory(2**20))
    outcome = run_trial(planned)
    assert weights_sha256(planned.train.network) == before
    assert not planned.train.folder.exists()
    trained = through_fit(planned, tmp_path / "fit")
    last = last_of(trained, planned)
    theirs = last.head.state_dict()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in network.head.state_dict().items())
    assert scores(keeper) == scores(outcome) == scores(trained)
    assert best_epoch == outcome.best_epoch == trained.best_epoch < len(outcome.history) - 1
    assert outcome.stopped_early == trained.stopped_early
    loss, rights = in_a_test(trained, planned)
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    whole = score_network(last, planned.train.classes, planned.train.val, num_crops, "cpu")
    assert whole == (pytest.approx(loss, rel=1e-5), outcome.right)
    assert outcome.right == {
        "verb": "".join(str(int(verb)) for verb, _ in rights),
        "noun": "".join(str(int(noun)) for _, noun in rights),
        "action": "".join(str(int(verb and noun)) for verb, noun in rights),
    }
    assert {"0", "1"} == set(outcome.right["verb"] + outcome.right["noun"])


def test_a_last_checkpoint_of_another_network_is_refused(tmp_path: Path):
    own = Network(tiny(), seed=1)
    for state in (own.head.state_dict(), {f"head.{name}": tensor[:1] for name, tensor in own.head.state_dict().items()}):
        torch.save({"state_dict": state}, tmp_path / LAST)
        with pytest.raises(BadCheckpoint, match="of another network"):
            with_last_weights(own, tmp_path / LAST)


def test_without_objects_verbs_alone_are_scored(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=2)
    outcome = run_trial(with_train(planned, classes=planned.train.classes.model_copy(update={"has_objects": False})))
    assert list(outcome.right) == ["verb"]
    last = outcome.history[-1].val
    assert last and outcome.loss == pytest.approx(last.verb_loss, rel=1e-5)


def test_what_cannot_be_trained_on_is_refused(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=1)
    with pytest.raises(BadConfiguration, match="finite"):
        run_trial(with_train(planned, options=planned.train.options.model_copy(update={"learning_rate": 1e60})))
    with pytest.raises(BadDataset, match="verb 99"):
        run_trial(with_train(planned, val=[replace(clips[4], verb=99)]))
