"""Download from and query untrusted public http(s) URLs, with limits on size and time."""

import asyncio
import ipaddress
import json
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from tasks.disk import check_room
from tasks.errors import BadInput, TooLarge, Unavailable

MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 16 << 20
NUM_TRIES = 3
CHUNK_BYTES = 1 << 20
TIMEOUT = httpx.Timeout(60, connect=10)
GRACE_SECONDS = 90
"""Longer than the read timeout, so that a stalled connection is retried. Otherwise, it would be reported as slow."""

MIN_BYTES_PER_SECOND = 256 << 10
"""Minimum average speed after the grace period. Enough time for the largest allowed file, but not for a server that trickles bytes."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def is_url(source: str) -> bool:
    """Check whether `source` is a URL rather than a path."""
    return "://" in source


def download(url: str, path: Path, *, max_bytes: int, allow_private: bool) -> None:
    """Stream `url` to `path`, and remove the file on failure.

    Every redirect is resolved, checked, and fetched from exactly the IP address that was checked.

    Raises:
        BadInput: the URL is not http(s), malformed or private, the server refuses (4xx), or the content does not decode.
        TooLarge: the content exceeds `max_bytes`.
        Unavailable: the server does not answer after three tries, or is slower than `MIN_BYTES_PER_SECOND`.
        OSError: the disk is full, for example.
    """
    for try_number in range(1, NUM_TRIES + 1):
        try:
            asyncio.run(_download_in_time(url, path, max_bytes, allow_private))
        except (httpx.TransportError, Unavailable) as error:
            path.unlink(missing_ok=True)
            if try_number == NUM_TRIES:
                raise Unavailable(f"{url} cannot be downloaded: {error or type(error).__name__}") from error
            time.sleep(2 ** (try_number - 1))
        except TimeoutError as error:
            path.unlink(missing_ok=True)
            raise Unavailable(
                f"{url} cannot be downloaded: the server sends less than {MIN_BYTES_PER_SECOND >> 10} KiB per second; "
                "download the file by other means and give its path"
            ) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        else:
            return


def ask(method: str, url: str, *, allow_private: bool, body: Mapping[str, object] | None = None) -> object:
    """Send a request with a JSON body once, and return the server's JSON answer.

    Raises:
        BadInput: as `download`, or the answer is a redirect or no JSON.
        Unavailable: the server does not answer.
    """
    try:
        return asyncio.run(_ask_in_time(method, url, allow_private, body))
    except (httpx.TransportError, TimeoutError) as error:
        raise Unavailable(f"{url} does not answer: {error or type(error).__name__}") from error


async def _ask_in_time(method: str, url: str, allow_private: bool, body: Mapping[str, object] | None) -> object:
    async with asyncio.timeout(GRACE_SECONDS), _client() as client:
        response = await _send(client, url, allow_private, method, body)
        try:
            answer = bytearray()
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise _too_large(url, MAX_ANSWER_BYTES)
        finally:
            await response.aclose()
    if response.status_code >= 500 or response.status_code == 429:
        raise Unavailable(f"{url}: the server answers {response.status_code}")
    if response.status_code != 200:
        reason = answer[:200].decode(errors="replace")
        raise BadInput(f"{url}: the server answers {response.status_code} {response.reason_phrase}: {reason}")
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{url}: the server's answer is no JSON ({error})") from error


async def _download_in_time(url: str, path: Path, max_bytes: int, allow_private: bool) -> None:
    async with asyncio.timeout(GRACE_SECONDS) as deadline, _client() as client:
        for _ in range(MAX_REDIRECTS + 1):
            response = await _send(client, url, allow_private)
            try:
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["location"])
                    continue
                _check(response, url, max_bytes)
                check_room(path, _announced_bytes(response))
                await _write(response, path, url, max_bytes, deadline)
                return
            finally:
                await response.aclose()
    raise BadInput(f"{url}: more than {MAX_REDIRECTS} redirects")


def _client() -> httpx.AsyncClient:
    # Nested or unlimited decompression could expand a few bytes to gigabytes before they are counted.
    headers = {"accept-encoding": "identity"}
    hooks = {"response": [_check_location]}
    return httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False, headers=headers, event_hooks=hooks)


async def _send(
    client: httpx.AsyncClient, url: str, allow_private: bool, method: str = "GET", body: Mapping[str, object] | None = None
) -> httpx.Response:
    try:
        return await client.send(await _pinned_request(client, url, allow_private, method, body), stream=True)
    except (ValueError, httpx.InvalidURL) as error:
        # A UnicodeError's message is about codecs, which does not help people.
        reason = "its host name is malformed" if isinstance(error, UnicodeError) else error
        raise BadInput(f"{url!r} is not an address that can be downloaded ({reason}); correct it") from error


async def _check_location(response: httpx.Response) -> None:
    """Check a redirect before httpx parses it, whose error would be retried as the server's."""
    if response.has_redirect_location:
        location = response.headers["location"]
        try:
            urlsplit(location)
            httpx.URL(location)
        except (ValueError, httpx.InvalidURL) as error:
            raise ValueError(f"the server redirects to {location!r}: {error}") from error


