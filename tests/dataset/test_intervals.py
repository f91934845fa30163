from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.intervals import overlap_seconds, winning_row, without_overlaps
from tasks.dataset.rows import IntervalRow


def row(start: float, stop: float, noun: str = "meat", line: int = 2) -> IntervalRow:
    return IntervalRow.model_validate(
        {"line": line, "video": "a.mp4", "start_seconds": str(start), "stop_seconds": str(stop), "verb": "put", "noun": noun}
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("7.25", 7.25), ("7,5", 7.5), ("1:05", 65), ("01:02:03.5", 3723.5), ("0:00:00", 0)]
)
def test_spellings_of_a_time(text, seconds):
    assert (
        IntervalRow.model_validate(row(0, 1).model_dump(mode="json") | {"start_seconds": text, "stop_seconds": "9:00:00"}).start_seconds
        == seconds
    )


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e3", "1:60", "1:75:00", "::", "", "=1+1", "٣", "9" * 400, "9999999"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="start_seconds"):
        IntervalRow.model_validate(row(0, 1).model_dump(mode="json") | {"start_seconds": text, "stop_seconds": "9:00:00"})


def test_the_label_with_most_of_the_clip_wins_by_its_total(make):
    rows = [row(0, 2, "meat", 2), row(2, 5, "bag", 3), row(5, 7, "meat", 4)]
    assert winning_row(make.clip("a"), rows, 0.25).line == 2
    assert winning_row(make.clip("a"), rows, 0.5).noun == "meat"
    assert winning_row(make.clip("a"), rows, 0.51) is None


def test_of_equal_labels_the_earlier_wins(make):
    assert winning_row(make.clip("a"), [row(0, 4, "bag"), row(4, 8, "meat")], 0.5).noun == "bag"


@pytest.mark.parametrize("min_overlap", [0, 0.25])
def test_an_interval_that_only_touches_a_clip_does_not_label_it(make, min_overlap):
    assert winning_row(make.clip("a", 1), [row(0, 8), row(16, 20)], min_overlap) is None


def test_overlapping_intervals_are_refused_by_line_and_touching_ones_kept():
    kept, refused = without_overlaps([row(10, 20, line=2), row(0, 10, line=3), row(5, 12, line=4), row(19, 30, line=5), row(0, 30, line=6)])
    assert [r.line for r in kept] == [3, 2]
    assert [line for line, _ in refused] == [4, 5, 6]
    assert "overlaps line" in refused[0][1]


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from(["meat", "bag", "pot"])), max_size=12)


@given(spans, st.sampled_from([0, 0.25, 0.5, 1]))
def test_winner_against_the_definition(make, drawn, min_overlap):
    rows = [row(start, start + length, noun, line) for line, (start, length, noun) in enumerate(drawn)]
    kept, refused = without_overlaps(rows)
    assert len(kept) + len(refused) == len(rows)
    for first, second in pairwise(kept):
        assert first.stop_seconds <= second.start_seconds
    for index in range(9):
        clip = make.clip("a", index)
        total = {noun: sum(overlap_seconds(clip, r) for r in kept if r.noun == noun) for noun in ("meat", "bag", "pot")}
        most = max(total.values())
        winner = winning_row(clip, kept, min_overlap)
        if most == 0 or most < min_overlap * 8:
            assert winner is None
        else:
            assert total[winner.noun] == most
            assert overlap_seconds(clip, winner) > 0
