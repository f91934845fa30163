import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.labels.csv_rows import AnnotationFile, ClipRow
from tasks.data.labels.reading import read_annotations
from tasks.data.labels.video_names import KnownVideos, VideoIndex
from tasks.errors import BadInput
from tasks.predict.to_label import (
    Candidate,
    chosen,
    directions,
    distances_to_nearest,
    from_bytes,
    in_order,
    percentiles,
    pool,
    scores,
    table,
    to_bytes,
)


def candidate(uid, file="a.mp4"):
    return Candidate(uid, file, 0, 8, "put", "meat", "put meat", 0.4, "take meat", 0.3, entropy=0.5, novelty=0.1)


def test_the_unsure_and_the_unlike_come_first():
    values = scores(np.array([0.9, 0.1, 0.1, 0.9]), np.array([0.9, 0.9, 0.1, 0.1]))
    assert values[0] > values[1] == values[3] > values[2]
    assert scores(np.array([0.1, 0.9]), np.array([np.nan, 0.2])).tolist() == [0.25, 0.75]


def test_near_copies_do_not_fill_the_top():
    rng = np.random.default_rng(0)
    moment, others = rng.normal(size=(1, 64)), rng.normal(size=(8, 64))
    features = np.concatenate([moment + 0.001 * rng.normal(size=(8, 64)), others]).astype(np.float32)
    values = np.array([0.9] * 8 + [0.4] * 8)
    order = [i for i, _ in in_order(values, features, 16)]
    assert order[0] == 0
    assert set(order[1:9]) == set(range(8, 16))
    spread = dict(in_order(values, features, 16))
    assert spread[8] > 0.5 > spread[1]


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(0, 15))
def test_every_clip_comes_once_and_the_best_first(seed, num_clips, wanted):
    rng = np.random.default_rng(seed)
    values = rng.random(num_clips)
    listed = [i for i, _ in in_order(values, rng.normal(size=(num_clips, 5)).astype(np.float32), wanted)]
    assert len(listed) == len(set(listed)) == min(wanted, num_clips)
    assert not listed or listed[0] == int(values.argmax())


def test_of_clips_that_all_look_alike_the_score_alone_decides():
    features = np.ones((3, 4), np.float32)
    assert [i for i, _ in in_order(np.array([0.1, 0.9, 0.5]), features, 3)] == [1, 2, 0]
    assert in_order(np.array([]), np.empty((0, 4), np.float32), 3) == []


def test_the_pool_is_bounded_and_takes_the_best():
    best = pool(np.linspace(0, 1, 5000))
    assert (len(best), best[:2]) == (1000, [4999, 4998])


def test_distance_is_of_the_direction_to_the_nearest():
    known = np.array([[1, 0], [0, 2]], np.float32)
    nearest = distances_to_nearest(np.array([[5, 0], [1, 1], [-1, -1]], np.float32), known)
    assert nearest == pytest.approx([0, 1 - 0.5**0.5, 1 + 0.5**0.5])
    assert directions(np.zeros((1, 2), np.float32)).tolist() == [[0, 0]]
    assert from_bytes(to_bytes(known), "s3://x").tolist() == known.tolist()
    with pytest.raises(BadInput, match=r"s3://x .*delete it"):
        from_bytes(b"no", "s3://x")


def test_the_list_is_an_annotation_file_once_it_is_filled_in():
    hostile = '=cmd|" /C calc"!A0,\n"b".mp4'
    clips = [candidate("0123456789ab_000000000-000008000", hostile), candidate("0123456789ab_000008000-000016000")]
    listed = chosen(clips, np.eye(2, dtype=np.float32), np.array([0.9, 0.2]), percentiles(np.array([0.3, 0.1])), 5)
    lines = table(listed).decode().splitlines()
    assert lines[0].startswith("uid,verb,noun,action,verb_class,noun_class,suggested_verb")
    assert len(lines) == 3
    assert "'=cmd" in lines[1]
    filled = [line.replace("-000008000,,,", "-000008000,put,meat,") for line in lines]
    read = read_annotations(AnnotationFile("to_label.csv", "\n".join(filled).encode()), KnownVideos(VideoIndex([], {}), {}))
    (row,) = read.rows
    assert isinstance(row, ClipRow)
    assert (row.uid, row.verb, row.noun) == ("0123456789ab_000000000-000008000", "put", "meat")
    assert row.groups == (), "its other columns are no groups of clips"
    assert list(read.refused) == []  # the other line waits for a label


def test_a_reason_tells_unsure_unlike_and_near_clips():
    clips = [candidate("a"), candidate("b")]
    features = np.array([[1, 0], [1, 0.0001]], np.float32)
    first, second = chosen(clips, features, np.array([0.9, 0.2]), np.array([0.5, 0.0]), 2)
    assert first.reason == "put meat (40.0 %) or take meat (30.0 %); less similar to the training clips than 50.0 % of the clips here"
    (unknown, _) = chosen(clips, np.eye(2, dtype=np.float32), np.array([0.9, 0.2]), None, 2)
    assert "training" not in unknown.reason
    assert second.score == 0.2
    assert second.reason == "put meat (40.0 %) or take meat (30.0 %); similar to a clip above", "it is like the training clips"
