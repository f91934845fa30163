"""One trial against `fit`: the same heads, the same curve, and the score of a test. Of a batch, what one fails of, the others do not notice."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.errors import BadCheckpoint, BadConfiguration, BadDataset, Unavailable
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.features import FeatureCache, FeatureMemory
from tasks.learn.inputs.snippets import read_snippets
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.training import trials
from tasks.learn.training.epochs import LAST, with_last_weights
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.trials import (
    TrialFailure,
    TrialJob,
    TrialOutcome,
    prepare_head_trial,
    run_head_trial,
    run_trials,
    score_network,
    train_heads,
)
from tasks.options import Consensus
from tasks.store.records.dataset import NOTHING
from tests.learn.tiny import RICH, kept_job, scores, tiny

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


def changed(planned: TrialJob, **choice) -> TrialJob:
    return with_train(planned, options=planned.train.options.model_copy(update=choice))


def through_fit(planned: TrialJob, folder: Path) -> TrainOutcome:
    """Train the same job from an equal network to files of its own."""
    return fit(replace(planned.train, network=Network(planned.train.network.spec, seed=1), folder=folder))


def last_of(trained: TrainOutcome, planned: TrialJob) -> Network:
    """Return the network after the last epoch of `through_fit`."""
    return with_last_weights(planned.train.network, trained.best.with_name(LAST))


def run_trial(planned: TrialJob) -> TrialOutcome:
    """Train and score a trial in this process, as a batch of one."""
    return run_head_trial(prepare_head_trial(planned), FeatureMemory(0))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_last_checkpoint_of_another_network_is_refused(tmp_path: Path):
    own = Network(tiny(), seed=1)
    for state in (own.head.state_dict(), {f"head.{name}": tensor[:1] for name, tensor in own.head.state_dict().items()}):
        torch.save({"state_dict": state}, tmp_path / LAST)
        with pytest.raises(BadCheckpoint, match="of another network"):
            with_last_weights(own, tmp_path / LAST)


@pytest.mark.slow
def test_without_objects_verbs_alone_are_scored(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=2)
    outcome = run_trial(with_train(planned, classes=planned.train.classes.model_copy(update={"has_objects": False})))
    assert list(outcome.right) == ["verb"]
    last = outcome.history[-1].val
    assert last and outcome.loss == pytest.approx(last.verb_loss, rel=1e-5)


@pytest.mark.slow
def test_what_cannot_be_trained_on_is_refused(clips, tmp_path: Path):
    planned = heads(tmp_path, clips, epochs=1)
    with pytest.raises(BadConfiguration, match="finite"):
        run_trial(changed(planned, learning_rate=1e60))
    with pytest.raises(BadDataset, match="verb 99"):
        run_trial(with_train(planned, val=[replace(clips[4], verb=99)]))


def batch(folder: Path, clips: list[CachedClip], **choice) -> list[TrialJob]:
    """Three trials of heads on one network."""
    first = heads(folder, clips, **choice)
    return [changed(first, learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]


def figures(outcome: TrialOutcome | TrialFailure) -> tuple:
    assert isinstance(outcome, TrialOutcome)
    return scores(outcome), outcome.best_epoch, outcome.loss, outcome.right


def test_trials_on_one_network_share_its_features(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)
    read, opened = [], []
    monkeypatch.setattr(FeatureCache, "read", lambda self, name, inner=FeatureCache.read: read.append(name) or inner(self, name))
    monkeypatch.setattr(trials, "open_network", lambda *of, inner=trials.open_network: opened.append(of) or inner(*of))
    list(run_trials(jobs))
    assert len(opened) == 1
    assert len(read) == len(set(read)) == 4 * 2 + 2
    read.clear()
    monkeypatch.setattr(trials, "MEMORY_BYTES", 0)
    list(run_trials(jobs))
    assert len(read) > 3 * (4 * 2 + 2)


def test_what_a_retry_mends_and_sigterm_end_the_batch(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)

    def full(self: FeatureCache, name: str, features: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(Unavailable, match="full"):
        patch.setattr(FeatureCache, "write", full)
        list(run_trials(jobs))
    read, outcomes = FeatureMemory.read, run_trials(jobs)

    def terminated(self: FeatureMemory, cache: FeatureCache, name: str) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return read(self, cache, name)

    assert isinstance(next(outcomes), TrialOutcome)
    monkeypatch.setattr(FeatureMemory, "read", terminated)
    with pytest.raises(Unavailable, match="SIGTERM"):
        next(outcomes)


@pytest.mark.slow
def test_each_trial_gives_what_it_gives_alone_and_failures_are_their_own(clips, tmp_path: Path):
    planned = [*batch(tmp_path, clips), *batch(tmp_path, clips, seed=1, dropout=0.5)]
    impossible, diverging = changed(planned[1], precision="16-mixed"), changed(planned[1], learning_rate=1e60)
    jobs = [planned[0], impossible, diverging, *planned[2:]]
    outcomes = list(run_trials(jobs))
    assert len(outcomes) == 7
    assert "16-mixed" in outcomes[1].reason and "finite" in outcomes[2].reason
    for index in (0, 3, 6):
        assert figures(outcomes[index]) == figures(run_trial(jobs[index]))
