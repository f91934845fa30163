import io
import itertools

import imagehash
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tasks.data.video.frames import read_frames
from tasks.errors import BadInput
from tasks.judge.statistics import data_checks
from tasks.judge.statistics.data_checks import (
    CENTRE,
    MAX_DUPLICATE_BITS,
    NO_TEXTURE,
    check_data,
    distances,
    fingerprint,
    from_parquet,
    to_parquet,
)
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.data.labels.records import dataset_clip

NUM_FRAMES = 8
VERBS, NOUNS = {"take": 0, "put": 1}, {"meat": 26, "sauce": 41, NO_OBJECT: 352}

LOOK = np.random.default_rng(0).integers(1, 2**63, size=NUM_FRAMES, dtype=np.uint64)
"""Fingerprints that are like no others."""


def clip(uid, split="train", source=None, action="put meat", sha256=None):
    verb, noun = action.split()
    named = {"verb": verb, "noun": noun, "verb_class": VERBS[verb], "noun_class": NOUNS[noun]}
    return dataset_clip(uid, split, source=source or f"film of {uid}", sha256=sha256 or uid, **named)


def checked(*clips, looks, targets=TARGETS):
    """Check these clips; `looks` gives the fingerprints of some, and the others look like nothing else."""
    rng = np.random.default_rng(1)
    return check_data(clips, {c.uid: looks.get(c.uid, rng.integers(1, 2**63, size=NUM_FRAMES, dtype=np.uint64)) for c in clips}, targets)


def with_flipped(look, num_bits):
    return look ^ np.uint64(2**num_bits - 1)


def test_good_data_is_clean_a_clip_with_two_actions_harms_nothing_and_a_source_in_two_splits_is_named():
    two = clip("b", "val").model_copy(update={"second_action": "take bag"})
    problems = checked(clip("a"), two, clip("c"), clip("d", "test"), looks={})
    assert [(shown.uid, shown.action, shown.second_action) for shown in problems.two_actions] == [("b", "put meat", "take bag")]
    assert problems.is_clean
    problems = checked(clip("a", source="x"), clip("b", "val", source="x"), clip("c", source="y"), clip("d", "test", source="z"), looks={})
    assert (problems.shared_sources, problems.is_clean) == (("x",), False)


def test_a_look_alike_in_another_split_is_found_and_one_in_the_same_split_is_none():
    looks = {"a": LOOK, "b": with_flipped(LOOK, 2), "c": with_flipped(LOOK, 6), "d": with_flipped(LOOK, 9)}
    nearest, farther = checked(clip("a"), clip("b"), clip("c", "val"), clip("d", "test"), looks=looks).near_duplicates
    assert (nearest.uid, nearest.split, nearest.other_uid, nearest.other_split, nearest.distance) == ("d", "test", "c", "val", 3)
    assert (farther.uid, farther.split, farther.other_uid, farther.other_split, farther.distance) == ("c", "val", "b", "train", 4)


@pytest.mark.parametrize(("num_bits", "num_found"), [(int(MAX_DUPLICATE_BITS), 1), (int(MAX_DUPLICATE_BITS) + 1, 0)])
def test_the_limit_itself_is_near(num_bits, num_found):
    checks = checked(clip("a"), clip("b", "val"), looks={"a": LOOK, "b": with_flipped(LOOK, num_bits)})
    assert len(checks.near_duplicates) == num_found


def test_frames_of_one_colour_are_not_compared_but_the_same_content_is_found():
    flat = np.zeros(NUM_FRAMES, np.uint64)
    assert checked(clip("a"), clip("b", "val"), looks={"a": flat, "b": flat}).is_clean
    (pair,) = checked(clip("a"), clip("b", "val"), looks={"a": LOOK, "b": np.where(np.arange(NUM_FRAMES) < 4, LOOK, 0)}).near_duplicates
    assert pair.distance == 0
    problems = checked(clip("a", sha256="x"), clip("b", "val", sha256="x"), looks={"a": flat, "b": flat})
    assert [(d.uid, d.distance) for d in problems.near_duplicates] == [("b", 0)]
    assert not problems.label_conflicts


def test_classes_that_train_lacks_are_named_with_their_splits():
    problems = checked(clip("a"), clip("b", "val", action="put sauce"), clip("c", "test", action="take sauce"), looks={})
    told = ("verb take (test)", "noun sauce (val, test)", "action take sauce (test)", "action put sauce (val)")
    assert problems.missing_from_train == told
    problems = checked(clip("a", action=f"put {NO_OBJECT}"), clip("b", "val", action=f"take {NO_OBJECT}"), looks={}, targets=VERB_ALONE)
    assert problems.missing_from_train == ("verb take (val)",), "without objects verbs alone can be missing"


@pytest.mark.parametrize("split", ["train", "test"])
def test_look_alikes_with_different_labels_contradict_each_other(split):
    clips = clip("a"), clip("b", split, action="take meat"), clip("c", action="take meat")
    (conflict,) = checked(*clips, looks={"a": LOOK, "b": LOOK}).label_conflicts
    assert {(conflict.uid, conflict.action), (conflict.other_uid, conflict.other_action)} == {("a", "put meat"), ("b", "take meat")}


def test_clips_of_one_film_contradict_each_other_by_content_alone():
    first, second = clip("a", source="x"), clip("b", source="x", action="take meat")
    assert checked(first, second, looks={"a": LOOK, "b": LOOK}).is_clean
    same = first.model_copy(update={"sha256": "b"})
    assert len(checked(same, second, looks={}).label_conflicts) == 1


