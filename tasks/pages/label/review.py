"""List labels for the view *Review*."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from tasks.data.labels.ledger import Ledger
from tasks.pages.label.asked import ReviewQuery
from tasks.pages.label.clips import Cut
from tasks.pages.label.covering import conflict_of
from tasks.pages.label.desk import View
from tasks.pages.label.file_labels import FileLabel, of_file
from tasks.pages.label.queue import Covering, Known, Reader, in_conflict, people_differ, renamed
from tasks.pages.label.videos import hidden_of, touches
from tasks.store.records.labelling import ClipStatement, IntervalStatement

Json = dict[str, Any]
Said = Sequence[ClipStatement] | Sequence[IntervalStatement]
"""What holds about a clip, the latest last, or one interval."""
ROWS_PER_PAGE = 50


def reviewed(
    view: View, cuts: Sequence[Cut], ledger: Ledger, query: ReviewQuery, reader: Reader, covering: Callable[[str], Covering | None]
) -> Json:
    """List a page of labels of clips, intervals and files, the latest first.

    Labels by others of clips that the person reads as the second are left out.

    `num_hidden` counts this. Clips of all ways of cutting count, whichever is shown.
    """
    clips = [standing for _, standing in ledger.clips()]
    intervals = [one for video in ledger.videos for one in ledger.intervals(video)]
    unread = defaultdict[str, list[ClipStatement]](list)
    for standing in clips:
        last = standing[-1]
        if reader.is_second(last.uid, standing) and any(last.uid in cut.clips for cut in cuts):
            unread[last.video].append(last)
    everything: list[Said] = [*clips, *([one] for one in intervals)]
    seen = [one for one in everything if one[-1].by == reader.name or not touches(one[-1], unread[one[-1].video])]
    files = [one for of_video in view.of_files.values() for one in of_video]
    seen_files = [one for one in files if not touches(one, unread[one.video])]
    hidden = {video: hidden_of(ledger.intervals(video), of_video, reader) for video, of_video in unread.items()}
    closed = {standing[-1].uid for standing in clips if touches(standing[-1], hidden.get(standing[-1].video, ()))}

    def interval_of(uid: str) -> Covering | None:
        return None if uid in closed else covering(uid)

    found: list[tuple[datetime, int, Said | FileLabel]] = [
        (datetime.fromisoformat(standing[-1].at), ledger.number(standing[-1]), standing)
        for standing in seen
        if _fits(ledger, query, standing, interval_of, view.known)
    ]
    found += [(_time(one.words.at), 0, one) for one in seen_files if _is_wanted(ledger, query, one)]
    found.sort(key=itemgetter(0, 1), reverse=True)
    shown = [one for _, _, one in found[query.page * ROWS_PER_PAGE : (query.page + 1) * ROWS_PER_PAGE]]
    return {
        "rows": [
            _row_of_file(ledger, view.cut.names, one)
            if isinstance(one, FileLabel)
            else _row(ledger, view.cut.names, one, interval_of, view.known)
            for one in shown
        ],
        "num_rows": len(found),
        "num_hidden": len(clips) + len(intervals) + len(files) - len(seen) - len(seen_files),
        "rows_per_page": ROWS_PER_PAGE,
        "people": sorted({one.by for standing in clips for one in standing} | {one.by for one in intervals}),
    }


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at) if at else datetime.min.replace(tzinfo=UTC)


def _is_wanted(ledger: Ledger, query: ReviewQuery, one: FileLabel) -> bool:
    words = renamed(ledger, one.words)
    named = (words.verb, words.noun, f"{words.verb} {words.noun}")
    return (
        query.show in ("all", "files") and not query.by and query.video in (None, "", one.video) and (not query.name or query.name in named)
    )


def _row_of_file(ledger: Ledger, names: Mapping[str, str], one: FileLabel) -> Json:
    return {**of_file(ledger, one), "name": names[one.video], "reading": "first", "is_conflict": False, "conflict": None, "statements": []}


def _fits(
    ledger: Ledger, query: ReviewQuery, standing: Said, covering: Callable[[str], Covering | None], known: Mapping[str, Known]
) -> bool:
    return (
        (not query.video or standing[-1].video == query.video)
        and (not query.by or any(one.by == query.by for one in standing))
        and (not query.name or query.name in _words(ledger, standing[-1]))
        and _is_shown(ledger, query.show, standing, covering, known)
    )


def _row(
    ledger: Ledger, names: Mapping[str, str], standing: Said, covering: Callable[[str], Covering | None], known: Mapping[str, Known]
) -> Json:
    last, about = standing[-1], _of_clip(standing)
    interval = covering(about[-1].uid) if about else None
    verb, noun = ledger.words(last) or (None, None)
    is_action = isinstance(last, IntervalStatement) or last.answer == "action"
    return {
        **({} if isinstance(last, ClipStatement) else {"answer": "action", "reading": "first"}),
        **last.model_dump(mode="json"),
        **({"verb": verb, "noun": noun} if is_action else {}),
        "name": names.get(last.video, last.video[:12]),
        "is_conflict": people_differ(ledger, about),
        "conflict": conflict_of(ledger, about, interval, known.get(about[-1].uid) if about else None),
        "over": interval.token if interval else None,
        "statements": [one.model_dump(mode="json", include={"by", "at", "answer", "verb", "noun", "reading", "token"}) for one in standing],
    }


def _of_clip(standing: Said) -> Sequence[ClipStatement]:
    return [one for one in standing if isinstance(one, ClipStatement)]


def _words(ledger: Ledger, statement: ClipStatement | IntervalStatement) -> tuple[str, ...]:
    words = ledger.words(statement)
    return (*words, " ".join(words)) if words else ()


def _is_shown(ledger: Ledger, show: str, standing: Said, covering: Callable[[str], Covering | None], known: Mapping[str, Known]) -> bool:
    about = _of_clip(standing)
    match show:
        case "files":
            return False
        case "intervals":
            return not about
        case "conflicts":
            return people_differ(ledger, about) or bool(
                about and in_conflict(ledger, about, covering(about[-1].uid), known.get(about[-1].uid))
            )
        case "unsure":
            return bool(about) and about[-1].answer == "unsure"
        case "second":
            return any(one.reading == "second" for one in about)
        case _:
            return True
