"""Which intervals label which clips, and which clips of fully labelled videos show nothing."""

import csv
import io
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.data.labels.csv_rows import AnnotationFile, IntervalLine, IntervalRow, LabelLine
from tasks.data.labels.exported import CurrentIntervals, exported_labels
from tasks.data.labels.intervals import Around, drawn_by, not_replaced, uncovered, winners, without
from tasks.data.labels.reading import ReadFile, read_annotations
from tasks.data.labels.vocabulary import Lexicon
from tasks.data.split.manifest import dataset_digest
from tasks.options import LabelOptions
from tasks.store.records.dataset import NOTHING, Manifest
from tasks.store.records.video import Interval
from tests.data.conftest import NO_VIDEOS, _clip
from tests.data.labels.test_statements import VIDEO, Span
from tests.pipeline.shelf import manifest_of


def cells(start: str, stop: str, noun: str = "meat") -> dict[str, str]:
    return {"video": "a.mp4", "start_seconds": start, "stop_seconds": stop, "verb": "put", "noun": noun}


def row(start: float, stop: float, noun: str = "meat", line: int = 2) -> IntervalRow:
    (made,) = read(cells(str(start), str(stop), noun)).rows
    assert isinstance(made, IntervalRow)
    return made._replace(line=line)


def read(*lines: dict[str, str]) -> ReadFile:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return read_annotations(AnnotationFile("a.csv", text.getvalue().encode()), NO_VIDEOS)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("7.25", 7.25), ("7,5", 7.5), ("1:05", 65), ("01:02:03.5", 3723.5), ("0:00:00", 0)]
)
def test_spellings_of_a_time(text, seconds):
    assert read(cells(text, "9:00:00")).rows[0].start_seconds == seconds


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e3", "1:60", "1:75:00", "::", "", "=1+1", "\u0663", "9" * 400, "9999999"])
def test_texts_that_are_no_time(text):
    ((_, reason),) = read(cells(text, "9:00:00")).refused
    assert "start_seconds" in reason


odd_cells = st.fixed_dictionaries(
    {
        "video": st.sampled_from(["a.mp4", "b.mp4", "", "a" * 1024, "a" * 1025]),
        "start_seconds": st.sampled_from(["0", "1", "0:02", "-1", "", "x", "900000"]),
        "stop_seconds": st.sampled_from(["1", "2.5", "0:03", "864000", "864001", ""]),
        "verb": st.sampled_from(["put", "PUT ", "take", "", "-", "a" * 65]),
        "noun": st.sampled_from(["meat", "bag", "", "=1"]),
        "action": st.sampled_from(["", "put meat", "take-bag"]),
        "verb_class": st.sampled_from(["", "1", "01", "x", "-1"]),
        "mine": st.sampled_from(["", "1"]),
    }
)


@given(st.lists(odd_cells, min_size=1, max_size=8))
def test_lines_that_share_a_label_are_read_as_each_alone_is(lines):
    good, refused = [], []
    for line, texts in enumerate(lines, start=2):
        try:
            whole = IntervalLine.model_validate({name: text.strip() for name, text in texts.items()} | {"line": line})
            good.append((line, whole.video, whole.start_seconds, whole.stop_seconds, whole.verb, whole.noun, whole.verb_class))
        except ValidationError:
            refused.append(line)
    result = read(*lines)
    assert [
        (r.line, r.video, r.start_seconds, r.stop_seconds, r.verb, r.noun, r.label.verb_class)
        for r in result.rows
        if isinstance(r, IntervalRow)
    ] == good
    assert [line for line, _ in result.refused] == refused


def test_of_equal_labels_that_of_the_longer_interval_wins_and_else_the_earlier(make):
    for parts_of_bag, noun in (([(0, 2), (2.5, 4.5)], "meat"), ([(0, 4)], "bag")):
        ((_, won),) = winners([make.clip("a")], [*(row(*part, "bag") for part in parts_of_bag), row(4, 8, "meat")], 0.5)
        assert won.row.noun == noun


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from(["meat", "bag", "pot"])), max_size=12)


