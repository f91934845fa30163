"""Downloads from http(s) addresses that people give: with a size limit, and no way into private networks."""

import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from tasks.errors import BadInput, Unavailable

MAX_REDIRECTS = 5
NUM_TRIES = 3
CHUNK_BYTES = 1 << 20
TIMEOUT = httpx.Timeout(60, connect=10)


def is_url(source: str) -> bool:
    """Whether `source` is meant as an address rather than a path."""
    return "://" in source


def download(url: str, path: Path, *, max_bytes: int, allow_private: bool) -> None:
    """Stream `url` to `path`; nothing is left there on failure.

    Every hop of a redirect is resolved, checked, and fetched from the very address that was checked.

    Raises:
        BadInput: no http(s) address, a malformed or private one, a refusal (4xx), content that does not decode, or more than `max_bytes`.
        Unavailable: the server does not answer after three tries.
    """
    for try_number in range(1, NUM_TRIES + 1):
        try:
            _download_once(url, path, max_bytes, allow_private)
        except (httpx.TransportError, Unavailable) as error:
            path.unlink(missing_ok=True)
            if try_number == NUM_TRIES:
                raise Unavailable(f"{url} cannot be downloaded: {error or type(error).__name__}") from error
            time.sleep(2 ** (try_number - 1))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        else:
            return


def _download_once(url: str, path: Path, max_bytes: int, allow_private: bool) -> None:
    hooks = {"response": [_check_location]}
    with httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False, event_hooks=hooks) as client:
        for _ in range(MAX_REDIRECTS + 1):
            response = _send(client, url, allow_private)
            try:
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["location"])
                    continue
                _check(response, url, max_bytes)
                _write(response, path, url, max_bytes)
                return
            finally:
                response.close()
    raise BadInput(f"{url}: more than {MAX_REDIRECTS} redirects")


def _send(client: httpx.Client, url: str, allow_private: bool) -> httpx.Response:
    try:
        return client.send(_pinned_request(client, url, allow_private), stream=True)
    except (ValueError, httpx.InvalidURL) as error:
        # The UnicodeError of a host name tells of codecs, which helps nobody.
        reason = "its host name is malformed" if isinstance(error, UnicodeError) else error
        raise BadInput(f"{url!r} is not an address that can be downloaded ({reason}); correct it") from error


def _check_location(response: httpx.Response) -> None:
    """Runs before httpx looks at the location, whose complaint would pass for a server in trouble."""
    if response.has_redirect_location:
        location = response.headers["location"]
        try:
            urlsplit(location)
            httpx.URL(location)
        except (ValueError, httpx.InvalidURL) as error:
            raise ValueError(f"the server redirects to {location!r}: {error}") from error


def _pinned_request(client: httpx.Client, url: str, allow_private: bool) -> httpx.Request:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url}: only http and https addresses are downloaded")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"the name {parts.hostname} cannot be resolved ({error.strerror})") from error
    address = str(found[0][4][0])
    if not allow_private and not all(_is_public(str(info[4][0])) for info in found):
        raise BadInput(f"{url}: {parts.hostname} is a private address; set RETAKE_ALLOW_PRIVATE_ADDRESSES=true to allow it")
    asked = httpx.URL(url)
    headers, extensions = {"host": asked.netloc.decode()}, {"sni_hostname": asked.raw_host.decode()}
    return client.build_request("GET", asked.copy_with(host=address), headers=headers, extensions=extensions)


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address).is_global


def _check(response: httpx.Response, url: str, max_bytes: int) -> None:
    if response.status_code >= 500 or response.status_code == 429:
        raise Unavailable(f"the server answers {response.status_code}")
    if response.is_redirect:
        raise BadInput(f"{url}: the server answers {response.status_code} {response.reason_phrase} without an address to go on to")
    if response.status_code != 200:
        raise BadInput(f"{url}: the server answers {response.status_code} {response.reason_phrase}")
    if int(response.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(url, max_bytes)


def _write(response: httpx.Response, path: Path, url: str, max_bytes: int) -> None:
    size_bytes = 0
    with path.open("wb") as file:
        for chunk in _chunks(response, url):
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise _too_large(url, max_bytes)
            file.write(chunk)


def _chunks(response: httpx.Response, url: str) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes(CHUNK_BYTES)
    except httpx.DecodingError as error:
        encoding = response.headers.get("content-encoding")
        raise BadInput(f"{url}: what the server sends is not {encoding}, though it says so ({error})") from error


def _too_large(url: str, max_bytes: int) -> BadInput:
    return BadInput(f"{url}: larger than the limit of {max_bytes / 2**20:g} MiB")
