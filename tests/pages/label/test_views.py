"""The labels, intervals and numbers that a person sees."""

import time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.data.labels.ledger import Ledger
from tasks.options import SegmentOptions
from tasks.pages.label.clips import Cut
from tasks.pages.label.labels import MIN_OVERLAP, Coverings, covered
from tasks.pages.label.queue import Reader, Wanted, filtered, first_readings
from tasks.pages.label.views import ReviewQuery, counts_of, reviewed
from tests.data.labels.test_statements import CLIPS, VIDEO, Span, Writer
from tests.pages.label.test_queue import cut_of, on_page, view_of

CUT = Cut("recipe", SegmentOptions(), {VIDEO: tuple(map(on_page, CLIPS))}, {VIDEO: "film.mp4"})
ACTIONS = st.sampled_from([("put", "meat"), ("take", "bag"), ("put", "beef")])
TIMES = st.tuples(st.integers(0, 23), st.integers(1, 12))


def words(log: Writer, kept: Coverings) -> dict[str, tuple[str, str]]:
    look = kept.of(CUT, Ledger.of(log.entries))
    coverings = {uid: look(clip) for uid, clip in CUT.clips.items()}
    return {uid: (covering.words.verb, covering.words.noun) for uid, covering in coverings.items() if covering}


@settings(max_examples=30)
@example([((0, 8), ("take", "bag"), False), ((0, 9), ("put", "meat"), False)], False)
@example([((0, 9), ("take", "bag"), False), ((1, 9), ("put", "meat"), False), ((1, 9), ("take", "bag"), False)], False)
@given(st.lists(st.tuples(TIMES, ACTIONS, st.booleans()), max_size=6), st.booleans())
def test_the_page_labels_clips_by_intervals_as_the_build_does(intervals, is_merged):
    log = Writer()
    for (start, length), action, is_taken_back in intervals:
        token = log.interval(start, min(start + length, 24), *action)
        if is_taken_back:
            log.withdraw(token)
    if is_merged:
        log.merge("noun", "beef", "meat")
    assert words(log, Coverings()) == log.labels(min_overlap=MIN_OVERLAP)


@given(st.lists(TIMES, max_size=6))
def test_a_clip_has_the_number_of_the_latest_interval_in_it(times):
    log = Writer()
    for start, length in times:
        log.interval(start, min(start + length, 24), "put", "meat")
    look = Coverings().of(CUT, Ledger.of(log.entries))
    for clip in CUT.clips.values():
        over = [
            number for number, (start, length) in enumerate(times, 1) if start < clip.stop_seconds and start + length > clip.start_seconds
        ]
        covering = look(clip)
        assert (covering.number if covering else None) in (None, max(over, default=None))
        if any(start <= clip.start_seconds and start + length >= clip.stop_seconds for start, length in times):
            assert covering


def test_very_many_clips_under_very_many_intervals_take_no_time_for_each_pair():
    log = Writer()
    for start in range(1500):
        log.interval(start, 24_000, "put", "meat")
    ledger, clips = Ledger.of(log.entries), [on_page(Span(VIDEO, 8 * index, 8 * index + 8)) for index in range(3000)]
    began = time.process_time()
    assert len(covered(clips, ledger.intervals(VIDEO), ledger)) == 3000
    assert time.process_time() - began < 5


def test_what_is_kept_is_found_again_when_something_new_is_said():
    log, ledger, kept = Writer(), Ledger(), Coverings()

    def now() -> set[tuple[str, str]]:
        ledger.add(log.entries[ledger.num_entries :])
        look = kept.of(CUT, ledger)
        return {(covering.words.verb, covering.words.noun) for clip in CUT.clips.values() if (covering := look(clip))}

    assert now() == set()
    first = log.interval(0, 12, "whisk", "egg")
    assert now() == {("whisk", "egg")}
    log.merge("verb", "whisk", "beat")
    assert now() == {("beat", "egg")}
    second = log.interval(0, 12, "put", "egg", replaces=first)
    assert now() == {("put", "egg")}
    log.withdraw(second, undo=True)
    assert now() == {("beat", "egg")}
    log.withdraw(first)
    assert now() == set()


