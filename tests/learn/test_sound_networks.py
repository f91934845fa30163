"""Networks that hear: what they are shown of a clip's sound, and how they learn and answer."""

import numpy as np
import pytest
import torch

from tasks.learn.engines.engine import prepare
from tasks.learn.engines.grad_cam import NothingToSee, activation_sheet
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.data import CachedClip, View
from tasks.learn.inputs.features import FeatureMemory
from tasks.learn.inputs.snippets import middle_snippets
from tasks.learn.networks.checkpoints import HeadWeights, Saved, load, save
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NUM_MELS
from tasks.learn.training.costs import complexity
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.learn.training.trials import TrialJob, prepare_head_trial, run_head_trial, score_network
from tasks.options import Consensus, Modality, TrainOptions
from tests.learn.tiny import CLASSES, outspoken, scorer_of, snippets_of, tiny

SOUND = tiny(backbone="log-mel", modality=Modality.SOUND, num_segments=4)
SEES = tiny()
OPTIONS = TrainOptions(modality=Modality.SOUND, learning_rate=1e-3, trainable="heads", epochs=3, batch_size=2)
SILENCE = np.zeros((4, 2 * NUM_MELS), np.float32)


def noise(seed, num_windows=32):
    return np.random.default_rng(seed).random((num_windows, 2 * NUM_MELS), np.float32)


def kept(folder, num_clips=6):
    clips = []
    for i in range(num_clips):
        path = folder / f"{i}.npy"
        np.save(path, noise(i))
        clips.append(CachedClip(path, verb=i % 3, noun=i % 2))
    return clips


def learned(spec, seed=0):
    return outspoken(Network(spec, seed), std=1, seed=seed)


def job_to(folder, network, train, val, features=True):
    return TrainJob(network, CLASSES, train, val, OPTIONS, folder / f"out-{features}", "cpu", features=folder / "f" if features else None)


def test_middles_are_heard_in_a_test_and_random_windows_in_training(tmp_path):
    (clip,) = kept(tmp_path, 1)
    rows = np.load(clip.frames)
    assert np.array_equal(View(clip.frames).images(SOUND), rows[[first for (first,) in middle_snippets(len(rows), 4)]])
    drawn = [View(clip.frames, seed=1, number=number).images(SOUND) for number in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(View(clip.frames, seed=1, middle_frames=True).images(SOUND), View(clip.frames).images(SOUND))


@pytest.mark.parametrize("consensus", ["multiscale-relation", "tcn"])
def test_heads_that_relate_segments_take_features_of_sound(consensus):
    spec = tiny(**SOUND.model_dump() | {"consensus": Consensus(consensus)})
    engine = PytorchEngine(prepare(learned(spec)), 10)
    assert torch.equal(engine.score(SILENCE).verb, engine.answer(torch.zeros(1, 4, 256)).verb)


@pytest.mark.slow
def test_heads_learn_the_same_on_cached_features_without_and_in_a_trial_which_scores_silence_as_the_engine_does(tmp_path):
    np.save(tmp_path / "silent.npy", np.zeros_like(noise(0)))
    clips = [*kept(tmp_path), CachedClip(tmp_path / "silent.npy", verb=4, noun=3)]
    outcomes = [fit(job_to(tmp_path, learned(SOUND), clips, clips, features)) for features in (True, False)]
    losses = [[record.val.loss for record in outcome.history] for outcome in outcomes]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0][-1] < losses[0][0]
    fitted = load(outcomes[0].best).network
    assert fitted.spec == SOUND
    trial = prepare_head_trial(TrialJob(job_to(tmp_path, learned(SOUND), clips, clips), num_crops=10))
    scored = run_head_trial(trial, FeatureMemory(2**20))
    loss, right = score_network(fitted, CLASSES, clips, 10, "cpu")
    assert scored.loss == pytest.approx(loss, abs=1e-4)
    assert scored.right == right


def test_silence_is_answered_by_the_biases_alone():
    engine = PytorchEngine(prepare(learned(SOUND)), 10)
    answer = engine.score(SILENCE)
    assert torch.equal(answer.verb, engine.network.head.fc_verb.bias.detach())
    assert not torch.equal(engine.score(noise(0, 4)).verb, answer.verb)


def test_in_a_fusion_a_network_that_hears_nothing_does_not_count():
    frames = snippets_of(SEES)
    scorer, used = scorer_of(
        Saved((learned(SEES, 1), learned(SOUND, 2)), (HeadWeights(0.3, 0.0), HeadWeights(0.7, 1.0)), CLASSES), num_crops=10
    )
    seen, heard_alone = scorer.engines[0].score(frames), scorer.engines[1].score(noise(0, 4))
    assert used.has_backbone
    assert torch.allclose(scorer.score([frames, SILENCE]).verb, seen.verb)
    assert torch.allclose(scorer.score([frames, SILENCE]).noun, seen.noun)
    fused = scorer.score([frames, noise(0, 4)])
    assert torch.allclose(fused.verb, 0.3 * seen.verb + 0.7 * heard_alone.verb, atol=1e-5)
    assert torch.allclose(fused.noun, heard_alone.noun, atol=1e-5)


def test_networks_of_sound_alone_answer_silence_together():
    scorer, _ = scorer_of(Saved((learned(SOUND, 1), learned(SOUND, 2)), (HeadWeights(0.5, 0.5),) * 2, CLASSES), num_crops=10)
    answer = scorer.score([SILENCE, SILENCE])
    biases = [engine.network.head.fc_verb.bias.detach() for engine in scorer.engines]
    assert torch.allclose(answer.verb, sum(biases) / 2)


@pytest.mark.slow
def test_features_of_sound_do_not_slow_the_engine_of_pictures():
    pytest.importorskip("openvino")
    scorer, used = scorer_of(Saved((learned(SEES, 1), learned(SOUND, 2)), (HeadWeights(0.5, 0.5),) * 2, CLASSES), "openvino")
    assert [engine.name for engine in scorer.engines] == ["openvino", "pytorch"]
    assert used.name == "openvino"


def test_sound_has_one_view_and_hardly_any_operations():
    assert complexity([SOUND], 10) == complexity([SOUND], 1)
    heads = SOUND.num_verbs + SOUND.num_nouns
    assert complexity([SOUND], 10).num_flops == 2 * 2 * NUM_MELS * heads


def test_no_map_lies_over_features_of_sound():
    with pytest.raises(NothingToSee, match="features of sound"):
        activation_sheet(prepare(learned(SOUND)), noise(0, 4), "verb", 0)


def test_a_network_of_sound_comes_back_from_its_checkpoint_and_others_say_nothing_of_sound(tmp_path):
    save(tmp_path / "a.ckpt", Network(SOUND), CLASSES)
    assert load(tmp_path / "a.ckpt").network.spec == SOUND
    assert Network(SOUND).head.fc_verb.in_features == 2 * NUM_MELS
    assert "sound" not in SEES.model_dump(mode="json")
    assert SOUND.model_dump(mode="json")["sound"] == {"network": None, "speech": None}, "names of runs are made of these bytes"
