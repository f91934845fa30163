"""Follow the log of a container across broken connections, each line once."""

import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from docker.errors import create_api_error_from_http_exception  # type: ignore[import-not-found]  # it publishes no types
from requests import HTTPError

SILENCE_SECONDS = 60.0
"""Reconnect after this long without a line: a dead connection looks like silence."""

FRAME_HEADER = struct.Struct(">BxxxL")


class ContainerLog:
    """Pass the lines that a container writes to stderr to `emit`."""

    def __init__(self, client: Any, name: str, emit: Callable[[str], None]) -> None:  # noqa: ANN401 - docker publishes no types
        self._client = client
        self._name = name
        self._emit = emit
        self._stamp = ""
        self.last_line = ""

    def follow(self) -> None:
        """Emit new lines until the container or the connection ends.

        Raises:
            docker.errors.APIError: the engine refuses.
            requests.RequestException, urllib3.exceptions.HTTPError: the connection broke.
        """
        seen = self._stamp
        text = b""
        for stamp, part in self._parts():
            text += part
            if text.endswith(b"\n"):
                if stamp > seen:
                    self._hand_on(stamp, text)
                text = b""

    def _hand_on(self, stamp: str, text: bytes) -> None:
        line = text.decode(errors="replace").rstrip()
        self._stamp = stamp
        self.last_line = line.strip() or self.last_line
        self._emit(line)

    def _parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield lines, or parts of long lines, with the engine's timestamps."""
        url = f"{self._client.base_url}/v{self._client.api_version}/containers/{self._name}/logs"
        # `since` has whole seconds: the timestamp tells which lines of that second were emitted before.
        since = int(datetime.fromisoformat(f"{self._stamp[:19]}+00:00").timestamp()) if self._stamp else 0
        wanted = {"follow": 1, "stderr": 1, "stdout": 0, "timestamps": 1, "since": since}
        with self._client.get(url, params=wanted, stream=True, timeout=SILENCE_SECONDS) as response:
            try:
                response.raise_for_status()
            except HTTPError as error:
                create_api_error_from_http_exception(error)
            while len(header := response.raw.read(FRAME_HEADER.size)) == FRAME_HEADER.size:
                _, length = FRAME_HEADER.unpack(header)
                stamp, _, part = response.raw.read(length).partition(b" ")
                yield stamp.decode(), part
