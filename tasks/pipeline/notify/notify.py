"""Send word to people: of an ended run and the state of its store, a notice, or a test."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.loop.advice import next_steps, sentence
from tasks.loop.delivery import deliver
from tasks.loop.events import Facts, Space, notices
from tasks.loop.live import Live
from tasks.loop.summary import read_status
from tasks.options import RegisterOptions
from tasks.pipeline._step import log
from tasks.pipeline.notify.contract import NotifyArguments
from tasks.settings import ApprovalSettings, MachineSettings, NotifySettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.notices import EndedRun, Notice, Notified, NotifyResult
from tasks.store.records.record import Record, now_utc
from tasks.store.records.status import LoopStatus
from tasks.store.stored import Stored

R = TypeVar("R", bound=Record)
TEST = Notice(event="digest", title="Retake can reach you", text="This is a test of RETAKE_NOTIFY", url="")


def run(arguments: NotifyArguments, store: Store) -> NotifyResult:
    """Send notices to all addresses, each once, and remember those that somebody got.

    Raises:
        BadConfiguration: there is no address to send a test to.
        Unavailable: an address did not get a notice.
    """
    settings = load(NotifySettings)
    causes: dict[str, str] = {}
    if arguments.ended:
        facts, causes = _facts(arguments.ended, settings, store)
        due = list(notices(facts, causes, settings.notify_events))
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
        sent += [notice] if len(failed) < len(addresses) else []
    if arguments.ended and (told := {notice.about: notice.cause for notice in sent if notice.about}):
        store.write(Layout(arguments.ended.store).status.notified, Notified(causes=causes | told))
    if failures:
        raise Unavailable(f"RETAKE_NOTIFY: {'; '.join(dict.fromkeys(failures))}; `python -m tasks notify` sends a test")
    return NotifyResult(sent=tuple(notice.title for notice in sent))


def _facts(ended: EndedRun, settings: NotifySettings, store: Store) -> tuple[Facts, dict[str, str]]:
    """Gather what the events depend on, and the causes of earlier notices. A store that is away leaves out its part."""
    model_name = RegisterOptions().model_name
    try:
        status = read_status(store, ended.store, model_name)
        known = _known(store, Layout(ended.store).status.notified)
    except (BadConfiguration, Unavailable) as error:
        log.warning("nothing is told of the store: %s", error)
        status, known = LoopStatus(store=ended.store, model_name=model_name), None
    now = now_utc()
    has_parts = any((status.films, status.labels, status.dataset, status.model))
    facts = Facts(
        ended=ended,
        now=datetime.fromisoformat(now),
        idle_days=settings.notify_idle_days,
        status=status,
        spaces=_spaces(status, settings.notify_store_gib),
        sentence=sentence(status, now) if has_parts else "",
        steps=tuple(step.text for step in next_steps(status, Live(now=now), lambda path: path)),
    )
    return facts, dict(known.causes) if known else {}


def _addresses(notice: Notice, settings: NotifySettings) -> list[str]:
    """List the addresses of approvers, if only they may answer and have some, else those of everybody."""
    approvers = load(ApprovalSettings).approvers.values() if notice.for_approvers else ()
    own = [address for approver in approvers if (address := approver.get_secret_value())]
    return own or [address.get_secret_value() for address in settings.notify]


def _spaces(status: LoopStatus, store_gib: float | None) -> tuple[Space, ...]:
    """Measure the disks of this machine, and the store where people say how much it may have.

    In a container, the root is on the disk of the machine, and the cache may be in memory.
    """
    cache = load(MachineSettings).cache_dir.expanduser()
    folders = {folder.stat().st_dev: folder for folder in (Path("/"), next(path for path in (cache, *cache.parents) if path.exists()))}
    disks = [(f"The disk of {folder}", shutil.disk_usage(folder)) for folder in folders.values()]
    spaces = [Space(name, usage.total - usage.free, usage.total) for name, usage in disks]
    if store_gib and status.space:
        uses = status.space.before if status.space.is_dry_run else status.space.after
        used_bytes = sum(use.size_bytes for use in uses if " " not in use.name)  # caches and databases have names of several words
        spaces.append(Space(status.store, used_bytes, store_gib * 2**30))
    return tuple(spaces)


def _known(store: Store, place: Stored[R]) -> R | None:
    try:
        return store.read(place)
    except BadInput:  # there is none yet, or another version wrote it
        return None
