"""Decide which notices an ended run and its store give, and deliver them by Apprise.

One table has the events. No message of this module has more of an address than its scheme.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from tasks.disk import LEAST_FREE, Space
from tasks.errors import BadConfiguration
from tasks.keys import content_key
from tasks.settings import LOOP_PATH, EventName, in_airflow
from tasks.store.layout import Layout
from tasks.store.records.decisions import DecideResult
from tasks.store.records.prediction import PredictReportResult
from tasks.store.records.record import Record
from tasks.store.records.status import EndedRun, LoopStatus, Notice
from tasks.store.records.video import SummaryResult
from tasks.wording import WORD_JOINER, count, percent, printable, size, without_secrets

R = TypeVar("R", bound=Record)
WAITING = timedelta(days=1)
MAX_STEPS = 3
"""In a digest."""
DIGEST_HOUR = timedelta(hours=6)
"""After the start of the week, Monday 00:00 UTC."""
MAX_CHARACTERS = 300
DELIVER_SECONDS = 10


@dataclass(frozen=True)
class Facts:
    """The facts that the events depend on."""

    ended: EndedRun
    now: datetime
    idle_days: int
    status: LoopStatus
    spaces: tuple[Space, ...] = ()
    sentence: str = ""
    steps: tuple[str, ...] = ()

    @property
    def loop_url(self) -> str:
        """Return the address of the page that shows the loop."""
        return in_airflow(self.ended.run_url, LOOP_PATH)

    @property
    def week(self) -> str:
        """Return the week, such as `2026-W48`."""
        return self.now.strftime("%G-W%V")

    def result(self, dag_id: str, model: type[R]) -> R | None:
        """Return the run's result; None without one, or if another DAG ran."""
        return model.model_validate(self.ended.result) if self.ended.dag_id == dag_id and self.ended.result else None


def _champion(facts: Facts) -> Notice | None:
    decided = facts.result("retrain", DecideResult)
    if decided is None or not decided.promoted:
        return None
    return Notice(
        event="champion",
        title=f"Version {decided.version} of {decided.model_name} is {'the provisional' if decided.provisional else 'the new'} champion",
        text=decided.reason,
        url=decided.report_url or facts.ended.run_url,
        about=f"champion {decided.model_name}",
        cause=str(decided.version),
    )


def _failed(facts: Facts) -> Notice | None:
    """Tell of a failed run; of scheduled runs that fail in a row, the first."""
    ended = facts.ended
    if not ended.is_failed or (ended.is_scheduled and ended.failed_before):
        return None
    return Notice(
        event="failed",
        title=f"{ended.dag_id} failed",
        text=ended.reason or "No task failed; it took too long, or its tasks wait for one another",
        url=ended.run_url,
    )


def _set_aside(facts: Facts) -> Notice | None:
    done = facts.result("ingest_videos", SummaryResult) or facts.result("predict_videos", PredictReportResult)
    if done is None or not done.num_set_aside:
        return None
    first = done.first_set_aside[0]
    more = f"; and {count(done.num_set_aside - 1, 'more file')}" if done.num_set_aside > 1 else ""
    return Notice(
        event="set_aside",
        title=f"{facts.ended.dag_id} set {count(done.num_set_aside, 'file')} aside",
        text=f"{first.name}: {first.reason}{more}",
        url=facts.ended.run_url,
        about=f"set aside by {facts.ended.dag_id}",
        cause=content_key({"files": [file.model_dump() for file in done.first_set_aside], "num": done.num_set_aside}),
    )


def _unlike(facts: Facts) -> Notice | None:
    report = facts.result("predict_videos", PredictReportResult)
    known = facts.status.predictions.predictions if report and facts.status.predictions else ()
    prediction = next((prediction for prediction in known if report and prediction.report_url == report.report_url), None)
    if prediction is None or not prediction.is_unlike:
        return None
    return Notice(
        event="unlike",
        title=f"Footage is unlike the training clips of {prediction.model}",
        text=prediction.unlike,
        url=prediction.report_url,
        about="unlike",
        cause=prediction.report_url,
    )


def _approval(facts: Facts) -> Notice | None:
    """Remind daily of the oldest question; the task that asked told of it at once."""
    waiting = sorted(facts.ended.waiting, key=lambda question: question.since)
    if not waiting or facts.now - datetime.fromisoformat(waiting[0].since) < WAITING:
        return None
    others = f"; {count(len(waiting) - 1, 'other question')} without an answer" if waiting[1:] else ""
    return Notice(
        event="approval",
        title=waiting[0].subject,
        text=f"Without an answer since {waiting[0].since[:16].replace('T', ' ')} UTC{others}",
        url=waiting[0].url,
        about="approval",
        cause=facts.now.date().isoformat(),
        for_approvers=waiting[0].is_assigned,
    )


