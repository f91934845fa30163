"""Answer the page's requests with plain values for JSON, and check its statements."""

import hashlib
from collections.abc import Callable
from copy import copy
from dataclasses import asdict
from functools import cache, lru_cache
from itertools import islice
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tasks.data.clips.label_inputs import last_upload
from tasks.data.labels.intervals import Span
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.vocabulary import NOUNS, VERBS, class_name, near_pairs, noun_name, require_no_object
from tasks.errors import MissingObject, NotThere
from tasks.options import GateOptions
from tasks.pages.label.clips import Cut, PageClip
from tasks.pages.label.labels import ClipLabels, Covering, Coverings, suggested_to
from tasks.pages.label.page_data import PageData, View
from tasks.pages.label.queue import Leases, Reader, Wanted, filtered, first_readings, mixed, others_last, second_readings
from tasks.pages.label.views import Counts, ReviewQuery, answered, counts_of, described, hidden_of, reviewed, span, touches, unread_of
from tasks.store.records.dataset import NO_OBJECT, NOTHING, DatasetResult
from tasks.store.records.labelling import (
    Answer,
    AnyStatement,
    ClassMerge,
    ClipStatement,
    IntervalStatement,
    Moment,
    Reading,
    Suggested,
    Token,
    VideoHash,
    Withdrawal,
    require_order,
    require_words,
)
from tasks.store.records.record import now_utc
from tasks.wording import count, duration, roughly

