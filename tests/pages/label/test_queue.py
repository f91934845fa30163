"""The order of clips, filters, and second readings."""

from dataclasses import replace
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.ledger import Ledger, key_of
from tasks.options import SegmentOptions
from tasks.pages.label.clips import Cut, PageClip, Suggestion, Suggestions, diverse
from tasks.pages.label.labels import ClipLabels, Covering, Known, Words
from tasks.pages.label.page_data import Audit, View
from tasks.pages.label.queue import Reader, Wanted, filtered, first_readings, is_read_twice, mixed, others_last, second_readings
from tasks.store.records.evaluation import DoubtfulLabel
from tests.data.labels.test_statements import Span, Writer
from tests.records import some


def uncovered(clip: PageClip) -> None:
    """Tell that no interval labels a clip."""


def view_of(cut: Cut, known=(), suggested=(), doubtful=()) -> View:
    return View(cut, Suggestions(by_clip=dict(suggested)), dict(known), tuple(cut.clips), audit=Audit(doubtful=dict(doubtful)))


def on_page(span: Span) -> PageClip:
    return PageClip(span.uid, span.video, "s3://b/c.mp4", span.start_seconds, span.stop_seconds, 240, key_of(span))


def cut_of(*sizes: int) -> Cut:
    spans = {f"{number:064x}"[::-1]: range(0, 8 * size, 8) for number, size in enumerate(sizes)}
    by_video = {video: tuple(on_page(Span(video, start, start + 8)) for start in starts) for video, starts in spans.items()}
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
    long = cut_of(16)
    assert [long.clips[uid].start_seconds for uid in diverse(long)][:4] == [0, 64, 32, 96], "its ends before their neighbours"


def test_clips_with_an_answer_or_a_label_are_not_asked_for():
    cut, log = cut_of(3), Writer()
    first, second, third = list(cut.clips.values())
    log.clip(first, None, answer="unsure")
    known = {second.uid: Known(Words("put", "meat", "labels.csv:3"))}
    assert list(first_readings(view_of(cut, known), Ledger.of(log.entries), uncovered)) == [third.uid]


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
    assert len(list(islice(mixed(iter(lambda: "f", None), []), 3))) == 3, "no more is taken than is asked for"


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

    def fitting(**wanted) -> list[str]:
        view, reader = view_of(cut, known, suggested, doubtful), Reader("cleo", True, 0)
        return [uid for uid, _ in filtered(cut.clips, view, Ledger.of(log.entries), Wanted(**wanted), reader, uncovered)]

    assert fitting(show="people-differ") == [first.uid]
    assert fitting(show="unsure") == [second.uid]
    assert fitting(show="model-differs") == [others[0].uid]
    assert fitting(show="suspicious") == [others[0].uid], "the others have other labels by now, or none"
    assert fitting(show="labelled") == [first.uid, others[0].uid, others[2].uid]
    assert fitting() == [others[1].uid, others[3].uid]
    assert fitting(show="all", video=first.video) == [first.uid, second.uid]
    assert fitting(show="all", name="pan") == [others[2].uid]
    assert fitting(show="all", name="put meat") == [others[0].uid, others[1].uid]


def test_a_clip_that_one_other_has_answered_has_no_label_for_its_second_reader():
    cut, log = cut_of(2), Writer()
    first, last = list(cut.clips.values())
    log.clip(first, "put", "meat", by="anna")
    known = {first.uid: Known(Words("put", "meat", "labels.csv:3"))}
    suggested = {first.uid: (Suggestion("take", "bag", 0.9),)}

    doubtful = {first.uid: some(DoubtfulLabel, uid=first.uid, verb="put", noun="meat")}

    def fitting(reader: Reader, **wanted) -> list[tuple[str, str]]:
        view = view_of(cut, known, suggested, doubtful)
        return list(filtered(cut.clips, view, Ledger.of(log.entries), Wanted(**wanted), reader, uncovered))

    second = Reader("ben", may_label=True, second_share=1)
    assert fitting(second, show="labelled") == fitting(second, show="all", name="put meat") == fitting(second, show="suspicious") == []
    assert fitting(second, show="all", name="take bag") == [], "nor is it found by what the model suggests"
    assert fitting(second, show="all") == [(first.uid, "second"), (last.uid, "first")]
    for other in (Reader("anna", True, 1), Reader("ben", True, 0), Reader("ben", False, 1)):
        assert fitting(other, show="labelled") == [(first.uid, "first")]
    log.clip(first, "take", "meat", by="cleo")
    assert fitting(second, show="labelled") == [(first.uid, "first")]


def test_clips_that_others_have_before_them_come_last():
    assert list(others_last("abcd", {"a", "c"})) == ["b", "d", "a", "c"]


def labels_of(log: Writer, known: Known | None = None, interval: Covering | None = None) -> ClipLabels:
    ledger = Ledger.of(log.entries)
    about = next((about for _, about in ledger.clips()), [])
    return ClipLabels(ledger, about, interval, known)


def test_a_clip_whose_reader_is_unsure_keeps_the_label_of_its_file():
    (clip,) = cut_of(1).clips.values()
    log = Writer()
    log.clip(clip, None, answer="unsure")
    of_file = Words("put", "meat", "a.csv:1")
    assert labels_of(log, Known(of_file)).words == of_file
    assert labels_of(log, None).words is None


def test_a_file_that_the_last_build_preferred_wins_until_somebody_says_more():
    (clip,) = cut_of(1).clips.values()
    log, of_file = Writer(), Words("put", "meat", "a.csv:1")
    log.clip(clip, "take", "bag")
    assert labels_of(log, came(of_file, 1)).words.verb == "put"
    assert labels_of(log, came(of_file, 0)).words.verb == "take"
    log.clip(clip, "move", "bag")
    assert labels_of(log, came(of_file, 1)).words.verb == "move"
    assert labels_of(log, came(replace(of_file, origin="folder put meat"), 2)).words.verb == "move", "a folder never wins"


def test_a_class_of_a_file_that_was_renamed_has_its_new_name_before_the_next_build():
    log = Writer()
    log.merge("verb", "grab", "hold")
    assert labels_of(log, Known(Words("grab", "meat", "a.csv:1"))).words == Words("hold", "meat", "a.csv:1")


def test_of_a_statement_and_the_intervals_of_a_clip_the_later_labels_it_in_conflict_unless_a_later_file_does():
    (clip,) = cut_of(1).clips.values()
    log, of_file = Writer(), Words("put", "meat", "a.csv:1")
    log.clip(clip, "take", "bag")
    interval = Covering(Words("whisk", "egg", "ben"), 2, log.interval(0, 8, "whisk", "egg"))
    known = (None, came(of_file, 1), came(of_file, 2))
    shown = [labels_of(log, state, interval) for state in known]
    assert [(labels.words.verb, labels.are_in_conflict) for labels in shown] == [("whisk", True), ("whisk", True), ("put", False)]
    log.clip(clip, None, answer="unsure")
    assert labels_of(log, None, interval).words.verb == "whisk", "as in the build"
    log.clip(clip, "move", "bag")
    assert labels_of(log, None, interval).words.verb == "move"


def test_people_who_use_names_that_were_merged_do_not_differ():
    (clip,) = cut_of(1).clips.values()
    log = Writer()
    log.clip(clip, "put", "beef")
    log.clip(clip, "put", "meat", by="ben")
    assert labels_of(log).people_differ
    log.merge("noun", "beef", "meat")
    assert not labels_of(log).people_differ
