"""Which labels are altered: a share that follows from the seed alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadDataset
from tasks.learn.data import CachedClip
from tasks.learn.label_noise import with_label_noise
from tasks.learn.training import fit
from tests.learn.tiny import assert_resumes, kept_job, scores

actions = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60)


def clips_of(pairs):
    return [CachedClip(Path(f"{i}.npy"), verb, noun) for i, (verb, noun) in enumerate(pairs)]


def altered(before, after):
    return [clip.frames for clip, other in zip(before, after, strict=True) if clip != other]


@given(actions.filter(lambda pairs: len(set(pairs)) > 1), st.floats(0, 1), st.integers(0, 2**31 - 1), st.randoms())
def test_the_share_gets_another_action_of_train_in_whatever_order(pairs, share, seed, random):
    clips = clips_of(pairs)
    noisy = with_label_noise(clips, share, seed)
    assert len(altered(clips, noisy)) == round(share * len(clips))
    assert {(clip.verb, clip.noun) for clip in noisy} <= set(pairs)
    assert [clip.frames for clip in noisy] == [clip.frames for clip in clips]
    order = random.sample(range(len(clips)), len(clips))
    assert with_label_noise([clips[i] for i in order], share, seed) == [noisy[i] for i in order]


def test_another_seed_alters_other_clips_and_a_larger_share_more_of_them():
    clips = clips_of([(i % 3, i % 2) for i in range(60)])
    some, others, more = (altered(clips, with_label_noise(clips, *how)) for how in ((0.2, 0), (0.2, 1), (0.5, 0)))
    assert set(some) != set(others)
    assert set(some) < set(more)


def test_one_action_alone_has_no_wrong_label():
    clips = clips_of([(1, 1)] * 5)
    assert with_label_noise(clips, 0, 0) == clips
    with pytest.raises(BadDataset, match="two actions or more"):
        with_label_noise(clips, 0.2, 0)


def test_a_training_sees_the_altered_labels_in_every_epoch_and_after_a_resume_and_val_as_it_is(clips, tmp_path):
    choice = {"label_noise": 0.5, "class_weights": "balanced", "epochs": 3}
    undisturbed = assert_resumes(lambda name: kept_job(tmp_path / name, clips, **choice), 1)
    by_hand = kept_job(tmp_path / "by hand", clips, **choice | {"label_noise": 0})
    altered_by_hand = fit(replace(by_hand, train=with_label_noise(by_hand.train, 0.5, by_hand.options.seed)))
    assert scores(undisturbed) == scores(altered_by_hand)