Json = dict[str, Any]
MAX_COMPARED = 100
"""Names that are compared with one another, the most frequent ones: 0.15 s, once for each list of names."""
NUM_FREQUENT = 9
"""The most frequent actions have the digits 1 to 9 as keys."""
Name = Annotated[str, Field(max_length=200), AfterValidator(class_name)]
NameOrNoObject = Annotated[str, Field(max_length=200), AfterValidator(noun_name)]
Uid = Annotated[str, Field(pattern=r"^[0-9a-f]{12}_[0-9]{9,12}-[0-9]{9,12}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Token


class AskedClip(_Asked):
    """An answer about a clip; `over` and `checked` are those of `ClipStatement`."""

    kind: Literal["clip"]
    uid: Uid
    answer: Answer
    verb: Name | None = None
    noun: NameOrNoObject | None = None
    reading: Reading = "first"
    suggested: Suggested | None = None
    over: Token | None = None
    checked: bool = False

    @model_validator(mode="after")
    def _an_action_has_words(self) -> "AskedClip":
        require_words(self.answer, self.verb, self.noun)
        if self.verb and self.noun:
            require_no_object(self.verb, self.noun)
        return self


class AskedInterval(_Asked):
    """An action in a video."""

    kind: Literal["interval"]
    video: VideoHash
    start_seconds: Moment
    stop_seconds: Moment
    verb: Name
    noun: NameOrNoObject
    replaces: Token | None = None
    suggested: Suggested | None = None

    @model_validator(mode="after")
    def _stops_after_its_start(self) -> "AskedInterval":
        require_order(self.start_seconds, self.stop_seconds)
        require_no_object(self.verb, self.noun)
        return self


class AskedWithdrawal(_Asked):
    """A statement to take back."""

    kind: Literal["withdrawal"]
    withdrawn: Token
    undo: bool = False


class AskedMerge(_Asked):
    """A class to rename, or to merge into another."""

    kind: Literal["class"]
    target: Literal["verb", "noun"]
    name: Name
    same_as: NameOrNoObject

    @model_validator(mode="after")
    def _a_verb_becomes_a_verb(self) -> "AskedMerge":
        if self.target == "verb" and self.same_as in (NO_OBJECT, NOTHING):
            raise ValueError(f"a verb cannot become {self.same_as}")
        return self


AskedStatement = Annotated[AskedClip | AskedInterval | AskedWithdrawal | AskedMerge, Field(discriminator="kind")]


class Answers:
    """Answers one request at a time from the data of the page."""

    def __init__(self, data: PageData) -> None:
        self._data = data
        self._coverings = Coverings()
        self._leases = Leases(data.store, data.store_uri)
        self._counted: dict[str, tuple[View, int, Counts]] = {}
        self._recipe = ""

    def of_cut(self, recipe: str) -> Self:
        """Answer about the clips of one cut.

        If it is unknown, of the cut of most videos.
        """
        other = copy(self)
        other._recipe = recipe
        return other

    def build(self) -> Json:
        """Count the clips of a build, and describe the last training's plan."""
        view = self._data.view_of(self._recipe)
        counts = self._counts(view) if view else None
        plan = self._data.last_plan()
        recipe = plan and (plan.weights.chosen.partition(",")[0] or f"{plan.weights.network} by the options of its form")
        seeds = f", {1 + len(plan.repeats)} seeds" if plan and plan.repeats else ""
        return {
            "store": self._data.store_uri,
            "num_clips": counts.by_action.total() if counts else 0,
            "num_new": counts.num_new if counts else 0,
            "last_recipe": f"{recipe or ''}{seeds}",
            "last_estimate": _expected(plan.expected_seconds, plan.test_seconds) if plan and plan.expected_seconds else "",
            "gate": _gate_words(plan.gate if plan else GateOptions(), self._data.last_dataset(), counts.by_action.total() if counts else 0),
        }

    def state(self, reader: Reader, known: str = "") -> Json:
        """Describe who asks, the clips and their counts; a `known` state by its version alone."""
        view = self._data.view_of(self._recipe)
        about = {"store": self._data.store_uri, "me": reader.name, "may_write": reader.may_label, "second_share": reader.second_share}
        if view is None:
            return {"ready": False, "is_empty": self._data.is_empty, **about}
        cuts = [(cut.recipe, len(cut.by_video)) for cut in self._data.cuts]
        seen = (view.mark, cuts, self._data.read(lambda ledger: ledger.num_entries), reader)
        version = hashlib.sha256(repr(seen).encode()).hexdigest()
        if known == version:
            return {"version": version}
        counts = self._counts(view)
        names = view.cut.names
        videos = [
            {"video": video, "name": names[video], "num_clips": len(clips), "num_labelled": counts.by_video[video]}
            for video, clips in sorted(view.cut.by_video.items(), key=lambda item: names[item[0]])
        ]
        actions = [
            {"verb": verb, "noun": noun, "num_clips": number} for (verb, noun), number in counts.by_action.most_common() if verb != NOTHING
        ]
        return {
            "ready": True,
            "version": version,
            **about,
            "build_options": {"store": self._data.store_uri, **view.cut.options.model_dump(exclude={"cut"})},
            "cut": view.cut.recipe,
            "cuts": [{"cut": cut.recipe, "name": _cut_name(cut)} for cut in self._data.cuts],
            "counts": counts.totals(reader.name),
            "brought": {"verbs": list(VERBS), "nouns": list(NOUNS)},
            "frequent": actions[:NUM_FREQUENT],
            "videos": videos,
        }

    def queue(self, reader: Reader, wanted: Wanted, skip: frozenset[str], limit: int, after: str | None = None) -> Json:
        """List the next clips for this person, without those of `skip`, which the page has.

        Of filtered clips, those behind `after` are listed.
        """
        view = self._view()
        if not reader.may_label or wanted.show == "labelled":
            return {"clips": self._next(view, reader, wanted, skip, limit, after, set())}
        mine = skip & view.cut.clips.keys()
        with self._leases.turn:
            # Written first, the lease has the time of the store.
            self._leases.lease(mine, reader.name)
            chosen = self._next(view, reader, wanted, skip, limit, after, self._leases.to_others(reader.name))
            if more := {clip["uid"] for clip in chosen if clip["reading"] == "first"}:
                self._leases.lease(mine | more, reader.name)
        return {"clips": chosen}

    def clip(self, reader: Reader, uid: str) -> Json:
        """Describe one clip, as this person may see it."""
        cut, clip = self._find(uid)
        view = self._data.view_of(cut.recipe) or self._view()

        def look(ledger: Ledger) -> Json:
            reading: Reading = "second" if reader.is_second(uid, ledger.about(clip.key)) else "first"
            return self._clip(view, ledger, clip, reading, reader, self._closed(view, ledger, reader))

        return self._data.read(look)

    def clip_file(self, uid: str) -> bytes:
        """Read the file of a clip."""
        try:
            return self._data.store.read_bytes(self._find(uid)[1].uri)
        except MissingObject:
            raise NotThere("the file of this clip is gone; reload the page") from None

    def video(self, reader: Reader, video: str) -> Json:
        """Describe a video, its clips, labels and suggestions, as this person may see them."""
        view = self._view()
        if video not in view.cut.by_video:
            raise NotThere("there is no such video")
        return self._data.read(lambda ledger: described(view, video, self._data.cuts, ledger, reader, self._covering(ledger)))

    def review(self, reader: Reader, query: ReviewQuery) -> Json:
        """List labels, the latest first, and how far readers agree."""
        view = self._view()
        agreed = self._data.agreement()
        review = self._data.read(lambda ledger: reviewed(view, self._data.cuts, ledger, query, reader, self._covering(ledger)))
        return {**review, "agreement": agreed.model_dump(mode="json") if agreed else None, "unread": view.unread}

    def classes(self) -> Json:
        """List the classes in use, merged names, and names that are alike."""
        view = self._view()
        counts = self._counts(view)
        merges = self._data.read(lambda ledger: [merge.model_dump(mode="json") for merge in ledger.merges])
        named = {"verb": counts.named(0), "noun": counts.named(1)}
        near = [
            {"target": target, "names": pair}
            for target, classes in named.items()
            for pair in _near(tuple(sorted(named_class["name"] for named_class in classes[:MAX_COMPARED])))
        ]
        return {"verbs": named["verb"], "nouns": named["noun"], "merges": merges, "near": near}

    def write(self, asked: AskedStatement, reader: Reader) -> Json:
        """Append a statement of this person, and list the conflicts of labels that it leaves."""
        view = self._view()
        statement = self._statement(view, asked, reader.name)
        number = self._data.write(statement)
        conflicts = self._data.read(lambda ledger: self._conflicts(view, ledger, statement, reader))
        return {"number": number, "counts": self._counts(view).totals(reader.name), "conflicts": conflicts}

    def _conflicts(self, view: View, ledger: Ledger, statement: AnyStatement, reader: Reader) -> list[Json]:
        if not isinstance(statement, ClipStatement | IntervalStatement):
            return []
        with_answers = answered(self._data.cuts, ledger, statement.video)
        secret, covering = self._secret(ledger, statement.video, reader), self._covering(ledger)
        shown = [(clip, about) for clip, about in with_answers if touches(statement, [clip]) and not touches(clip, secret)]
        labels = (ClipLabels(ledger, about, covering(clip.uid), view.known.get(clip.uid)) for clip, about in shown)
        return [conflict for of_clip in labels if (conflict := of_clip.conflict)]

    def _secret(self, ledger: Ledger, video: str, reader: Reader) -> list[Span]:
        """List a video's clips that a person reads second, and intervals that would reveal them."""
        unread = unread_of(answered(self._data.cuts, ledger, video), reader)
        return [*unread, *hidden_of(ledger.intervals(video), unread, reader)]

    def _covering(self, ledger: Ledger) -> Callable[[str], Covering | None]:
        """Make the function that labels a clip of any cut by its intervals."""
        cuts = [(cut.clips, self._coverings.of(cut, ledger)) for cut in self._data.cuts]
        return lambda uid: next((look(clips[uid]) for clips, look in cuts if uid in clips), None)

    def _counts(self, view: View) -> Counts:
        """Count once for each state of the log."""

        def look(ledger: Ledger) -> Counts:
            last = self._counted.get(view.cut.recipe)
            if last is None or last[0] is not view or last[1] != ledger.num_entries:
                counts = counts_of(view, ledger, self._coverings.of(view.cut, ledger))
                last = self._counted[view.cut.recipe] = view, ledger.num_entries, counts
            return last[2]

        return self._data.read(look)

    def _view(self) -> View:
        view = self._data.view_of(self._recipe)
        if view is None:
            raise MissingObject("no clips have been read yet; if there are none, run ingest_videos first")
        return view

    def _find(self, uid: str) -> tuple[Cut, PageClip]:
        """Find a clip, however cut: a link or a late answer may name any."""
        for cut in (self._view().cut, *self._data.cuts):
            if uid in cut.clips:
                return cut, cut.clips[uid]
        raise NotThere("there is no such clip; reload the page")

    def _next(
        self, view: View, reader: Reader, wanted: Wanted, skip: frozenset[str], limit: int, after: str | None, leased: set[str]
    ) -> list[Json]:
        def look(ledger: Ledger) -> list[Json]:
            covering = self._coverings.of(view.cut, ledger)
            closed = self._closed(view, ledger, reader)
            if wanted == Wanted():
                first = others_last(first_readings(view, ledger, covering), leased)
                readings = mixed(first, second_readings(view.cut, ledger, reader))
            else:
                order = tuple(view.doubtful) if wanted.show == "suspicious" else view.order
                order = order[order.index(after) + 1 :] if after in order else order
                readings = filtered(order, view, ledger, wanted, reader, covering, closed)
            shown = islice(((uid, reading) for uid, reading in readings if uid not in skip), limit)
            return [self._clip(view, ledger, view.cut.clips[uid], reading, reader, closed) for uid, reading in shown]

        return self._data.read(look)

    def _closed(self, view: View, ledger: Ledger, reader: Reader) -> Callable[[PageClip], bool]:
        """Make a function that checks whether a clip's labels would reveal an unread clip's."""

        @cache
        def secret(video: str) -> list[Span]:
            own = self._secret(ledger, video, reader)
            return [*own, *(label for label in view.of_files.get(video, ()) if touches(label, own))]

        return lambda clip: touches(clip, secret(clip.video))

    def _clip(
        self, view: View, ledger: Ledger, clip: PageClip, reading: Reading, reader: Reader, closed: Callable[[PageClip], bool]
    ) -> Json:
        labels, is_closed = view.labels_of(clip, ledger, self._coverings.of(view.cut, ledger)), closed(clip)
        labels = labels.by(reader.name) if is_closed else labels
        last, words = labels.about[-1] if labels.about else None, labels.words
        doubt = None if is_closed else labels.doubt(view.doubtful.get(clip.uid))
        return {
            "uid": clip.uid,
            "video": clip.video,
            "name": view.cut.names[clip.video],
            **span(clip),
            "num_frames": clip.num_frames,
            "reading": reading,
            "reason": None if reading == "second" else view.suggestions.reasons.get(clip.uid),
            "suggestions": []
            if reading == "second"
            else [asdict(suggestion) for suggestion in suggested_to(ledger, view.suggestions.by_clip.get(clip.uid, ()))],
            "label": asdict(words) if words else None,
            "doubt": asdict(doubt) if doubt else None,
            "is_measured": clip.video in view.suggestions.measured,
            "answer": last.answer if last else None,
            "token": last.token if last else None,
            "over": labels.interval.token if labels.interval else None,
            "conflict": labels.conflict,
        }

    def _statement(self, view: View, asked: AskedStatement, me: str) -> AnyStatement:
        after = last_upload(self._data.store, self._data.store_uri)
        fields = {**asked.model_dump(exclude={"uid"}), "by": me, "at": now_utc(), "after": after}
        match asked:
            case AskedClip():
                _, clip = self._find(asked.uid)
                about = {"video": clip.video, "uid": clip.uid, **span(clip), "chosen": clip.uid in view.suggestions.reasons}
                return ClipStatement.model_validate(fields | about)
            case AskedInterval():
                if asked.video not in view.cut.by_video:
                    raise NotThere("there is no such video")
                return IntervalStatement.model_validate(fields)
            case AskedWithdrawal():
                return Withdrawal.model_validate(fields)
            case AskedMerge():
                return ClassMerge.model_validate(fields)


def _cut_name(cut: Cut) -> str:
    return f"{cut.options.clip_seconds:g} s, {cut.options.fps} fps, {cut.options.short_side} px ({count(len(cut.by_video), 'video')})"


@lru_cache(maxsize=16)
def _near(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(near_pairs(names))


def _expected(training_seconds: float, test_seconds: float | None) -> str:
    """Word how long training and test take; older plans expect nothing of the test."""
    beside = f", about {duration(test_seconds)} for scoring, without report" if test_seconds else " alone, without test and report"
    return f"expected: {duration(training_seconds)} for the training{beside}; less where clips were seen before"


def _gate_words(gate: GateOptions, dataset: DatasetResult | None, num_clips: int) -> str:
    """Say how many labels the gate needs; empty if enough."""
    needed = gate.labels_needed(0, 0, 0)
    if dataset:
        acting = {split: number - dataset.num_nothing.get(split, 0) for split, number in dataset.num_clips.items()}
        decides_on_test = gate.is_enough(acting.get("test", 0), (dataset.num_acting_sources or dataset.num_sources).get("test", 0))
        deciding = acting.get("test" if decides_on_test else "val", 0)
        needed = gate.labels_needed(sum(dataset.num_clips.values()), sum(acting.values()), deciding)
    if num_clips >= needed:
        return ""
    return f"The gate asks for {count(gate.min_gate_clips, 'clip')} in val or test, so {roughly(needed)} labelled clips before a champion is replaced."
