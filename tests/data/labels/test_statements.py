"""Which statements of the labelling page hold, and how they label clips."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.all_files import read_files
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.label_clips import label_clips
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.page_labels import (
    PAGE,
    PageLabel,
    accepted_clips,
    clipped_intervals,
    page_labels,
    people_of,
    touched_clips,
    with_page_intervals,
    with_page_labels,
)
from tasks.data.labels.vocabulary import OwnClasses
from tasks.options import LabelOptions
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.labelling import ClassMerge, ClipStatement, DamagedEntry, IntervalStatement, LogEntry, Suggested, Withdrawal
from tasks.store.records.video import Interval
from tests.data.conftest import NO_VIDEOS
from tests.data.labels.records import clip_record

VIDEO = "a" * 64


@dataclass(frozen=True)
class Span:
    video: str
    start_seconds: float
    stop_seconds: float
    around: Interval | None = None

    @property
    def uid(self) -> str:
        return f"{self.video[:12]}_{round(self.start_seconds * 1000):09d}-{round(self.stop_seconds * 1000):09d}"


CLIPS = [Span(VIDEO, 8 * i, 8 * i + 8) for i in range(3)]


def labelled(files, clips, min_overlap: float):
    times = [{"uid": clip.uid, "start_seconds": clip.start_seconds, "stop_seconds": clip.stop_seconds} for clip in clips]
    records = [clip_record(VIDEO, number, **time) for number, time in enumerate(times)]
    labelling = label_clips(records, {VIDEO: ("film.mp4",)}, files, LabelOptions(min_overlap=min_overlap), OwnClasses(), {VIDEO: 30.0})
    assert not labelling.problems
    return labelling.clips


class Writer:
    """Writes a log, one second after another."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def _said(self, by: str) -> dict[str, str]:
        number = len(self.entries)
        time = datetime(2026, 11, 27, 10) + timedelta(seconds=number)
        return {"token": f"token-{number:04d}", "by": by, "at": f"{time.isoformat()}.000Z"}

    def _add(self, statement) -> str:
        self.entries.append(LogEntry(statement=statement))
        return statement.token

    def clip(
        self,
        clip: Span,
        verb: str | None,
        noun: str | None = NO_OBJECT,
        by: str = "anna",
        answer: str = "action",
        reading: str = "first",
        **more,
    ) -> str:
        words = {"verb": verb, "noun": noun} if answer == "action" else {}
        span = {"video": clip.video, "uid": clip.uid, "start_seconds": clip.start_seconds, "stop_seconds": clip.stop_seconds}
        return self._add(ClipStatement(**self._said(by), **span, **words, answer=answer, reading=reading, **more))

    def interval(self, start: float, stop: float, verb: str, noun: str, replaces: str | None = None, **more) -> str:
        span = {"video": VIDEO, "start_seconds": start, "stop_seconds": stop}
        return self._add(IntervalStatement(**self._said("anna"), **span, verb=verb, noun=noun, replaces=replaces, **more))

    def withdraw(self, token: str, undo: bool = False) -> str:
        return self._add(Withdrawal(**self._said("anna"), withdrawn=token, undo=undo))

    def merge(self, target: str, name: str, same_as: str) -> str:
        return self._add(ClassMerge(**self._said("anna"), target=target, name=name, same_as=same_as))

    @property
    def ledger(self) -> Ledger:
        return Ledger.of(self.entries)

    def files(self, clips=CLIPS, min_overlap: float = 0.25):
        ledger = self.ledger
        return with_page_labels([], page_labels(ledger, clips, min_overlap), clipped_intervals(ledger, clips), ledger.merges)

    def labels(self, clips=CLIPS, min_overlap: float = 0.5) -> dict[str, tuple[str, str]]:
        """What the build makes of the log alone."""
        answers = labelled(self.files(clips, min_overlap), clips, min_overlap)
        return {answer.clip.uid: (answer.verb, answer.noun) for answer in answers if answer.verb}

    def words(self) -> dict[str, tuple[str, str]]:
        """What the page shows, where one statement is about each clip."""
        ledger = self.ledger
        return {statement.uid: ledger.words(statement) for _, (statement,) in ledger.clips()}


@pytest.fixture
def log() -> Writer:
    return Writer()


PUT, TAKE = ("put", "meat"), ("take", "bag")


