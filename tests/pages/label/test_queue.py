"""The order of clips, filters, and second readings."""

from dataclasses import replace
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.ledger import Ledger, key_of
from tasks.options import SegmentOptions
from tasks.pages.label.clips import Cut, PageClip, Suggestion
from tasks.pages.label.queue import (
    Covering,
    Known,
    Reader,
    Wanted,
    Words,
    diverse,
    filtered,
    first_readings,
    in_conflict,
    is_read_twice,
    label_of,
    mixed,
    others_last,
    people_differ,
    second_readings,
)
from tasks.store.records.evaluation import DoubtfulLabel
from tests.data.labels.test_statements import Span, Writer
from tests.records import some


def uncovered(clip: PageClip) -> None:
    """Tell that no interval labels a clip."""


def none_closed(clip: PageClip) -> bool:
    """Tell that a clip is not closed."""
    return False


def cut_of(*sizes: int) -> Cut:
    by_video = {}
    for number, size in enumerate(sizes):
        spans = [Span(f"{number:064x}"[::-1], 8 * i, 8 * i + 8) for i in range(size)]
        clips = tuple(
            PageClip(span.uid, span.video, "s3://b/c.mp4", span.start_seconds, span.stop_seconds, 240, key_of(span)) for span in spans
        )
        by_video[f"{number:064x}"[::-1]] = clips
    return Cut("recipe", SegmentOptions(), by_video, {video: f"{video[:2]}.mp4" for video in by_video})


def came(words: Words, num_statements: int) -> Known:
    """Label a clip by a file that came when the log had so many statements."""
    return Known(replace(words, at=f"2026-11-27 {'09:59:59' if num_statements == 0 else f'10:00:{num_statements - 1:02d}'}.5+00:00"))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_the_diverse_order_has_each_clip_once_and_every_video_first(sizes):
    cut = cut_of(*sizes)
    order = diverse(cut)
    assert sorted(order) == sorted(cut.clips)
    assert len({cut.clips[uid].video for uid in order[: len(sizes)]}) == len(sizes)


def test_a_long_video_is_seen_at_its_ends_before_its_neighbours():
    cut = cut_of(16)
    starts = [cut.clips[uid].start_seconds for uid in diverse(cut)]
    assert starts[:4] == [0, 64, 32, 96]


def test_clips_with_an_answer_or_a_label_are_not_asked_for():
    cut, log = cut_of(3), Writer()
    first, second, third = list(cut.clips.values())
    log.clip(first, None, answer="unsure")
    known = {second.uid: Known(Words("put", "meat", "labels.csv:3"))}
    assert list(first_readings(cut.clips, cut, Ledger.of(log.entries), known, uncovered)) == [third.uid]


@given(st.floats(0, 1))
def test_the_share_of_second_readings_is_kept_and_grows(share):
    uids = [f"clip {i}" for i in range(400)]
    chosen = {uid for uid in uids if is_read_twice(uid, share)}
    assert abs(len(chosen) / 400 - share) < 0.1
    assert chosen <= {uid for uid in uids if is_read_twice(uid, min(1, share + 0.2))}


def test_a_second_reader_is_another_person_and_the_last():
    cut, log = cut_of(3), Writer()
    first, second, _ = list(cut.clips.values())
    log.clip(first, "put", "meat", by="anna")
    log.clip(second, "put", "meat", by="anna")
    log.clip(second, "put", "meat", by="ben")
    ledger = Ledger.of(log.entries)
    assert list(second_readings(cut, ledger, Reader("ben", True, 1))) == [first.uid]
    assert list(second_readings(cut, ledger, Reader("anna", True, 1))) == []
    assert list(second_readings(cut, ledger, Reader("cleo", True, 1))) == [first.uid]
    assert list(second_readings(cut, ledger, Reader("ben", True, 0))) == []


def test_second_readings_come_in_between_and_none_is_lost():
    readings = list(mixed([f"f{i}" for i in range(20)], [f"s{i}" for i in range(5)]))
    assert [uid for uid, reading in readings if reading == "second"] == [f"s{i}" for i in range(5)]
    assert [uid for uid, reading in readings if reading == "first"] == [f"f{i}" for i in range(20)]
    assert readings[9] == ("s0", "second")


def test_mixed_takes_no_more_than_it_is_asked_for():
    assert len(list(islice(mixed(iter(lambda: "f", None), []), 3))) == 3


def test_filters():
    cut, log = cut_of(2, 4), Writer()
    first, second, *others = list(cut.clips.values())
    log.clip(first, "put", "meat")
    log.clip(first, "take", "meat", by="ben")
    log.clip(second, None, answer="unsure")
    log.clip(others[0], "put", "meat")
    suggested = {others[0].uid: (Suggestion("take", "bag", 0.9),), others[1].uid: (Suggestion("put", "meat", 0.9),)}
    known = {others[2].uid: Known(Words("move", "pan", "labels.csv:3"))}
    doubtful = {clip.uid: some(DoubtfulLabel, uid=clip.uid, verb="put", noun="meat") for clip in (first, second, others[0], others[2])}

    def found(**wanted) -> list[str]:
        about = Ledger.of(log.entries), known, suggested, Wanted(**wanted), Reader("cleo", True, 0)
        return [uid for uid, _ in filtered(cut.clips, cut, *about, uncovered, none_closed, doubtful)]

    assert found(show="people-differ") == [first.uid]
    assert found(show="unsure") == [second.uid]
    assert found(show="model-differs") == [others[0].uid]
    assert found(show="suspicious") == [others[0].uid], "the others have other labels by now, or none"
    assert found(show="labelled") == [first.uid, others[0].uid, others[2].uid]
    assert found() == [others[1].uid, others[3].uid]
    assert found(show="all", video=first.video) == [first.uid, second.uid]
    assert found(show="all", name="pan") == [others[2].uid]
    assert found(show="all", name="put meat") == [others[0].uid, others[1].uid]


