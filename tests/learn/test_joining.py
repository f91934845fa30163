"""Heads on the joined features of several networks: what they learn, and how they answer where one of these hears nothing."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tasks.errors import BadCheckpoint
from tasks.learn.engines.choice import ScoringJob
from tasks.learn.engines.grad_cam import activation_sheet
from tasks.learn.engines.scorer import SharedFeatures, make_scorer
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.features import FeatureCache
from tasks.learn.inputs.snippets import read_tested
from tasks.learn.networks.checkpoints import load, save_joined
from tasks.learn.networks.joining import Joining
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames
from tasks.learn.training.costs import complexity
from tasks.learn.training.epochs import head_file
from tasks.learn.training.fit import fit
from tasks.learn.training.job import JoinedNetwork, TrainJob, joint_spec, score_heads
from tasks.options import Head, Modality, TrainOptions
from tests.learn.tiny import assert_resumes, scorer_of, tiny

pytestmark = pytest.mark.slow

CLASSES = ClassNames(verbs=("pour", "cut"), nouns=("cup", "pan"))
SIZES = {"num_verbs": 2, "num_nouns": 2}
SEES = tiny(**SIZES)
HEARS = tiny(backbone="log-mel", modality=Modality.SOUND, num_segments=4, **SIZES)
RECIPE = {"trainable": "heads", "join": "features", "fuse": ["runs/a/", "runs/b/"], "num_segments": 2, "feature_variants": 1}
QUICK = {"epochs": 8, "batch_size": 4, "learning_rate": 0.01}
NUM_CLIPS, NUM_TRAINED, SILENT = 20, 12, (3, 16)


def label_of(clip):
    """Return verb and noun, each of which says nothing of the other."""
    return clip % 2, clip // 2 % 2


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Clips whose verb is heard alone and whose noun is seen alone, as files by input; in two of them there is nothing to hear."""
    folder, rng = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    files = {modality: [folder / f"{modality}-{i}.npy" for i in range(NUM_CLIPS)] for modality in (Modality.RGB, Modality.SOUND)}
    for i in range(NUM_CLIPS):
        verb, noun = label_of(i)
        frames = rng.integers(0, 80, (4, 256, 300, 3)) + 150 * np.eye(3, dtype=int)[noun]
        np.save(files[Modality.RGB][i], frames.astype(np.uint8))
        loud = np.roll(np.repeat([0.0, 1.0], 128), 128 * verb)
        windows = (rng.random((33, 256)) - 8 + 4 * loud) * (i not in SILENT)
        np.save(files[Modality.SOUND][i], windows.astype(np.float32))
    return files


