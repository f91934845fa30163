import io
import itertools

import imagehash
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

from tasks.data.video.frames import read_frames
from tasks.errors import BadInput
from tasks.judge.statistics.checks import MAX_DUPLICATE_BITS
from tasks.judge.statistics.fingerprints import NO_TEXTURE, distances, fingerprint, from_parquet, to_parquet


@pytest.fixture(scope="module")
def kitchen(shared):
    """Eight frames of each of eleven films of one kitchen counter."""
    return {path.stem: read_frames(path, range(8, 144, 18), short_side=180) for path in sorted((shared / "videos/kitchen").glob("*.mp4"))}


def between(ours, theirs):
    return distances(fingerprint(ours)[None], fingerprint(theirs)[None])[0, 0]


def reencoded(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).resize((213, 120)).save(buffer, "JPEG", quality=30)
    return np.asarray(Image.open(buffer))


def brightened(frame):
    return np.asarray(ImageEnhance.Contrast(ImageEnhance.Brightness(Image.fromarray(frame)).enhance(1.25)).enhance(1.2))


def cropped(frame):
    height, width, _ = frame.shape
    return frame[height // 40 : height - height // 40, width // 40 : width - width // 40]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [reencoded, brightened, cropped])
def test_a_changed_copy_stays_near(kitchen, changed):
    for name, frames in kitchen.items():
        assert between(frames, np.stack([changed(frame) for frame in frames])) <= MAX_DUPLICATE_BITS, name


def test_films_of_one_kitchen_are_no_duplicates(kitchen):
    for ours, theirs in itertools.combinations(kitchen.values(), 2):
        assert between(ours, theirs) > 1.4 * MAX_DUPLICATE_BITS


def test_a_fingerprint_is_imagehashs(kitchen):
    frames = kitchen["put_pan1"]
    assert [f"{h:016x}" for h in fingerprint(frames).tolist()] == [str(imagehash.phash(Image.fromarray(frame))) for frame in frames]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_wall_has_no_fingerprint_whatever_its_noise(level):
    noise = np.random.default_rng(0).integers(-6, 7, size=(4, 180, 320, 3))
    frames = np.clip(level + noise, 0, 255).astype(np.uint8)
    assert fingerprint(frames).tolist() == [NO_TEXTURE] * 4


def test_distances_by_hand():
    ours = np.array([[0b1111, 0b1, 0]], np.uint64)
    theirs = np.array([[0b1111, 0b10, 0b1], [0, 0, 0b1], [0b1, 0b1, 0b1]], np.uint64)
    np.testing.assert_allclose(distances(ours, theirs), [[1.0, np.inf, 1.5]])


@pytest.mark.parametrize("fingerprints", [{}, {"b": [2**64 - 1, NO_TEXTURE], "a": [1, 2]}, {"a": [1], "b": [1, 2, 3]}])
def test_a_file_gives_back_every_bit_in_the_order_it_was_given(fingerprints):
    found = from_parquet(to_parquet({uid: np.array(hashes, np.uint64) for uid, hashes in fingerprints.items()}), "s3://retake/f.parquet")
    assert [(uid, hashes.tolist()) for uid, hashes in found.items()] == list(fingerprints.items())
    assert {hashes.dtype for hashes in found.values()} <= {np.dtype(np.uint64)}


def test_what_is_no_file_of_fingerprints_is_refused_with_its_address():
    other = io.BytesIO()
    pq.write_table(pa.table({"uid": ["a"], "hashes": ["b"]}), other)
    whole = to_parquet({"a": np.array([1, 2], np.uint64)})
    cases = (other.getvalue(), "other columns"), (b"", "not a Parquet"), (b"PAR1", "not a Parquet"), (whole[:-9], "not a Parquet")
    for data, reason in cases:
        with pytest.raises(BadInput, match=rf"^s3://retake/f\.parquet .*{reason}"):
            from_parquet(data, "s3://retake/f.parquet")