def said(*statements):
    """The labels of statements, each the name of a method of the log and its arguments, or `back`: the last one is taken back."""
    log, token = Writer(), ""
    for name, *words in statements:
        token = log.withdraw(token) if name == "back" else getattr(log, name)(*words)
    numbers = {clip.uid: number for number, clip in enumerate(CLIPS)}
    return {numbers[uid]: words for uid, words in log.labels().items()}


@pytest.mark.parametrize(
    ("statements", "labels"),
    [
        pytest.param([("clip", CLIPS[0], *PUT), ("clip", CLIPS[0], *TAKE, "ben")], {0: TAKE}, id="the latest statement about a clip"),
        pytest.param([("clip", CLIPS[0], *PUT), ("clip", CLIPS[0], *TAKE), ("back",)], {0: PUT}, id="the one before one taken back"),
        pytest.param([("clip", CLIPS[0], *PUT), ("back",)], {}, id="nothing, if all is taken back"),
        pytest.param([("clip", CLIPS[0], None, NO_OBJECT, "anna", "nothing")], {0: ("nothing", NO_OBJECT)}, id="nothing is a label"),
        pytest.param([("clip", CLIPS[1], None, NO_OBJECT, "anna", "unsure")], {}, id="unsure is none"),
        pytest.param([("interval", 0, 3, *TAKE), ("interval", 2, 8, *PUT)], {0: PUT}, id="the action that covers most of a clip"),
        pytest.param(
            [("interval", 0, 2.5, *PUT), ("interval", 3, 6.5, *TAKE), ("interval", 6, 8, *PUT)], {0: PUT}, id="parts of one action together"
        ),
        pytest.param([("interval", 0, 8, *PUT), ("interval", 8, 16, *PUT, "token-0000")], {1: PUT}, id="a moved interval, where it is now"),
        pytest.param(
            [("interval", 0, 8, *PUT), ("interval", 8, 16, *PUT, "token-0000"), ("back",)], {}, id="a withdrawn one, nowhere it was before"
        ),
        pytest.param(
            [("clip", CLIPS[0], *TAKE), ("interval", 0, 16, *PUT), ("clip", CLIPS[1], "move", "pan")],
            {0: PUT, 1: ("move", "pan")},
            id="of interval and clip the later",
        ),
    ],
)
def test_which_statements_label_a_clip(statements, labels):
    assert said(*statements) == labels


def test_an_action_that_covers_too_little_labels_nothing(log):
    log.interval(0, 3.9, "put", "meat")
    assert log.labels() == {}
    assert log.labels(min_overlap=0.4) == {CLIPS[0].uid: ("put", "meat")}


@pytest.mark.parametrize("order", [1, -1])
def test_a_label_holds_for_clips_that_are_cut_anew_until_a_later_one_is_said_of_them(log, order):
    quarters = [Span(VIDEO, 2 * i, 2 * i + 2) for i in range(12)]
    spoken = [(CLIPS[1], PUT), (quarters[4], TAKE)][::order]
    for clip, words in spoken:
        log.clip(clip, *words)
    assert log.labels(quarters) == {**dict.fromkeys((clip.uid for clip in quarters[4:8]), PUT), quarters[4].uid: spoken[-1][1]}


def test_a_repeated_token_counts_once(log):
    log.clip(CLIPS[0], "put", "meat")
    log.entries.append(log.entries[0].model_copy(update={"statement": log.entries[0].statement.model_copy(update={"verb": "take"})}))
    assert (len(log.ledger.about((VIDEO, 0, 8))), log.ledger.num_entries) == (1, 2)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.booleans()), max_size=30), st.integers(0, 30))
def test_a_log_read_in_parts_says_the_same(said, cut):
    log = Writer()
    for clip, verb, is_withdrawn in said:
        token = log.clip(CLIPS[clip], verb)
        if is_withdrawn:
            log.withdraw(token)
    in_parts = Ledger()
    in_parts.add(log.entries[:cut])
    in_parts.add(log.entries[cut:])
    assert page_labels(in_parts, CLIPS, 0.5) == page_labels(log.ledger, CLIPS, 0.5)


UPLOADED = [("2026-11-27 10:00:00+00:00", AnnotationFile("1.csv", f"uid,verb,noun\n{CLIPS[0].uid},move,meat\n".encode()))]


def first_label(files) -> str | None:
    return labelled(files, CLIPS, 0.25)[0].action


@pytest.mark.parametrize(
    ("page_at", "expected"),
    [("2026-11-27T09:59:59.999Z", "move meat"), ("2026-11-27T10:00:00.000Z", "put meat"), ("2026-11-27T12:00:00.000Z", "put meat")],
)
def test_of_page_and_file_the_later_wins(page_at, expected):
    label = PageLabel(CLIPS[0].uid, "put", "meat", datetime.fromisoformat(page_at), 1)
    assert first_label(with_page_labels(UPLOADED, [label], [], [])) == expected


