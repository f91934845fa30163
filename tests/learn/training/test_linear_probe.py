from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.errors import BadConfiguration
from tasks.learn.inputs.features import training_features
from tasks.learn.networks.checkpoints import load
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import TrainJob, views_of
from tasks.learn.training.linear_probe import STRENGTHS, UNSEEN_MARGIN, cross_fitted, fit_probe
from tasks.learn.training.trials import TrialJob
from tests.learn.tiny import HEADS, assert_same_files, job, kept_job, scores
from tests.learn.training.test_trials import run_trial


def clusters(num_classes: int, num_clips: int, num_features: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Features around a centre of each class, at different scales, with a constant one; three clips a source video."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_clips) % num_classes
    centres = rng.normal(size=(num_classes, num_features))
    features = (centres[labels] + rng.normal(size=(num_clips, num_features))) * 10.0 ** rng.uniform(-0.4, 0.4, num_features) + 5
    features[:, 0] = 7
    return features, labels * 3, [clip // 3 for clip in range(num_clips)]


@settings(max_examples=5)
@given(num_classes=st.integers(2, 4), num_clips=st.integers(12, 30), num_features=st.integers(2, 60), seed=st.integers(0, 99))
def test_a_probe_answers_as_scikit_learn_does_on_standardised_features(num_classes, num_clips, num_features, seed):
    features, labels, sources = clusters(num_classes, num_clips, num_features, seed)
    probe, choice = fit_probe(features, labels, sources, 12)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=choice.strength, tol=1e-10, max_iter=10_000)).fit(features, labels)
    ours = torch.from_numpy(probe(features)[:, ::3][:, :num_classes]).softmax(1).numpy()
    assert np.abs(ours - theirs.predict_proba(features)).max() < 2e-3


@given(seed=st.integers(0, 99), scale=st.floats(0.01, 1000), num_classes=st.integers(1, 4))
@settings(max_examples=5)
def test_a_class_without_training_clips_is_never_answered_whatever_is_seen(seed, scale, num_classes):
    features, labels, sources = clusters(num_classes, 12, 20, seed)
    probe, _ = fit_probe(features, labels, sources, 40)
    anything = scale * np.random.default_rng(seed).normal(size=(100, 20))
    logits = probe(anything)
    assert set(logits.argmax(1)) <= set(labels)
    unseen = np.delete(logits, np.unique(labels), axis=1)
    assert (logits.max(1) - unseen.max(1) >= UNSEEN_MARGIN - 1e-6 * np.abs(logits).max(1)).all()


def test_crossed_probabilities_come_from_other_source_videos_alone(monkeypatch):
    features, labels, _ = clusters(3, 30, 20, seed=0)
    labels, sources = labels // 3, np.arange(30) % 5
    labels[4] = 3
    probabilities = cross_fitted(features, labels, sources)
    assert np.isnan(probabilities[4, 3]), "no other video shows its class"
    assert np.nansum(probabilities, axis=1) == pytest.approx(1)
    assert np.delete(np.nanargmax(probabilities, axis=1) == labels, 4).mean() > 0.8
    assert np.isnan(cross_fitted(features, labels, [0] * 30)).all()
    # A constant C, which all clips would have a say in.
    monkeypatch.setattr("tasks.learn.training.linear_probe.CHOSEN_UP_TO", 0)
    before = cross_fitted(features, labels, sources)
    after = cross_fitted(features, np.where(sources == 0, (labels + 1) % 3, labels), sources)
    assert np.array_equal(before[sources == 0], after[sources == 0])
    assert not np.allclose(before[sources == 1], after[sources == 1])
    with pytest.raises(BadConfiguration, match="no finite numbers"):
        cross_fitted(np.where(features > 9, np.inf, features), labels, sources)


def test_a_feature_that_hardly_varies_in_train_does_not_rule_elsewhere():
    features, labels, sources = clusters(2, 12, 20, seed=0)
    features[:, 1] = 1e-5 * labels
    probe, _ = fit_probe(features, labels, sources, 4)
    shown = features.copy()
    shown[:, 1] = 1
    assert np.abs(probe(shown) - probe(features)).max() < np.abs(probe(features)).max()


