"""Answer the requests of the page with plain values that become JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, Literal

from tasks.dataset.statements import Ledger
from tasks.errors import BadInput, MissingObject
from tasks.labelling.asked import AskedClip, AskedInterval, AskedMerge, AskedStatement, AskedWithdrawal, ReviewQuery
from tasks.labelling.clips import PageClip
from tasks.labelling.desk import Desk, View
from tasks.labelling.queue import Lent, Wanted, filtered, first_readings, is_read_twice, label_of, mixed, people_differ, second_readings
from tasks.results.dataset import NO_OBJECT, NOTHING
from tasks.results.labelling import AnyStatement, ClassMerge, ClipStatement, IntervalStatement, Reading, Withdrawal
from tasks.results.record import now_utc

Json = dict[str, Any]
ROWS_PER_PAGE = 50
NUM_FREQUENT = 9
"""The most frequent actions have the digits 1 to 9 as keys."""


class Answers:
    """Reads the desk for one request at a time."""

    def __init__(self, desk: Desk, second_share: float) -> None:
        self._desk = desk
        self._second_share = second_share
        self._lent = Lent()

    def state(self, me: str, may_write: bool) -> Json:
        """Say who asks, what there is to label, and how much is done."""
        view = self._desk.view
        about = {"store": self._desk.store_uri, "me": me, "may_write": may_write, "second_share": self._second_share}
        if view is None:
            return {"ready": False, "is_empty": self._desk.is_empty, **about}
        counts = self._desk.read(lambda ledger: _counts(view, ledger, me))
        names = view.cut.names
        videos = [
            {"video": video, "name": names[video], "num_clips": len(clips), "num_labelled": counts["by_video"].get(video, 0)}
            for video, clips in sorted(view.cut.by_video.items(), key=lambda item: names[item[0]])
        ]
        actions = [
            {"verb": verb, "noun": noun, "num_clips": number}
            for (verb, noun), number in counts["by_action"].most_common()
            if verb != NOTHING
        ]
        return {
            "ready": True,
            **about,
            "network": view.suggestions.network,
            "fps": view.cut.options.fps,
            "build": {"store": self._desk.store_uri, **view.cut.options.model_dump(exclude_defaults=True)},
            "counts": counts["totals"],
            "verbs": _named(counts["by_action"], 0, view.verbs),
            "nouns": _named(counts["by_action"], 1, view.nouns),
            "frequent": actions[:NUM_FREQUENT],
            "videos": videos,
        }

    def queue(self, me: str, wanted: Wanted, skip: frozenset[str], limit: int, after: str | None = None) -> Json:
        """List the next clips for this person, without those of `skip`, which it has already; of filtered ones, those behind `after`."""
        view = self._view()

        def look(ledger: Ledger) -> list[Json]:
            found = ((uid, reading) for uid, reading in self._wanted(view, ledger, me, wanted, after) if uid not in skip)
            chosen = list(islice(found, limit))
            self._lent.lend((uid for uid, reading in chosen if reading == "first"), me)
            return [self._clip(view, ledger, view.cut.clips[uid], reading, me) for uid, reading in chosen]

        return {"clips": self._desk.read(look)}

    def clip(self, me: str, uid: str) -> Json:
        """Describe one clip, as this person may see it."""
        view = self._view()
        clip = _known_clip(view, uid)

        def look(ledger: Ledger) -> Json:
            readers = {one.by for one in ledger.about(clip.key)}
            is_second = bool(readers) and me not in readers and is_read_twice(uid, self._second_share)
            return self._clip(view, ledger, clip, "second" if is_second else "first", me)

        return self._desk.read(look)

    def film(self, uid: str) -> bytes:
        """Read the file of a clip."""
        return self._desk.store.read_bytes(_known_clip(self._view(), uid).uri)

    def video(self, video: str) -> Json:
        """Describe a video: its clips, its intervals, and the actions that the model suggests."""
        view = self._view()
        if video not in view.cut.by_video:
            raise MissingObject("there is no such video")
        clips = view.cut.by_video[video]
        return {
            "video": video,
            "name": view.cut.names[video],
            "duration_seconds": clips[-1].stop_seconds,
            "clips": [{"uid": clip.uid, **_span(clip), "num_frames": clip.num_frames} for clip in clips],
            "intervals": self._desk.read(lambda ledger: [_interval(one) for one in ledger.intervals(video)]),
            "predicted": list(_predicted(view, clips)),
        }

    def review(self, query: ReviewQuery) -> Json:
        """List labels, the latest first, and how far readers agree."""
        view = self._view()
        agreed = self._desk.agreement()
        found = self._desk.read(lambda ledger: _review(view, ledger, query))
        return {**found, "agreement": agreed.model_dump(mode="json") if agreed else None}

    def classes(self) -> Json:
        """List the classes in use, and the names that were merged."""
        view = self._view()

        def look(ledger: Ledger) -> Json:
            by_action = _counts(view, ledger, "")["by_action"]
            merges = [one.model_dump(mode="json") for one in ledger.merges]
            return {"verbs": _named(by_action, 0, view.verbs), "nouns": _named(by_action, 1, view.nouns), "merges": merges}

        return self._desk.read(look)

    def write(self, asked: AskedStatement, me: str) -> Json:
        """Append a statement of this person."""
        view = self._view()
        number = self._desk.write(self._statement(view, asked, me))

        def look(ledger: Ledger) -> Json:
            return {"number": number, "counts": _counts(view, ledger, me)["totals"]}

        return self._desk.read(look)

    def _view(self) -> View:
        view = self._desk.view or self._desk.wait_for_view()
        if view is None:
            raise MissingObject("there are no clips yet; run ingest_videos first")
        return view

    def _wanted(self, view: View, ledger: Ledger, me: str, wanted: Wanted, after: str | None) -> Iterator[tuple[str, Reading]]:
        if wanted == Wanted():
            first = self._lent.others_last(first_readings(view.order, view.cut, ledger, view.known), me)
            return mixed(first, second_readings(view.cut, ledger, me, self._second_share))
        order = view.order[view.order.index(after) + 1 :] if after in view.order else view.order
        return ((uid, "first") for uid in filtered(order, view.cut, ledger, view.known, view.suggestions.by_clip, wanted))

    def _clip(self, view: View, ledger: Ledger, clip: PageClip, reading: Reading, me: str) -> Json:
        about = [one for one in ledger.about(clip.key) if reading == "first" or one.by == me]
        label = label_of(ledger, about, view.known.get(clip.uid) if reading == "first" else None)
        return {
            "uid": clip.uid,
            "video": clip.video,
            "name": view.cut.names[clip.video],
            **_span(clip),
            "num_frames": clip.num_frames,
            "reading": reading,
            "reason": view.suggestions.reasons.get(clip.uid),
            "suggestions": [] if reading == "second" else [asdict(one) for one in view.suggestions.by_clip.get(clip.uid, ())],
            "label": asdict(label) if label else None,
            "answer": about[-1].answer if about else None,
            "token": about[-1].token if about else None,
        }

    def _statement(self, view: View, asked: AskedStatement, me: str) -> AnyStatement:
        said = {**asked.model_dump(exclude={"uid"}), "by": me, "at": now_utc()}
        match asked:
            case AskedClip():
                clip = _known_clip(view, asked.uid)
                return ClipStatement.model_validate({**said, **_span(clip), "video": clip.video, "uid": clip.uid})
            case AskedInterval():
                if asked.video not in view.cut.by_video:
                    raise BadInput("there is no such video")
                return IntervalStatement.model_validate(said)
            case AskedWithdrawal():
                return Withdrawal.model_validate(said)
            case AskedMerge():
                return ClassMerge.model_validate(said)


def _known_clip(view: View, uid: str) -> PageClip:
    if uid not in view.cut.clips:
        raise MissingObject("there is no such clip; reload the page")
    return view.cut.clips[uid]


def _span(clip: PageClip) -> Json:
    return {"start_seconds": clip.start_seconds, "stop_seconds": clip.stop_seconds}


def _counts(view: View, ledger: Ledger, me: str) -> Json:
    by_action: Counter[tuple[str, str]] = Counter()
    by_video: Counter[str] = Counter()
    num_unsure = num_mine = 0
    for uid, clip in view.cut.clips.items():
        about = ledger.about(clip.key)
        words = label_of(ledger, about, view.known.get(uid))
        num_mine += any(one.by == me for one in about)
        num_unsure += bool(about) and words is None
        if words:
            by_action[words.verb, words.noun] += 1
            by_video[clip.video] += 1
    num_labelled = by_action.total()
    totals = {
        "num_clips": len(view.cut.clips),
        "num_labelled": num_labelled,
        "num_nothing": by_action[NOTHING, NO_OBJECT],
        "num_unsure": num_unsure,
        "num_remaining": len(view.cut.clips) - num_labelled - num_unsure,
        "num_mine": num_mine,
    }
    return {"by_action": by_action, "by_video": by_video, "totals": totals}


def _named(by_action: Counter[tuple[str, str]], part: Literal[0, 1], others: Sequence[str]) -> list[Json]:
    """List names with their number of clips, the most frequent first; names without a clip come last."""
    numbers: Counter[str] = Counter(dict.fromkeys(others, 0))
    for words, number in by_action.items():
        numbers[words[part]] += number
    left_out = (NOTHING, NO_OBJECT)
    return [
        {"name": name, "num_clips": number}
        for name, number in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
        if name not in left_out
    ]


def _interval(one: IntervalStatement) -> Json:
    return one.model_dump(mode="json", include={"token", "start_seconds", "stop_seconds", "verb", "noun", "by", "at"})


def _predicted(view: View, clips: Sequence[PageClip]) -> Iterator[Json]:
    """Yield the model's best actions, consecutive clips of the same action as one."""
    last: Json | None = None
    for clip in clips:
        best = next(iter(view.suggestions.by_clip.get(clip.uid, ())), None)
        is_same = best and last and (best.verb, best.noun) == (last["verb"], last["noun"]) and last["stop_seconds"] == clip.start_seconds
        if best and last and is_same:
            last |= {"stop_seconds": clip.stop_seconds, "probability": max(last["probability"], best.probability)}
            continue
        if last:
            yield last
        last = {**_span(clip), **asdict(best)} if best else None
    if last:
        yield last