@pytest.fixture(scope="module")
def job(films, tmp_path_factory):
    """A training on these networks, in a folder of this name; all share their features."""
    root, numbers = tmp_path_factory.mktemp("joined"), count()

    def make(name=None, specs=(SEES, HEARS), features=root / "features", **choice):
        options = TrainOptions.model_validate(RECIPE | QUICK | choice)
        networks = [Network(spec, seed) for seed, spec in enumerate(specs)]
        names = [Path(f"clip-{i}") for i in range(NUM_CLIPS)]
        clips = [CachedClip(name, *label_of(i), source=str(i // 4)) for i, name in enumerate(names)]
        joined = [JoinedNetwork(network, dict(zip(names, films[network.spec.modality], strict=True))) for network in networks]
        head = Network(joint_spec(networks, options, **SIZES), seed=5)
        folder = root / (name or f"run-{next(numbers)}")
        train, val = clips[:NUM_TRAINED], clips[NUM_TRAINED:]
        return TrainJob(head, CLASSES, train, val, options, folder, "cpu", features=features, joined=joined)

    return make


@pytest.fixture(scope="module")
def trained(job):
    return fit(job(epochs=2, learning_rate=0.001))


def inputs_of(films, saved, clip):
    return [read_tested(films[network.spec.modality][clip], network.spec) for network in saved.networks]


def rights(films, saved):
    """Tell for each val clip with sound whether its verb and its noun are right."""
    scorer, _ = scorer_of(saved)
    answers = {i: scorer.score(inputs_of(films, saved, i)) for i in range(NUM_TRAINED, NUM_CLIPS) if i not in SILENT}
    return np.array([[int(logits.argmax()) == true for logits, true in zip(pair, label_of(i), strict=True)] for i, pair in answers.items()])


@pytest.mark.parametrize("head", [Head.LINEAR, Head.PROBE, Head.TCN])
def test_a_joint_head_names_what_is_only_heard_and_what_is_only_seen(job, films, head):
    assert rights(films, load(fit(job(head=head)).best)).all()


def test_neither_network_alone_names_both(job, films):
    seen, heard = (rights(films, load(fit(job(str(i), specs=[spec])).best)) for i, spec in enumerate((SEES, HEARS)))
    assert (seen[:, 1].all(), heard[:, 0].all()) == (True, True)
    assert max(seen[:, 0].mean(), heard[:, 1].mean()) < 0.8


def test_a_training_that_was_cut_off_ends_as_if_undisturbed(job):
    choice = {"head": "tcn", "dropout": 0.5, "schedule": "cosine", "epochs": 2}
    assert_resumes(lambda name: job(name, **choice), 0)


def test_a_test_answers_as_the_validation_did(job, films, tmp_path):
    """With ten crops of the pictures beside the one of the sound, from frames and from kept features."""
    made = job(head=Head.TCN, validation_crops=10, epochs=2)
    outcome = fit(replace(made, val=made.val[:3]))
    saved = load(outcome.best)
    (best,) = (record for record in outcome.history if record.epoch == outcome.best_epoch)
    scorer, used = scorer_of(saved, num_crops=10)
    names = [str(i) for i in range(NUM_TRAINED, NUM_TRAINED + 3)]
    shared = SharedFeatures(tmp_path / "shared", scorer, used, names)
    losses = []
    for name in names:
        logits = shared.score(name, inputs_of(films, saved, int(name)))
        truth = torch.tensor(label_of(int(name)))
        losses.append(sum(cross_entropy(own, true) for own, true in zip(logits, truth, strict=True)))
    assert float(torch.stack(losses).mean()) == pytest.approx(best.val.loss, rel=1e-3)
    shared.close()
    for name in names[:2]:
        expected = scorer.score(inputs_of(films, saved, int(name)))
        torch.testing.assert_close(scorer.answer(shared.known(name)), expected, atol=1e-5, rtol=1e-5)


def test_an_answer_to_a_silent_clip_is_that_of_what_is_seen_of_it(job, films):
    saved = load(fit(job(specs=(SEES, HEARS, HEARS))).best)
    scorer, _ = scorer_of(saved)
    seen, *heard = scorer.see(inputs_of(films, saved, SILENT[1]))
    assert scorer.is_silent([seen, *heard])
    assert not any(own.any() for own in heard)
    joint = saved.joint
    features = joint.backbone([seen, *heard])
    assert not features[..., joint.spec.joined[0] :].any()
    averages = [mean.expand_as(own) for own, mean in zip(heard, torch.split(joint.backbone.mean, joint.spec.joined)[1:], strict=True)]
    torch.testing.assert_close(scorer.answer([seen, *heard]), scorer.answer([seen, *averages]), atol=1e-5, rtol=1e-4)
    assert int(scorer.answer([seen, *heard]).noun.argmax()) == label_of(SILENT[1])[1]


def test_clips_that_are_all_silent_are_trained_on_and_answered(job, films, tmp_path):
    np.save(tmp_path / "silence.npy", np.zeros((33, 256), np.float32))
    made = job()
    sees, hears = made.joined
    mute = replace(hears, frames=dict.fromkeys(hears.frames, tmp_path / "silence.npy"))
    saved = load(fit(replace(made, joined=[sees, mute])).best)
    assert all(own.isfinite().all() for own in scorer_of(saved)[0].score(inputs_of(films, saved, 0)))


def test_features_are_standardised_on_the_clips_in_which_there_are_some():
    joining = Joining((2, 1), num_segments=2)
    seen = torch.tensor([[[1.0, 10.0], [3.0, 30.0]]])
    heard = torch.tensor([[[5.0]], [[0.0]], [[7.0]]])
    joining.fit([seen, own[None]] for own in heard)
    torch.testing.assert_close(joining.mean, torch.tensor([2.0, 20.0, 6.0]))
    torch.testing.assert_close(joining.scale, torch.tensor([1.0, 10.0, 1.0]))
    together = joining([seen, heard])
    assert together[:, :, 0].tolist() == [[-1, 1]] * 3
    assert together[:, :, 2].tolist() == [[-1, -1], [0, 0], [1, 1]]


def test_segments_and_views_of_other_numbers_are_pooled_over_the_same_time():
    joining = Joining((1, 1), num_segments=4)
    segments, views = torch.arange(4.0).reshape(1, 4, 1), torch.tensor([[[1.0], [9.0]]])
    assert joining([segments, views])[0].tolist() == [[0, 1], [1, 1], [2, 9], [3, 9]]


def test_trainings_of_the_networks_share_their_features_with_the_joint_head(job, tmp_path, monkeypatch):
    written = []
    write = FeatureCache.write
    monkeypatch.setattr(FeatureCache, "write", lambda cache, name, features: written.append(name) or write(cache, name, features))
    choice = {"features": tmp_path, "epochs": 2, "feature_variants": 2}
    made = job(**choice)
    fit(made)
    num_views = 2 * (2 * NUM_TRAINED + NUM_CLIPS - NUM_TRAINED)
    assert len(written) == num_views
    fit(job(**choice, head="tcn", learning_rate=0.1))
    for seed, joined in enumerate(made.joined):
        train, val = ([replace(clip, frames=joined.frames[clip.frames]) for clip in clips] for clips in (made.train, made.val))
        spec = joined.network.spec
        alone = made.options.model_copy(update={"join": "logits", "fuse": [], "modality": spec.modality})
        folder = tmp_path / spec.modality
        fit(replace(made, network=Network(spec, seed), train=train, val=val, options=alone, folder=folder, joined=()))
    assert len(written) == num_views


def test_heads_on_the_way_answer_as_in_their_validation(job, trained, tmp_path):
    torch.save(load(trained.best).joint.head.state_dict(), tmp_path / head_file(1))
    ((_, *answers),) = score_heads(job(), {trained.best_epoch: tmp_path / head_file(1)})
    truth = zip(*map(label_of, range(NUM_TRAINED, NUM_CLIPS)), strict=True)
    losses = [cross_entropy(torch.from_numpy(logits), torch.tensor(ids)) for logits, ids in zip(answers, truth, strict=True)]
    assert float(sum(losses)) == pytest.approx(trained.best_val_loss, rel=1e-4)


def test_a_picture_of_where_the_network_looked_follows_from_the_joint_answer(job, films):
    saved = load(fit(job(specs=(HEARS, SEES))).best)
    scorer, _ = scorer_of(saved)
    inputs = inputs_of(films, saved, 0)
    network = scorer.explained(1, inputs)
    with torch.no_grad():
        logits = network.head(scorer.see(inputs)[1])
    torch.testing.assert_close(logits.verb[0], scorer.score(inputs).verb)
    assert activation_sheet(network, inputs[1], "verb", 0).startswith(b"\x89PNG")
    assert network is not scorer.engines[1].network
    assert scorer.engines[1].network.head is saved.networks[1].head


def test_the_size_is_that_of_the_backbones_and_the_joint_head(job):
    networks = [member.network for member in job().joined]
    joint = job().network
    size = complexity([network.spec for network in networks], 10, joint.spec)
    assert size.num_parameters == sum(
        p.numel() for part in (*(network.backbone for network in networks), joint.head) for p in part.parameters()
    )


def test_a_checkpoint_whose_head_takes_other_features_is_refused_and_one_of_joined_networks_is_no_single_one(job, trained, tmp_path):
    made, saved = job(), load(trained.best)
    save_joined(tmp_path / "wrong.pt", [made.joined[0].network] * 2, made.network, CLASSES)
    with pytest.raises(BadCheckpoint, match=r"takes \(96, 256\) features of networks that have \(96, 96\)"):
        load(tmp_path / "wrong.pt")
    assert saved.title == "TSN tiny_resnet rgb, 2 segments + TSN log-mel sound, 4 segments; features of 2 networks joined, linear head"
    with pytest.raises(BadCheckpoint, match="where a single network is required"):
        _ = saved.network


def test_an_engine_that_is_close_enough_for_each_network_and_not_for_the_joined_answer_scores_nothing(trained, films):
    pytest.importorskip("openvino")
    saved = load(trained.best)
    inputs = inputs_of(films, saved, 0)
    jobs = [ScoringJob("cpu", 1, num_crops=1, checked=lambda clip=clip: [clip]) for clip in inputs]
    _, used = make_scorer(saved, "openvino-float32", jobs)
    assert (used.name, used.fallback_reason) == ("openvino", None)
    with torch.no_grad():
        saved.joint.head.fc_verb.weight.mul_(1e12)
    scorer, used = make_scorer(saved, "openvino-float32", jobs)
    assert used.name == "pytorch"
    assert "failed the parity check of the joined answer against PyTorch: a verb logit differs" in used.fallback_reason
    assert scorer.score(inputs).verb.isfinite().all()