def test_strong_regularisation_is_chosen_where_features_say_nothing_and_weak_where_they_say_all():
    rng = np.random.default_rng(0)
    labels, sources = np.arange(40) % 2, [clip // 4 for clip in range(40)]
    noise, signal = rng.normal(size=(40, 10)), labels[:, None] * 10.0 + rng.normal(size=(40, 10))
    _, of_noise = fit_probe(noise, labels, sources, 2)
    _, of_signal = fit_probe(signal, labels, sources, 2)
    assert of_noise.strength < 1e-2 <= of_signal.strength
    assert set(of_noise.losses) == set(STRENGTHS)
    assert "at C 0.01" in str(of_signal)


def test_what_a_source_video_shows_of_itself_does_not_count():
    """Each video has a feature of its own, which tells its clips' class within the video and nowhere else."""
    sources = np.repeat(np.arange(12), 5)
    labels = (sources % 2).astype(int)
    features = np.eye(12)[sources] + 0.01 * np.random.default_rng(0).normal(size=(60, 12))
    _, choice = fit_probe(features, labels, list(sources), 2)
    assert choice.strength == min(STRENGTHS)
    _, mixed = fit_probe(features, labels, list(range(60)), 2)
    assert mixed.strength > min(STRENGTHS)


@pytest.mark.parametrize("sources", [[0] * 8, [0, 0, 0, 0, 1, 1, 1, 1]], ids=["one video", "a class has one video"])
def test_where_no_clip_can_be_left_out_a_strength_is_given(sources):
    features = np.random.default_rng(0).normal(size=(8, 5))
    probe, choice = fit_probe(features, np.repeat([0, 1], 4), sources, 2)
    assert choice.losses == {}
    assert "no class has clips of two source videos" in str(choice)
    assert np.isfinite(probe(features)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused_with_the_remedy(value):
    features, labels, sources = clusters(2, 12, 5, seed=0)
    features[3, 1] = value
    with pytest.raises(BadConfiguration, match=r"features of 1 clip of 12 are no finite numbers.*choose precision 32-true"):
        fit_probe(features, labels, sources, 4)


def kept(folder: Path, clips, **choice) -> TrainJob:
    return kept_job(folder, clips, head="probe", **choice)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder whose trainings share their features."""
    return tmp_path_factory.mktemp("probes")


@pytest.fixture(scope="module")
def fitted(clips, folder) -> TrainOutcome:
    return fit(kept(folder / "fitted", clips))


def test_a_probe_has_one_epoch_and_is_the_same_each_time_after_a_resume_and_in_a_search(clips, folder, fitted):
    (record,) = fitted.history
    assert record.learning_rate == 0
    assert record.val.loss == fitted.best_val_loss
    assert not fitted.stopped_early
    for _ in range(2):  # the second time it has finished, but for the best checkpoint
        again = fit(kept(folder / "again", clips))
        assert scores(again) == scores(fitted)
        assert_same_files(folder / "again", folder / "fitted")
        again.best.unlink()
    planned = TrialJob(kept(folder / "trial", clips), num_crops=1)
    trial = run_trial(planned)
    assert scores(trial) == scores(fitted)
    assert not trial.stopped_early


def test_the_fitted_heads_are_those_of_the_clips_mean_features(clips, folder, fitted):
    planned = kept(folder / "planned", clips)
    cache, views = training_features(folder / "features", planned.network, "32-true"), views_of(planned)
    rows = np.stack(
        [
            np.mean([cache.read(view.name).double().mean(0).numpy() for view in views if view.frames == clip.frames], axis=0)
            for clip in clips[:4]
        ]
    )
    probe, _ = fit_probe(rows, np.array([clip.verb for clip in clips[:4]]), [clip.frames.stem for clip in clips[:4]], 5)
    head = load(fitted.best).network.head
    np.testing.assert_allclose(head.fc_verb.weight.detach(), probe.weight, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(head.fc_verb.bias.detach(), probe.bias, rtol=1e-3, atol=1e-3)
    assert head.fc_verb.bias[3:].max() < head.fc_verb.bias[:3].mean() - 9


def test_options_of_an_epoch_change_nothing(clips, folder, fitted):
    other = fit(kept(folder / "other", clips, epochs=9, learning_rate=0.3, dropout=0.5, patience=2))
    assert fitted.best.read_bytes() == other.best.read_bytes()


def test_a_probe_without_cached_features_is_refused(clips, tmp_path):
    with pytest.raises(BadConfiguration, match="fitted on cached features"):
        fit(job(tmp_path, clips, **HEADS, head="probe"))
