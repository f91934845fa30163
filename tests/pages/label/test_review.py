"""Which labels a person sees in *Review*."""

from tasks.data.labels.ledger import Ledger
from tasks.pages.label.asked import ReviewQuery
from tasks.pages.label.clips import Cut, Suggestions
from tasks.pages.label.desk import View
from tasks.pages.label.queue import Reader
from tasks.pages.label.views import reviewed
from tests.data.labels.test_statements import CLIPS, VIDEO
from tests.pages.label.test_covering import CUT
from tests.pages.label.test_queue import Writer, cut_of


def test_a_second_reader_sees_no_label_of_a_clip_that_another_cut_has():
    labelled, log = cut_of(1), Writer()
    (clip,) = labelled.clips.values()
    log.clip(clip, "put", "meat", by="anna")
    shown = Cut("other", labelled.options, {}, {})

    def seen(*cuts: Cut) -> tuple[int, int]:
        view = View(shown, Suggestions(), {}, ())
        found = reviewed(view, cuts, Ledger.of(log.entries), ReviewQuery(), Reader("ben", may_label=True, second_share=1), lambda uid: None)
        return found["num_rows"], found["num_hidden"]

    assert seen(shown, labelled) == (0, 1)
    assert seen(shown) == (1, 0), "nobody can read it any more"


BEN = Reader("ben", may_label=True, second_share=1)


def found(log: Writer, reader: Reader = BEN, **query):
    rows = reviewed(View(CUT, Suggestions(), {}, ()), [CUT], Ledger.of(log.entries), ReviewQuery(**query), reader, lambda uid: None)
    return [(row["kind"], row["verb"], row["start_seconds"]) for row in rows["rows"]], rows["num_hidden"]


def test_intervals_are_listed_by_time_of_the_log_and_found_as_clips_are():
    log, reader = Writer(), Reader("anna", may_label=True, second_share=1)
    first = log.interval(0, 12, "whisk", "egg")
    log.clip(CLIPS[2], "put", "meat")
    second = log.interval(14, 15, "salt", "egg")
    assert found(log, reader)[0] == [("interval", "salt", 14), ("clip", "put", 16), ("interval", "whisk", 0)]
    assert found(log, reader, show="intervals", name="whisk egg")[0] == [("interval", "whisk", 0)]
    assert found(log, reader, by="anna", video=VIDEO, name="egg")[0] == [("interval", "salt", 14), ("interval", "whisk", 0)]
    assert found(log, reader, by="ben")[0] == found(log, reader, show="conflicts")[0] == found(log, reader, show="unsure")[0] == []
    log.merge("verb", "whisk", "beat")
    log.withdraw(second)
    assert found(log, reader, show="intervals")[0] == [("interval", "beat", 0)]
    log.withdraw(first)
    assert found(log, reader, show="intervals")[0] == []


def test_a_second_reader_sees_no_interval_that_touches_the_clip():
    log = Writer()
    log.clip(CLIPS[0], "put", "meat")
    log.interval(7, 12, "whisk", "egg")
    log.interval(8, 12, "salt", "egg")
    assert found(log) == ([("interval", "salt", 8)], 2)
    log.clip(CLIPS[0], "put", "meat", by="ben")
    assert found(log)[1] == 0