def test_other_labels_leave_the_origin_of_a_label_as_it_is(log):
    log.clip(CLIPS[1], "put", "meat")
    before = labelled(log.files(), CLIPS, 0.25)
    log.clip(CLIPS[0], "take", "bag", by="ben")
    log.interval(16, 24, "take", "bag")
    after = labelled(log.files(), CLIPS, 0.25)
    assert before[1] == after[1]
    assert {clip.origin for clip in after} == {PAGE}


def test_an_interval_stays_moved_when_a_step_between_is_taken_back(log):
    first = log.interval(0, 8, "put", "meat")
    moved = log.interval(8, 16, "put", "meat", replaces=first)
    log.interval(16, 24, "put", "meat", replaces=moved)
    log.withdraw(moved, undo=True)
    assert set(log.labels()) == {CLIPS[2].uid}


@pytest.mark.parametrize("num_moves", [2, 520])
def test_an_interval_that_was_moved_and_moved_back_is_where_it_was_left(log, num_moves):
    tokens = [log.interval(0, 1, *PUT)]
    for number in range(1, num_moves + 1):
        tokens.append(log.interval(number, number + 1, *PUT, replaces=tokens[-1]))
    for token in tokens[: num_moves // 2 : -1]:
        log.withdraw(token, undo=True)
    assert [interval.start_seconds for interval in log.ledger.intervals(VIDEO)] == [num_moves // 2]


@pytest.mark.parametrize(
    ("impossible", "starts"),
    [
        pytest.param(lambda log: log.withdraw("token-9999"), [0], id="takes back what nobody has said"),
        pytest.param(lambda log: log.withdraw(log.withdraw(log.interval(8, 9, *PUT))), [0], id="takes back what takes back"),
        pytest.param(lambda log: log.interval(8, 16, *PUT, "token-0001"), [0, 8], id="replaces itself"),
        pytest.param(lambda log: log.interval(8, 16, *PUT, "token-0002"), [0, 8], id="replaces a later one"),
        pytest.param(lambda log: log.entries.append(DamagedEntry(reason="cannot be read")), [0], id="cannot be read"),
    ],
)
def test_an_impossible_statement_is_named_and_costs_no_other(log, impossible, starts):
    log.interval(0, 8, *TAKE)
    impossible(log)
    back = log.interval(16, 24, *PUT)
    log.withdraw(back, undo=True)
    log.interval(16, 24, *PUT)
    assert [interval.start_seconds for interval in log.ledger.intervals(VIDEO)] == [*starts, 16]
    assert len(log.ledger.problems) == 1


def test_a_statement_that_can_label_nothing_is_refused_alone_and_times_are_those_of_microseconds(log):
    log.interval(1 / 3, 2 / 3, *PUT)
    log.interval(4, 4 + 1e-9, *TAKE)
    log.interval(8, 16, "=put", "meat")
    log.merge("verb", "take", "grab")
    read = read_files(with_page_intervals([], log.ledger), OwnClasses(), NO_VIDEOS)
    assert [(row.start_seconds, row.stop_seconds, row.verb) for file in read.files for row in file.rows] == [(0.333333, 0.666667, "put")]
    assert [(problem.file, problem.line) for problem in read.problems] == [(PAGE, 2), (PAGE, 3)]
    assert read.verbs.find("take", None) == "grab"


def test_a_class_merged_on_the_page_holds_for_all_files(log):
    merge = log.merge("noun", "meat", "potato")
    assert first_label(with_page_labels(UPLOADED, [], [], log.ledger.merges)) == "move potato"
    log.withdraw(merge)
    assert with_page_labels([], [], [], log.ledger.merges) == []


def test_a_class_that_is_renamed_back_has_its_first_name_again(log):
    log.merge("verb", "grab", "hold")
    log.clip(CLIPS[0], "hold", "meat")
    log.clip(CLIPS[1], "grab", "meat")
    back = log.merge("verb", "hold", "grab")
    assert log.words() == log.labels() == dict.fromkeys((clip.uid for clip in CLIPS[:2]), ("grab", "meat"))
    assert [merge.token for merge in log.ledger.merges] == [back]
    log.withdraw(back)
    assert log.words() == log.labels() == dict.fromkeys((clip.uid for clip in CLIPS[:2]), ("hold", "meat"))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.booleans()), max_size=8))