@given(spans, st.sampled_from([0, 0.25, 0.5, 1]))
@example([(0, 2, "meat"), (2, 3, "bag"), (5, 2, "meat")], 0.5)
def test_winner_against_the_definition(make, drawn, min_overlap):
    rows = [row(start, start + length, noun, line) for line, (start, length, noun) in enumerate(drawn)]
    clips = [make.clip("a", index) for index in range(9)]
    won_by_clip = dict(winners(clips, rows, min_overlap))
    for clip in clips:
        seconds = range(int(clip.start_seconds), int(clip.stop_seconds))
        covers = {
            noun: sum(any(r.start_seconds <= second < r.stop_seconds for r in rows if r.noun == noun) for second in seconds)
            for noun in ("meat", "bag", "pot")
        }
        first, second, _ = sorted(covers.values(), reverse=True)
        won = won_by_clip.get(clip)
        if first == 0 or first < min_overlap * 8:
            assert won is None
        else:
            assert covers[won.row.noun] == first
            assert (won.second is not None) == (second > 0 and second >= min_overlap * 8)
            assert won.second is None or covers[won.second.noun] == second
            overlaps = [
                (
                    min(r.stop_seconds, clip.stop_seconds) - max(r.start_seconds, clip.start_seconds),
                    -r.start_seconds,
                    r.stop_seconds,
                    -r.line,
                )
                for r in rows
                if r.noun == won.row.noun
            ]
            assert won.row.line == -max(overlaps)[-1]


arounds = st.none() | st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda span: Around(span[0], sum(span)))


@given(spans, st.lists(st.tuples(st.integers(0, 60), arounds), max_size=8))
def test_clips_that_overlap_are_labelled_as_each_alone_is(drawn, cut):
    rows = [row(start, start + length, noun, line) for line, (start, length, noun) in enumerate(drawn)]
    clips = [Span(VIDEO, start, start + 8, around) for start, around in sorted(cut, key=lambda span: span[0])]
    assert list(winners(clips, rows, 0.5)) == [won for clip in clips for won in winners([clip], rows, 0.5)]


def test_very_many_intervals_in_overlapping_clips_take_no_time_for_each_pair():
    labels = [LabelLine.model_construct(line=line, verb="put", noun=f"n{line}") for line in range(10_000)]
    rows = [IntervalRow(label.line, label, "a", 8 + label.line / 10_000, 9) for label in labels]
    clips = [Span(VIDEO, 4, 12, Around(row.start_seconds, 9)) for row in rows[::50]]
    began = time.process_time()
    assert [won.row for _, won in winners(clips, rows, 0.5)] == rows[::50]
    assert time.process_time() - began < 5


def exported(rows, answers, make):
    """What is exported of the intervals of a video, beside the answers about its clips."""
    clips = [make.labelled("a", f"put {noun}", index) for index, noun in answers.items()]
    current = CurrentIntervals({clips[0].clip.video: rows} if clips else {}, Lexicon("verb", {}), Lexicon("noun", {}))
    labels = exported_labels(current, clips, (), 0.25)
    return [(span.start_seconds, span.stop_seconds, span.noun) for spans in labels.values() for span in spans if not span.origin]


@given(spans, st.dictionaries(st.integers(0, 9), st.sampled_from(["meat", "bag", "pot"]), min_size=1))
@example([(0, 80, "meat"), (1, 79, "meat"), (2, 60, "meat")], {1: "bag", 3: "bag", 5: "bag"})
def test_answers_about_clips_are_cut_out_of_intervals_as_by_the_second(make, drawn, answers):
    rows = [row(start, start + length, noun, line) for line, (start, length, noun) in enumerate(drawn)]
    clips = {index: make.clip("a", index) for index in sorted(answers)}
    by_interval = {clip.index: won.row.noun for clip, won in winners(list(clips.values()), rows, 0.25)}
    unsaid = {index: noun for index, noun in answers.items() if by_interval.get(index) != noun}
    pieces = []
    for span in rows:
        own = {second for r in rows if r.noun == span.noun for second in range(int(r.start_seconds), int(r.stop_seconds))}
        of_others = [set(range(8 * index, 8 * index + 8)) for index, noun in unsaid.items() if noun != span.noun]
        gaps = set().union(*(part for part in of_others if part <= own))
        left = [second for second in range(int(span.start_seconds), int(span.stop_seconds)) if second not in gaps]
        starts, stops = [n for n in left if n - 1 not in left], [n + 1 for n in left if n + 1 not in left]
        pieces += [(start, stop, span.noun) for start, stop in zip(starts, stops, strict=True)]
    assert exported(rows, answers, make) == list(dict.fromkeys(pieces))


def test_long_intervals_over_many_answers_are_exported_in_pieces_that_come_once(make):
    answers = {2 * index + 1: "bag" for index in range(1000)}
    rows = [row(start, 16_001, "meat", start) for start in range(1500)]
    assert len(exported(rows, answers, make)) < 3_000


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)).map(lambda span: Around(span[0], span[0] + span[1])), max_size=8)


