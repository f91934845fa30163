"""Send notices and tests to people, and word of ended runs and their stores."""

from datetime import datetime

from tasks.data.clips.label_inputs import read_log
from tasks.data.labels.ledger import Ledger
from tasks.disk import Space, disks
from tasks.errors import BadConfiguration, Unavailable
from tasks.loop.next_steps import Live, next_steps, sentence
from tasks.loop.notices import Facts, deliver, notices
from tasks.loop.page_answers import PageAnswers, page_answers
from tasks.loop.summary import keep, main_model, read_known, read_status
from tasks.pipeline._results import log
from tasks.pipeline.loop.contract import NotifyArguments
from tasks.settings import ApprovalSettings, MachineSettings, NotifySettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import EndedRun, LoopStatus, Notice, Notified, NotifyResult

TEST = Notice(event="digest", title="Retake can reach you", text="This is a test of RETAKE_NOTIFY", url="")


def run(arguments: NotifyArguments, store: Store) -> NotifyResult:
    """Send notices to all addresses, each once, and remember those that somebody got.

    Raises:
        BadConfiguration: there is no address to send a test to.
        Unavailable: an address did not get a notice.
    """
    settings = load(NotifySettings)
    if arguments.ended:
        facts, causes = _facts(arguments.ended, settings, store)
        due = [notice for notice in notices(facts, causes or {}, settings.notify_events) if causes is not None or not notice.about]
    else:
        due = [notice for notice in [arguments.notice or TEST] if notice is TEST or notice.event in settings.notify_events]
    sent: list[Notice] = []
    failures: list[str] = []
    for notice in due:
        addresses = _addresses(notice, settings)
        if notice is TEST and not addresses:
            raise BadConfiguration("RETAKE_NOTIFY is empty; set it to Apprise addresses, such as mailto://USER:PASSWORD@HOST")
        failed = deliver(notice, addresses)
        failures += failed
        if len(failed) < len(addresses):
            sent.append(notice)
            if arguments.ended and notice.about:
                # At once: this process ends at a time limit, and another may write meanwhile.
                _remember(notice, Layout(arguments.ended.store), store)
    if failures:
        raise Unavailable(f"RETAKE_NOTIFY: {'; '.join(dict.fromkeys(failures))}; `python -m tasks notify` sends a test")
    return NotifyResult(sent=tuple(notice.title for notice in sent))


def _facts(ended: EndedRun, settings: NotifySettings, store: Store) -> tuple[Facts, dict[str, str] | None]:
    """Gather the facts that events depend on, and the causes of earlier notices."""
    causes: dict[str, str] | None = None  # while the store is away
    try:
        status = read_status(store, ended.store, main_model(store, ended.store))
        answers = page_answers(Ledger.of(read_log(store, ended.store)), status)
        known = read_known(store, Layout(ended.store).status.notified)
        causes = dict(known.causes) if known else {}
    except (BadConfiguration, Unavailable) as error:
        log.warning("nothing is told of the store, and nothing that may have been told before: %s", error)
        status, answers = LoopStatus(store=ended.store, model_name=""), PageAnswers()
    now = now_utc()
    has_parts = any((status.films, status.labels, status.dataset, status.model))
    facts = Facts(
        ended=ended,
        now=datetime.fromisoformat(now),
        idle_days=settings.notify_idle_days,
        status=status,
        spaces=_spaces(status, settings.notify_store_gib),
        sentence=sentence(status, now) if has_parts else "",
        steps=tuple(step.text for step in next_steps(status, Live(now=now, answers=answers), lambda path: path)),
    )
    return facts, causes


def _remember(notice: Notice, layout: Layout, store: Store) -> None:
    """Keep the cause of a notice."""
    keep(
        store, layout.status.notified, lambda earlier: Notified(causes={**(earlier.causes if earlier else {}), notice.about: notice.cause})
    )


def _addresses(notice: Notice, settings: NotifySettings) -> list[str]:
    """List the addresses of approvers, if only they may answer and have some, else all."""
    approvers = load(ApprovalSettings).approvers.values() if notice.for_approvers else ()
    own = [address for approver in approvers if (address := approver.get_secret_value())]
    return own or [address.get_secret_value() for address in settings.notify]


def _spaces(status: LoopStatus, store_gib: float | None) -> tuple[Space, ...]:
    """Measure the disks of this machine, and the store if its size is limited."""
    spaces = disks(load(MachineSettings).cache_dir)
    if store_gib and status.space:
        spaces.append(Space(status.store, status.space.store_bytes, store_gib * 2**30))
    return tuple(spaces)
