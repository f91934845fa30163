"""Deliver notices by Apprise. No message of this module has more of an address than its scheme."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tasks.errors import BadConfiguration
from tasks.store.records.notices import Notice
from tasks.wording import WORD_JOINER, printable, without_secrets

MAX_CHARACTERS = 300
DELIVER_SECONDS = 10


def deliver(notice: Notice, addresses: Sequence[str]) -> list[str]:
    """Send a notice to all addresses at once, without a retry; return why each of the others did not get it.

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
    """Log nothing: messages of Apprise and of its clients quote addresses, which have passwords and tokens.

    Apprise stays silent, because a thread of it may go on after the limit.
    """
    logging.getLogger("apprise").disabled = True
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