def test_clips_that_an_interval_labels_are_counted_and_not_asked_for():
    log, kept = Writer(), Coverings()
    log.interval(0, 12, "whisk", "egg")
    log.interval(17, 18, "salt", "egg")
    ledger, view = Ledger.of(log.entries), view_of(CUT)
    counts = counts_of(view, ledger, kept.of(CUT, ledger))
    totals = {name: number for name, number in counts.totals("anna").items() if number}
    assert totals == {"num_clips": 3, "num_labelled": 2, "num_remaining": 1, "num_mine": 2}
    assert counts.named(0) == [{"name": "whisk", "num_clips": 2}, {"name": "salt", "num_clips": 0}], "too short to label a clip"
    assert list(first_readings(view, ledger, kept.of(CUT, ledger))) == [CLIPS[2].uid]
    reader = Reader("ben", may_label=True, second_share=0)
    labelled = filtered(CUT.clips, view, ledger, Wanted(show="labelled", name="whisk egg"), reader, kept.of(CUT, ledger))
    assert [uid for uid, _ in labelled] == [CLIPS[0].uid, CLIPS[1].uid]


def test_a_second_reader_sees_no_label_of_a_clip_that_another_cut_has():
    labelled, log = cut_of(1), Writer()
    (clip,) = labelled.clips.values()
    log.clip(clip, "put", "meat", by="anna")
    shown = Cut("other", labelled.options, {}, {})

    def seen(*cuts: Cut) -> tuple[int, int]:
        review = reviewed(view_of(shown), cuts, Ledger.of(log.entries), ReviewQuery(), BEN, lambda uid: None)
        return review["num_rows"], review["num_hidden"]

    assert seen(shown, labelled) == (0, 1)
    assert seen(shown) == (1, 0), "nobody can read it any more"


BEN = Reader("ben", may_label=True, second_share=1)


def listed(log: Writer, reader: Reader = BEN, **query):
    rows = reviewed(view_of(CUT), [CUT], Ledger.of(log.entries), ReviewQuery(**query), reader, lambda uid: None)
    return [(row["kind"], row["verb"], row["start_seconds"]) for row in rows["rows"]], rows["num_hidden"]


def test_intervals_are_listed_by_time_of_the_log_and_found_as_clips_are():
    log, reader = Writer(), Reader("anna", may_label=True, second_share=1)
    first = log.interval(0, 12, "whisk", "egg")
    log.clip(CLIPS[2], "put", "meat")
    second = log.interval(14, 15, "salt", "egg")
    assert listed(log, reader)[0] == [("interval", "salt", 14), ("clip", "put", 16), ("interval", "whisk", 0)]
    assert listed(log, reader, show="intervals", name="whisk egg")[0] == [("interval", "whisk", 0)]
    assert listed(log, reader, by="anna", video=VIDEO, name="egg")[0] == [("interval", "salt", 14), ("interval", "whisk", 0)]
    assert listed(log, reader, by="ben")[0] == listed(log, reader, show="conflicts")[0] == listed(log, reader, show="unsure")[0] == []
    log.merge("verb", "whisk", "beat")
    log.withdraw(second)
    assert listed(log, reader, show="intervals")[0] == [("interval", "beat", 0)]
    log.withdraw(first)
    assert listed(log, reader, show="intervals")[0] == []


def test_a_second_reader_sees_no_interval_that_touches_the_clip():
    log = Writer()
    log.clip(CLIPS[0], "put", "meat")
    log.interval(7, 12, "whisk", "egg")
    log.interval(8, 12, "salt", "egg")
    assert listed(log) == ([("interval", "salt", 8)], 2)
    log.clip(CLIPS[0], "put", "meat", by="ben")
    assert listed(log)[1] == 0
