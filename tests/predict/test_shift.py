import tracemalloc

import numpy as np
import pytest

from tasks.predict.shift import NewSource, distances_between_sources, reference_sources, shift_in_words, shift_of, table
from tasks.store.records.prediction import ReferenceSource
from tests.judge.report.tree import csv_rows


def sources(distances):
    return [ReferenceSource(source=str(n), split="test", distances=tuple(own)) for n, own in enumerate(distances)]


def dataset(num_known):
    """Source videos of four clips whose distances vary a little."""
    return sources(0.2 * np.exp(0.1 * np.random.default_rng(0).standard_normal((num_known, 4))))


def new(distance, num_new=1):
    return [NewSource(f"new {n}", f"{n}.mp4", (distance, 1.1 * distance)) for n in range(num_new)]


@pytest.mark.parametrize(("num_known", "num_new"), [(8, 1), (20, 1), (8, 3)])
def test_source_videos_far_from_the_training_clips_are_unlike_and_others_are_not(num_known, num_new):
    reference = dataset(num_known)
    far, near = (shift_of(new(distance, num_new), reference) for distance in (0.8, 0.18))
    assert (far.verdict, near.verdict) == ("unlike", "like")
    assert (far.num_far, near.num_far) == (2 * num_new, 0)
    assert [own.num_nearer for own in far.sources] == [num_known] * num_new
    assert "Do not trust the names" in shift_in_words(far)
    assert "Do not trust" not in shift_in_words(near)


def test_the_p_value_is_the_rank_among_the_source_videos_where_there_are_enough():
    reference = dataset(19)
    assert shift_of(new(0.8), reference).p_value == pytest.approx(1 / 20)
    assert shift_of(new(0.01), reference).p_value == 1


@pytest.mark.parametrize("num_clips", [1, 60])
def test_ordinary_videos_of_another_length_are_rarely_unlike(num_clips):
    rng, unlike = np.random.default_rng(0), 0
    for _ in range(200):
        reference = sources(rng.lognormal(size=(40, 6 if num_clips == 1 else 1)))
        unlike += shift_of([NewSource("new", "", rng.lognormal(size=num_clips).tolist())], reference).verdict == "unlike"
    assert 1 <= unlike <= 20


def test_many_new_videos_take_little_memory():
    reference, many = dataset(60), new(0.2, 1500)
    tracemalloc.start()
    shift_of(many, reference)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100 << 20


def test_of_three_source_videos_only_very_distant_ones_are_told():
    assert [shift_of(new(distance, 2), dataset(3)).verdict for distance in (0.8, 0.18)] == ["unlike", "unknown"]


@pytest.mark.parametrize("distances", [[[0.1], [0.2], [0.9]], []])
def test_with_few_source_videos_or_very_different_ones_it_cannot_tell(distances):
    shift = shift_of(new(0.9), sources(distances))
    assert (shift.verdict, shift.p_value) == ("unknown", None)
    assert shift_in_words(shift).startswith("cannot tell")


def test_a_clip_is_compared_with_training_clips_of_other_source_videos():
    known = np.array([[1, 0], [0, 1]], np.float32)
    own = np.array([[1, 0], [1, 0], [1, 1]], np.float32)
    distances = distances_between_sources(own, ["a", "b", "a"], known, ["a", "b"])
    assert distances.tolist() == pytest.approx([1, 0, 1 - 0.5**0.5])
    alone = distances_between_sources(own[:1], ["a"], known[:1], ["a"])
    assert reference_sources(alone, ["a"], {"a": "train"}) == ()


def test_the_table_has_a_row_for_each_source_video():
    shift = shift_of(new(0.8, 2), dataset(8))
    columns = ("videos", "num_clips", "num_far", "num_nearer_films", "num_films")
    assert [[row[name] for name in columns] for row in csv_rows(table(shift))] == [[f"{n}.mp4", "2", "2", "8", "8"] for n in (0, 1)]


def test_a_source_video_of_an_earlier_version_is_read_without_its_predicted_actions():
    (source,) = dataset(1)
    assert ReferenceSource.model_validate(source.model_dump() | {"actions": (0, 1)}) == source