def _review(view: View, ledger: Ledger, query: ReviewQuery) -> Json:
    found = [
        standing
        for (video, _, _), standing in ledger.clips()
        if (not query.video or video == query.video)
        and (not query.by or any(one.by == query.by for one in standing))
        and (not query.name or query.name in _words(ledger, standing[-1]))
        and _is_shown(ledger, query.show, standing)
    ]
    found.sort(key=lambda standing: ledger.number(standing[-1]), reverse=True)
    shown = found[query.page * ROWS_PER_PAGE : (query.page + 1) * ROWS_PER_PAGE]
    return {
        "rows": [_row(ledger, view.cut.names, standing) for standing in shown],
        "num_rows": len(found),
        "rows_per_page": ROWS_PER_PAGE,
        "people": sorted({one.by for _, standing in ledger.clips() for one in standing}),
    }


def _row(ledger: Ledger, names: Mapping[str, str], standing: Sequence[ClipStatement]) -> Json:
    last = standing[-1]
    verb, noun = ledger.words(last) or (None, None)
    return {
        **last.model_dump(mode="json"),
        **({"verb": verb, "noun": noun} if last.answer == "action" else {}),
        "name": names.get(last.video, last.video[:12]),
        "is_conflict": people_differ(ledger, standing),
        "statements": [one.model_dump(mode="json", include={"by", "at", "answer", "verb", "noun", "reading", "token"}) for one in standing],
    }


def _words(ledger: Ledger, statement: ClipStatement) -> tuple[str, ...]:
    words = ledger.words(statement)
    return (*words, " ".join(words)) if words else ()


def _is_shown(ledger: Ledger, show: str, standing: Sequence[ClipStatement]) -> bool:
    match show:
        case "conflicts":
            return people_differ(ledger, standing)
        case "unsure":
            return standing[-1].answer == "unsure"
        case "second":
            return any(one.reading == "second" for one in standing)
        case _:
            return True