@settings(max_examples=30)
@given(data=st.data())
def test_blocks_and_the_order_of_clips_change_nothing(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    looks = rng.integers(1, 2**63, size=(3, NUM_FRAMES), dtype=np.uint64)
    clips = [
        clip(f"{i:02d}", str(rng.choice(["train", "val", "test"])), f"s{rng.integers(6)}", str(rng.choice(["put meat", "take sauce"])))
        for i in range(data.draw(st.integers(0, 30)))
    ]
    fingerprints = {c.uid: with_flipped(looks[rng.integers(3)], int(rng.integers(12))) for c in clips}
    whole = check_data(clips, fingerprints, TARGETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_checks, "NUM_CLIPS_PER_BLOCK", 4)
        assert check_data(data.draw(st.permutations(clips)), fingerprints, TARGETS) == whole
    assert len(whole.near_duplicates) <= len(clips) >= len(whole.label_conflicts)


def test_a_clip_that_was_not_looked_at_is_refused():
    with pytest.raises(BadInput, match="1 clip has no fingerprint, first b"):
        check_data([clip("a"), clip("b")], {"a": np.ones(8, np.uint64)}, TARGETS)
    of_before = {"a": LOOK, "b": np.concatenate([with_flipped(LOOK, 2), LOOK])}
    assert [pair.distance for pair in check_data([clip("a"), clip("b", "val")], of_before, TARGETS).near_duplicates] == [2]
    with pytest.raises(BadInput, match="number of frames"):
        check_data([clip("a"), clip("b")], {"a": np.ones(8, np.uint64), "b": np.ones(3, np.uint64)}, TARGETS)


@pytest.fixture(scope="module")
def kitchen(shared):
    """Eight frames of each of eleven films of one kitchen counter."""
    return {path.stem: read_frames(path, range(8, 144, 18), short_side=180) for path in sorted((shared / "videos/kitchen").glob("*.mp4"))}


def between(ours, theirs):
    return data_checks._distances_in_centres(fingerprint(ours)[None], fingerprint(theirs)[None])[0, 0]


def reencoded(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).resize((213, 120)).save(buffer, "JPEG", quality=30)
    return np.asarray(Image.open(buffer))


def brightened(frame):
    return np.asarray(ImageEnhance.Contrast(ImageEnhance.Brightness(Image.fromarray(frame)).enhance(1.25)).enhance(1.2))


def cropped(frame):
    height, width, _ = frame.shape
    return frame[height // 40 : height - height // 40, width // 40 : width - width // 40]


def cut_to_its_centre(frame):
    picture = Image.fromarray(frame)
    left, top = (round(size * (1 - CENTRE) / 2) for size in picture.size)
    return np.asarray(ImageEnhance.Brightness(picture.crop((left, top, picture.width - left, picture.height - top))).enhance(0.8))


@pytest.mark.slow
@pytest.mark.parametrize("changed", [reencoded, brightened, cropped, cut_to_its_centre])
def test_a_changed_copy_stays_near(kitchen, changed):
    for name, frames in kitchen.items():
        assert between(frames, np.stack([changed(frame) for frame in frames])) <= MAX_DUPLICATE_BITS, name


@pytest.mark.slow
def test_films_of_one_kitchen_are_no_duplicates(kitchen):
    for ours, theirs in itertools.combinations(kitchen.values(), 2):
        assert between(ours, theirs) > 1.4 * MAX_DUPLICATE_BITS


def test_a_fingerprint_is_imagehashs():
    frames = np.random.default_rng(0).integers(256, size=(8, 180, 320, 3), dtype=np.uint8)
    assert [f"{h:016x}" for h in fingerprint(frames)[:8].tolist()] == [str(imagehash.phash(Image.fromarray(frame))) for frame in frames]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_wall_has_no_fingerprint_whatever_its_noise(level):
    noise = np.random.default_rng(0).integers(-6, 7, size=(4, 180, 320, 3))
    frames = np.clip(level + noise, 0, 255).astype(np.uint8)
    assert fingerprint(frames).tolist() == [NO_TEXTURE] * 8


def test_distances_by_hand():
    ours = np.array([[0b1111, 0b1, 0]], np.uint64)
    theirs = np.array([[0b1111, 0b10, 0b1], [0, 0, 0b1], [0b1, 0b1, 0b1]], np.uint64)
    np.testing.assert_allclose(distances(ours, theirs), [[1.0, np.inf, 1.5]])


@pytest.mark.parametrize("fingerprints", [{}, {"b": [2**64 - 1, NO_TEXTURE], "a": [1, 2]}, {"a": [1], "b": [1, 2, 3]}])
def test_a_file_gives_back_every_bit_in_the_order_it_was_given(fingerprints):
    read = from_parquet(to_parquet({uid: np.array(hashes, np.uint64) for uid, hashes in fingerprints.items()}), "s3://retake/f.parquet")
    assert [(uid, hashes.tolist()) for uid, hashes in read.items()] == list(fingerprints.items())
    assert {hashes.dtype for hashes in read.values()} <= {np.dtype(np.uint64)}


def test_what_is_no_file_of_fingerprints_is_refused_with_its_address():
    other = io.BytesIO()
    pq.write_table(pa.table({"uid": ["a"], "hashes": ["b"]}), other)
    whole = to_parquet({"a": np.array([1, 2], np.uint64)})
    cases = (other.getvalue(), "other columns"), (b"", "not a Parquet"), (b"PAR1", "not a Parquet"), (whole[:-9], "not a Parquet")
    for data, reason in cases:
        with pytest.raises(BadInput, match=rf"^s3://retake/f\.parquet .*{reason}"):
            from_parquet(data, "s3://retake/f.parquet")