def test_page_and_build_agree_on_every_order_of_renames(renames):
    log, clips = Writer(), [Span(VIDEO, 8 * i, 8 * i + 8) for i in range(4)]
    for clip, name in zip(clips, "abcd", strict=True):
        log.clip(clip, f"verb-{name}", "meat")
    for name, same_as, is_taken_back in renames:
        token = log.merge("verb", f"verb-{name}", f"verb-{same_as}")
        if is_taken_back:
            log.withdraw(token)
    ledger = log.ledger
    assert log.labels(clips) == log.words()
    left = {ledger.current_name("verb", f"verb-{name}") for name in "abcd"}
    assert all(ledger.current_name("verb", name) == name for name in left)


def test_page_and_build_agree_on_names_that_are_merged_one_over_the_other(log):
    for number in range(60):
        log.merge("verb", f"verb-{number + 1}", f"verb-{number}")
    log.clip(CLIPS[0], "verb-51", "meat")
    log.clip(CLIPS[1], "verb-60", "meat")
    assert log.labels() == log.words() == {CLIPS[0].uid: ("verb-0", "meat"), CLIPS[1].uid: ("verb-52", "meat")}
    assert "more than 50 names" in log.ledger.problem(log.entries[51].statement)


def test_a_statement_labels_a_clip_around_an_interval_only_if_it_is_about_that_clip(log):
    around = Span(VIDEO, 2, 10, Interval(start_seconds=5, stop_seconds=7))
    log.clip(CLIPS[0], "put", "meat")
    assert page_labels(log.ledger, [around], 0.25) == []
    log.clip(around, "take", "bag")
    assert [(label.verb, label.noun) for label in page_labels(log.ledger, [around], 0.25)] == [("take", "bag")]


def test_clips_that_a_statement_overlaps_at_all_are_touched(log):
    log.clip(CLIPS[0], None, answer="unsure")
    log.interval(16, 16.1, *PUT)
    assert touched_clips(log.ledger, CLIPS) == {CLIPS[0].uid, CLIPS[2].uid}


def test_a_label_is_accepted_where_the_page_showed_the_same_action(log):
    shown, hidden = (Suggested(verb="put", noun="meat", probability=0.9, shown=is_shown) for is_shown in (True, False))
    log.clip(CLIPS[0], "take", "bag", suggested=shown, chosen=True)
    log.clip(CLIPS[1], *PUT, suggested=hidden)
    log.interval(16, 20, *PUT, suggested=shown)
    assert accepted_clips(log.ledger, CLIPS) == {CLIPS[2].uid}
    token = log.clip(CLIPS[0], *PUT, suggested=shown)
    assert accepted_clips(log.ledger, CLIPS) == {CLIPS[0].uid, CLIPS[2].uid}
    log.withdraw(token)
    assert accepted_clips(log.ledger, CLIPS) == {CLIPS[2].uid}
    assert log.ledger.chosen_videos == (VIDEO,)
    log.withdraw(log.entries[0].statement.token)
    assert log.ledger.chosen_videos == ()


def test_a_clip_is_the_work_of_who_said_the_latest_that_labels_it(log):
    log.clip(CLIPS[0], *PUT, by="ada")
    log.clip(CLIPS[0], "take", "bag", by="bea")
    token = log.clip(CLIPS[1], *PUT, by="ada")
    log.interval(9, 12, *PUT)
    assert people_of(log.ledger, CLIPS, 0.5) == {CLIPS[0].uid: "bea", CLIPS[1].uid: "anna"}
    log.withdraw(token)
    log.clip(CLIPS[2], None, by="ada", answer="unsure")
    assert people_of(log.ledger, CLIPS, 0.5) == {CLIPS[0].uid: "bea", CLIPS[1].uid: "anna"}


def test_hours_of_clips_and_of_statements_about_each_take_seconds(log):
    clips = [Span(VIDEO, 8 * i, 8 * i + 8) for i in range(4000)]
    for clip in clips:
        log.clip(clip, "put", "meat")
        log.interval(clip.start_seconds + 1, clip.stop_seconds + 1, "put", "meat")
    begun = time.process_time()
    ledger = log.ledger
    assert (len(page_labels(ledger, clips, 0.5)), len(touched_clips(ledger, clips))) == (len(clips), len(clips))
    assert len(clipped_intervals(ledger, clips)) == 2 * len(clips) - 1
    assert time.process_time() - begun < 5