@given(SPANS, SPANS)
def test_an_interval_is_replaced_where_later_ones_cover_half_of_it(earlier, later):
    def covered(span):
        return sum(any(a <= second and second + 1 <= b for a, b in later) for second in range(span.start_seconds, span.stop_seconds))

    assert not_replaced(earlier, later) == [span for span in earlier if 2 * covered(span) < span.stop_seconds - span.start_seconds]


@given(SPANS, SPANS)
def test_cutting_spans_out_leaves_the_seconds_that_none_of_them_covers(spans, others):
    def seconds(parts):
        return [second for part in parts for second in range(int(part.start_seconds), int(part.stop_seconds))]

    assert sorted(seconds(without(spans, others))) == sorted(second for second in seconds(spans) if second not in seconds(others))
    assert without(spans, ()) == [Interval(start_seconds=start, stop_seconds=stop) for start, stop in spans]


INTERVALS = "video,start_seconds,stop_seconds,verb,noun\na.mp4,2,9,put,meat\na.mp4,39.5,41,take,bag\nb.mp4,0,8,put,meat\n"
MARKS = "video,fully_labelled\na.mp4,yes\nb.mp4,no\n"


def verbs(result):
    return [clip.verb for clip in result.clips]


def test_only_clips_of_marked_videos_that_no_label_touches_become_nothing(label):
    files = {"intervals.csv": INTERVALS, "done.csv": MARKS}
    result = label({"a.mp4": 7, "b.mp4": 3}, files, nothing_share=1)
    # The clip of 8 to 16 s is touched for a second, those of 32 to 40 s and 40 to 48 s by the second interval.
    assert verbs(result) == ["put", None, NOTHING, NOTHING, None, None, NOTHING, "put", None, None]
    assert {clip.origin for clip in result.clips if clip.verb == NOTHING} == {"done.csv:2"}
    assert result.problems == ()
    assert verbs(label({"a.mp4": 7, "b.mp4": 3}, files)) == ["put", *[None] * 6, "put", None, None]


def test_clips_that_people_touched_on_the_page_without_a_label_are_left_alone(label, make):
    unsure = make.clip("a.mp4", 2).uid
    result = label(
        {"a.mp4": 4}, {"intervals.csv": INTERVALS, "done.csv": MARKS.replace("b.mp4,no\n", "")}, nothing_share=1, touched={unsure}
    )
    assert verbs(result) == ["put", None, None, NOTHING]


def test_a_later_line_overrides_and_an_unknown_video_is_named(label):
    files = {"done.csv": MARKS, "later.csv": "fully_labelled,video\nNo,a\nTRUE,b.mp4\nyes,c.mp4\nmaybe,a.mp4\n"}
    result = label({"a.mp4": 1, "b.mp4": 1}, files, nothing_share=1)
    assert verbs(result) == [None, NOTHING]
    said = {problem.line: problem.reason for problem in result.problems}
    assert said.keys() == {4, 5}
    assert "matches no ingested video" in said[4]
    assert "write yes or no" in said[5]


@settings(max_examples=60)
@given(
    spans=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=8),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_a_larger_share_adds_clips_and_none_overlaps_an_interval(spans, shares):
    clips = [_clip("a.mp4", index) for index in range(14)]
    rows = [Interval(start_seconds=start, stop_seconds=start + length) for start, length in spans]
    fewer, more = (uncovered(clips, rows, set(), share) for share in shares)
    assert {clip.uid for clip in fewer} <= {clip.uid for clip in more}
    free = [clip for clip in clips if all(row.stop_seconds <= clip.start_seconds or row.start_seconds >= clip.stop_seconds for row in rows)]
    assert uncovered(clips, rows, set(), 1) == free


def test_the_share_is_met_on_many_clips():
    chosen = [drawn_by(f"{number:012x}_000000000-000008000") < 0.3 for number in range(5000)]
    assert sum(chosen) / 5000 == pytest.approx(0.3, abs=0.02)


def test_the_default_leaves_the_digest_of_a_dataset_as_it_was():
    manifest = manifest_of(())
    assert manifest.model_dump(mode="json")["label"] == {"min_overlap": 0.25}
    chosen = manifest.model_copy(update={"label": LabelOptions(nothing_share=0.5)})
    assert Manifest.model_validate_json(chosen.model_dump_json()) == chosen
    assert dataset_digest(chosen) != dataset_digest(manifest)