async def _pinned_request(
    client: httpx.AsyncClient, url: str, allow_private: bool, method: str, body: Mapping[str, object] | None
) -> httpx.Request:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url}: only http and https addresses are downloaded")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"the name {parts.hostname} cannot be resolved ({error.strerror})") from error
    address = str(infos[0][4][0])
    if not allow_private and not all(is_public(str(info[4][0])) for info in infos):
        raise BadInput(f"{url}: {parts.hostname} is a private address; set RETAKE_ALLOW_PRIVATE_ADDRESSES=true to allow it")
    asked = httpx.URL(url)
    headers, extensions = {"host": asked.netloc.decode()}, {"sni_hostname": asked.raw_host.decode()}
    return client.build_request(method, asked.copy_with(host=address), json=body, headers=headers, extensions=extensions)


def is_public(address: str) -> bool:
    """Check that an IP address belongs to no private network, in any spelling."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip.ipv4_mapped or ip.sixtofour
        if carried is None and ip not in GLOBAL_UNICAST:
            return False
        ip = carried or ip
    return ip.is_global and not ip.is_multicast


def _check(response: httpx.Response, url: str, max_bytes: int) -> None:
    if response.status_code >= 500 or response.status_code == 429:
        raise Unavailable(f"the server answers {response.status_code}")
    if response.is_redirect:
        raise BadInput(f"{url}: the server answers {response.status_code} {response.reason_phrase} without a redirect address")
    if response.status_code != 200:
        raise BadInput(f"{url}: the server answers {response.status_code} {response.reason_phrase}")
    if _announced_bytes(response) > max_bytes:
        raise _too_large(url, max_bytes)


def _announced_bytes(response: httpx.Response) -> int:
    return int(response.headers.get("content-length", 0))


async def _write(response: httpx.Response, path: Path, url: str, max_bytes: int, deadline: asyncio.Timeout) -> None:
    unzip = _unzipper(response, url)
    started_at = asyncio.get_running_loop().time()
    with path.open("wb") as file:
        async for chunk in response.aiter_raw():
            deadline.reschedule(started_at + GRACE_SECONDS + response.num_bytes_downloaded / MIN_BYTES_PER_SECOND)
            for content in [chunk] if unzip is None else _decompress(chunk, unzip, url):
                file.write(content)
                # Count compressed bytes too: an endless stream may decompress to nothing.
                if max(file.tell(), response.num_bytes_downloaded) > max_bytes:
                    raise _too_large(url, max_bytes)
    if unzip is not None and not unzip.eof:
        raise BadInput(f"{url}: the server's gzip data is truncated")


def _unzipper(response: httpx.Response, url: str) -> "zlib._Decompress | None":
    """Return a gzip decompressor, for servers that send nothing else; None without encoding."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding not in ("gzip", "x-gzip"):
        raise BadInput(f"{url}: the server sends the file as {encoding!r}; only gzip is supported, and only once")
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _decompress(chunk: bytes, unzip: "zlib._Decompress", url: str) -> Iterator[bytes]:
    """Decompress a chunk in pieces of bounded size."""
    try:
        while chunk and not unzip.eof:
            yield unzip.decompress(chunk, CHUNK_BYTES)
            chunk = unzip.unconsumed_tail
    except zlib.error as error:
        raise BadInput(f"{url}: the server declares gzip but sends other data ({error})") from error
    if chunk or unzip.unused_data:
        raise BadInput(f"{url}: the server sends extra data after the gzip")


def _too_large(url: str, max_bytes: int) -> TooLarge:
    return TooLarge(f"{url}: larger than the limit of {max_bytes / 2**20:g} MiB")