def test_a_clip_that_one_other_has_answered_has_no_label_for_its_second_reader():
    cut, log = cut_of(2), Writer()
    first, last = list(cut.clips.values())
    log.clip(first, "put", "meat", by="anna")
    known = {first.uid: Known(Words("put", "meat", "labels.csv:3"))}
    suggested = {first.uid: (Suggestion("take", "bag", 0.9),)}

    doubtful = {first.uid: some(DoubtfulLabel, uid=first.uid, verb="put", noun="meat")}

    def found(reader: Reader, **wanted) -> list[tuple[str, str]]:
        ledger = Ledger.of(log.entries)
        return list(filtered(cut.clips, cut, ledger, known, suggested, Wanted(**wanted), reader, uncovered, none_closed, doubtful))

    second = Reader("ben", may_label=True, second_share=1)
    assert found(second, show="labelled") == found(second, show="all", name="put meat") == found(second, show="suspicious") == []
    assert found(second, show="all", name="take bag") == [], "nor is it found by what the model suggests"
    assert found(second, show="all") == [(first.uid, "second"), (last.uid, "first")]
    for other in (Reader("anna", True, 1), Reader("ben", True, 0), Reader("ben", False, 1)):
        assert found(other, show="labelled") == [(first.uid, "first")]
    log.clip(first, "take", "meat", by="cleo")
    assert found(second, show="labelled") == [(first.uid, "first")]


def test_clips_that_others_have_before_them_come_last():
    assert list(others_last("abcd", {"a", "c"})) == ["b", "d", "a", "c"]


def about_one_clip(log: Writer):
    ledger = Ledger.of(log.entries)
    ((_, about),) = ledger.clips()
    return ledger, about


def test_a_clip_whose_reader_is_unsure_keeps_the_label_of_its_file():
    (clip,) = cut_of(1).clips.values()
    log = Writer()
    log.clip(clip, None, answer="unsure")
    of_file = Words("put", "meat", "a.csv:1")
    assert label_of(*about_one_clip(log), Known(of_file)) == of_file
    assert label_of(*about_one_clip(log), None) is None


def test_a_file_that_the_last_build_preferred_wins_until_somebody_says_more():
    (clip,) = cut_of(1).clips.values()
    log, of_file = Writer(), Words("put", "meat", "a.csv:1")
    log.clip(clip, "take", "bag")
    assert label_of(*about_one_clip(log), came(of_file, 1)).verb == "put"
    assert label_of(*about_one_clip(log), came(of_file, 0)).verb == "take"
    log.clip(clip, "move", "bag")
    assert label_of(*about_one_clip(log), came(of_file, 1)).verb == "move"
    assert label_of(*about_one_clip(log), came(replace(of_file, origin="folder put meat"), 2)).verb == "move", "a folder never wins"


def test_a_class_of_a_file_that_was_renamed_has_its_new_name_before_the_next_build():
    log = Writer()
    log.merge("verb", "grab", "hold")
    assert label_of(Ledger.of(log.entries), [], Known(Words("grab", "meat", "a.csv:1"))) == Words("hold", "meat", "a.csv:1")


def test_of_a_statement_and_the_intervals_of_a_clip_the_later_labels_it():
    (clip,) = cut_of(1).clips.values()
    log, of_file = Writer(), Words("put", "meat", "a.csv:1")
    log.clip(clip, "take", "bag")
    interval = Covering(Words("whisk", "egg", "ben"), 2, log.interval(0, 8, "whisk", "egg"))
    assert label_of(*about_one_clip(log), None, interval).verb == "whisk"
    assert label_of(*about_one_clip(log), came(of_file, 2), interval).verb == "put"
    assert label_of(*about_one_clip(log), came(of_file, 1), interval).verb == "whisk"
    log.clip(clip, None, answer="unsure")
    assert label_of(*about_one_clip(log), None, interval).verb == "whisk", "as in the build"
    log.clip(clip, "move", "bag")
    assert label_of(*about_one_clip(log), None, interval).verb == "move"


def test_an_answer_and_an_interval_are_in_no_conflict_where_a_later_file_labels_the_clip():
    (clip,) = cut_of(1).clips.values()
    log, of_file = Writer(), Words("put", "meat", "a.csv:1")
    log.clip(clip, "take", "bag")
    interval = Covering(Words("whisk", "egg", "ben"), 2, log.interval(0, 8, "whisk", "egg"))
    known = (None, came(of_file, 1), came(of_file, 2))
    assert [in_conflict(*about_one_clip(log), interval, state) for state in known] == [True, True, False]


def test_people_who_use_names_that_were_merged_do_not_differ():
    (clip,) = cut_of(1).clips.values()
    log = Writer()
    log.clip(clip, "put", "beef")
    log.clip(clip, "put", "meat", by="ben")
    assert people_differ(*about_one_clip(log))
    log.merge("noun", "beef", "meat")
    assert not people_differ(*about_one_clip(log))
