"""Choose TCP ports on loopback.

The usual number if it is free, else the next free one.
"""

import socket
from collections.abc import Iterable, Mapping

from tasks.errors import BadConfiguration

LOOPBACK = "127.0.0.1"
_SEARCHED = 200


def is_free(port: int) -> bool:
    """Check whether a server can listen on `port` now. Lingering closed connections do not block it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def choose(wanted: Mapping[str, int], avoid: Iterable[int] = ()) -> dict[str, int]:
    """Choose a distinct free port per name, none of `avoid`.

    It is the wanted one, or the next above it.

    Raises:
        BadConfiguration: none of the next 200 is free.
    """
    taken = set(avoid)
    chosen: dict[str, int] = {}
    for name, first in wanted.items():
        candidates = range(first, min(first + _SEARCHED, 65536))
        port = next((p for p in candidates if p not in taken and is_free(p)), None)
        if port is None:
            raise BadConfiguration(
                f"no free port for {name} from {first} to {candidates.stop - 1}; set RETAKE_PORT_OFFSET to move all ports"
            )
        taken.add(port)
        chosen[name] = port
    return chosen