def _idle(facts: Facts) -> Notice | None:
    videos = facts.status.films
    if videos is None or videos.new_at is None:
        return None
    idle_days = (facts.now - datetime.fromisoformat(videos.new_at)).days
    if idle_days < facts.idle_days:
        return None
    return Notice(
        event="idle",
        title=f"No new video for {count(idle_days, 'day')}",
        text=f"The latest came on {videos.new_at[:10]}; put videos under {Layout(facts.ended.store).inbox.folder_uri}",
        url=facts.loop_url,
        about="idle",
        cause=videos.new_at,
    )


def _full(facts: Facts) -> Notice | None:
    """Tell of the fullest disk; of each, once a week."""
    space = min(facts.spaces, key=lambda space: space.free_share, default=None)
    if space is None or space.free_share >= LEAST_FREE:
        return None
    return Notice(
        event="full",
        title=f"{space.name} is nearly full: {percent(1 - space.free_share)}",
        text=f"{size(space.used_bytes)} of {size(space.all_bytes)} are used; make room, or let clean_up do so",
        url=in_airflow(facts.ended.run_url, "/dags/clean_up"),
        about=f"full {space.name}",
        cause=facts.week,
    )


def _digest(facts: Facts) -> Notice | None:
    monday = datetime.combine(facts.now.date() - timedelta(days=facts.now.weekday()), datetime.min.time(), facts.now.tzinfo)
    if not facts.sentence or facts.now < monday + DIGEST_HOUR:
        return None
    return Notice(
        event="digest", title=facts.sentence, text=" ".join(facts.steps[:MAX_STEPS]), url=facts.loop_url, about="digest", cause=facts.week
    )


EVENTS: tuple[tuple[Callable[[Facts], Notice | None], bool], ...] = (
    (_champion, False),
    (_failed, False),
    (_set_aside, False),
    (_unlike, False),
    (_approval, True),
    (_idle, True),
    (_full, True),
    (_digest, True),
)
"""Each event, and whether only the hourly run, that of `ingest_videos`, looks for it."""


def notices(facts: Facts, causes: Mapping[str, str], wanted: Collection[EventName]) -> Iterator[Notice]:
    """Yield the notices that people want and lack, by the `causes` of earlier ones."""
    is_hourly = facts.ended.dag_id == "ingest_videos" and facts.ended.is_scheduled
    for event, needs_hourly in EVENTS:
        notice = event(facts) if is_hourly or not needs_hourly else None
        if notice and notice.event in wanted and (not notice.about or causes.get(notice.about) != notice.cause):
            yield notice


def deliver(notice: Notice, addresses: Sequence[str]) -> list[str]:
    """Send a notice once, to all addresses at the same time.

    Returns the failures with their reasons.

    Raises:
        BadConfiguration: Apprise is not installed.
    """
    try:
        from apprise import Apprise, AppriseResultStatus, NotifyFormat
    except ImportError:
        raise BadConfiguration("apprise is not installed; run this where Airflow runs, or: pip install -e '.[airflow]'") from None
    names = {f"to-{number}": f"address {number} ({_scheme(address)})" for number, address in enumerate(addresses, 1)}
    apprise = Apprise()
    with _silence():
        unknown = [name for (tag, name), address in zip(names.items(), addresses, strict=True) if not apprise.add(address, tag=tag)]
        title, body = one_line(notice.title), f"{one_line(notice.text)}\n{notice.url}"
        told = apprise.notify(body, title, body_format=NotifyFormat.TEXT, timeout=DELIVER_SECONDS) if len(apprise) else ()
    return [f"{name} is none that Apprise knows" for name in unknown] + [
        f"{names[result.tag[0]]} "
        + ("took too long" if result.status == AppriseResultStatus.TIMEOUT else "refused a notice, or did not answer")
        for result in told
        if not result
    ]


@contextmanager
def _silence() -> Iterator[None]:
    """Log nothing: Apprise and its clients quote addresses, which have passwords and tokens in them."""
    logging.getLogger("apprise").disabled = True  # for ever: a thread of it may go on after the limit
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _scheme(address: str) -> str:
    scheme = re.match(r"([a-z]{1,20})://", address)
    return scheme[1] if scheme else "without a scheme"


def one_line(text: str) -> str:
    """Put untrusted text on one line that calls nobody: in chats, `@all` and `<!channel>` would."""
    line = printable(without_secrets(" ".join(text.split())))
    short = line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS]}…"
    return re.sub("[@<]", lambda sign: sign[0] + WORD_JOINER, short)
