"""List labels for the view *Review*."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.dataset.statements import Ledger
from tasks.labelling.asked import ReviewQuery
from tasks.labelling.clips import Cut
from tasks.labelling.desk import View
from tasks.labelling.queue import Reader, people_differ
from tasks.results.labelling import ClipStatement

Json = dict[str, Any]
ROWS_PER_PAGE = 50


def reviewed(view: View, cuts: Sequence[Cut], ledger: Ledger, query: ReviewQuery, reader: Reader) -> Json:
    """List a page of labels, the latest first, without those of clips that the person is to read as the second.

    `num_hidden` counts these. Clips of all ways of cutting count, whichever is shown.
    """
    seen, num_hidden = list[Sequence[ClipStatement]](), 0
    for _, standing in ledger.clips():
        uid = standing[-1].uid
        if reader.is_second(uid, standing) and any(uid in cut.clips for cut in cuts):
            num_hidden += 1
        else:
            seen.append(standing)
    found = [standing for standing in seen if _fits(ledger, query, standing)]
    found.sort(key=lambda standing: ledger.number(standing[-1]), reverse=True)
    shown = found[query.page * ROWS_PER_PAGE : (query.page + 1) * ROWS_PER_PAGE]
    return {
        "rows": [_row(ledger, view.cut.names, standing) for standing in shown],
        "num_rows": len(found),
        "num_hidden": num_hidden,
        "rows_per_page": ROWS_PER_PAGE,
        "people": sorted({one.by for _, standing in ledger.clips() for one in standing}),
    }


def _fits(ledger: Ledger, query: ReviewQuery, standing: Sequence[ClipStatement]) -> bool:
    return (
        (not query.video or standing[-1].video == query.video)
        and (not query.by or any(one.by == query.by for one in standing))
        and (not query.name or query.name in _words(ledger, standing[-1]))
        and _is_shown(ledger, query.show, standing)
    )


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
