"""List and download the videos of web pages, by a child process without keys that runs yt-dlp.

The child reads the metadata first, then checks licence, length and live state, then takes the file.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from tasks.data.video.child import run_child
from tasks.disk import check_room, full_disk
from tasks.download import MIN_BYTES_PER_SECOND, is_public
from tasks.errors import BadConfiguration, BadInput, RetakeError, TooLarge, Unavailable
from tasks.options import IngestOptions
from tasks.settings import MachineSettings, load
from tasks.store.records.video import WebPage
from tasks.wording import listed, printable, size

log = logging.getLogger("retake")

PAGE_PREFIX = "web:"
"""Before the address of a page, to tell it from that of a file."""

PAUSE_SECONDS = 10
"""Pause before each video: sites refuse a machine that asks for many."""
START_SECONDS = 600
CHILD_BYTES = 32 << 30
"""Address space: deno, which solves YouTube's riddles, reserves most of it without using it."""

PACKAGES = Path(__file__).parents[3]
PAGE_ADDRESS = re.compile(r"https?://[^/?#@\s]+([/?#]\S*)?")
NOT_IN_NAMES = re.compile(r"[^\w.-]+|^\.+")
BY_OTHER_MEANS = "; download it by other means, with its licence, and give the file's path"

SITES = ("youtube", "youtubeytbe", "youtube:tab", "youtube:playlist", "wikimedia.org")
"""yt-dlp's extractors of sites that name a licence, and whose videos lie on their own servers."""
OWN_NETWORK = "generic"
"""The extractor of any other page. It goes wherever a page leads, so it needs `RETAKE_ALLOW_PRIVATE_ADDRESSES`."""

FORMAT = "b[protocol^=http]/bv*[protocol^=http]"
FORMAT_ORDER = ("res:1080", "vcodec:h264")
"""A single file, with sound if there is one, so that nothing has to be joined by ffmpeg outside of its limits."""

REQUEST_PAUSE_SECONDS = 1

SHORT = re.compile(r"(?<=^https://www\.youtube\.com/)shorts/")
CREATIVE_COMMONS = re.compile(r"creative ?commons", re.IGNORECASE)
LIVE = {
    "is_live": "it is live; take it once it has ended",
    "is_upcoming": "it has not begun; take it once it has ended",
    "post_live": "its recording is not ready; take it later",
}


class Job(BaseModel):
    """A page for the child process; `folder` is None if its videos are only to be listed."""

    address: str
    folder: Path | None
    options: IngestOptions
    allow_private: bool


class ListedVideo(BaseModel):
    """A video of a page; `is_part` if its address names a start or an end."""

    name: str
    address: str
    is_part: bool


class Listing(BaseModel):
    """The videos of a page: one, or those of its list."""

    videos: tuple[ListedVideo, ...]


class Downloaded(BaseModel):
    """A downloaded file and the metadata of its page."""

    page: WebPage
    file: Path


def is_page(source: str) -> bool:
    """Check whether `source` is the address of a page rather than of a file."""
    return source.startswith(PAGE_PREFIX)


def name_of(address: str) -> str:
    """Make a file name of a video's id, or of its address without the query, which may have secrets."""
    return NOT_IN_NAMES.sub("_", address.partition("?")[0].rpartition("/")[2] or "video")


def listed_videos(source: str) -> Iterator[ListedVideo]:
    """Yield each video of a page once.

    A page that cannot be listed is yielded itself: it fails alone, later.

    Raises:
        BadConfiguration: yt-dlp is not installed.
        Unavailable: no child process can be started.
    """
    address = source.removeprefix(PAGE_PREFIX)
    try:
        videos = Listing.model_validate_json(_answer(Job(address=address, folder=None, **_limits(IngestOptions())))).videos
    except BadInput:
        videos = (ListedVideo(name=name_of(address), address=address, is_part=False),)
    for video in {video.address: video for video in videos}.values():
        if video.is_part:
            log.warning("%s: its address names a part, and the whole video is taken; docs/labels.md says how to use a part", video.name)
        yield video


def download_video(address: str, path: Path, options: IngestOptions) -> WebPage:
    """Download the video of a page to `path`.

    One video is downloaded at a time on this machine, and an interrupted download goes on.

    Raises:
        BadInput: the page's licence, length, size or live state does not allow it, or it cannot be downloaded.
        BadConfiguration: yt-dlp is not installed.
        Unavailable: the disk is full, or no child process can be started.
    """
    with _turn() as root:
        time.sleep(PAUSE_SECONDS)
        folder = root / hashlib.sha256(address.encode()).hexdigest()[:16]
        answer = _answer(Job(address=address, folder=folder, **_limits(options)))
        downloaded = Downloaded.model_validate_json(answer)
        shutil.move(downloaded.file, path)
        shutil.rmtree(folder)
    return downloaded.page


def _limits(options: IngestOptions) -> dict[str, Any]:
    return {"options": options, "allow_private": load(MachineSettings).allow_private_addresses}


@contextmanager
def _turn() -> Iterator[Path]:
    """Wait until no other process of this machine downloads from pages."""
    root = load(MachineSettings).cache_dir / "web"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        # On a file system without such locks, two downloads may run at once.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield root


def _answer(job: Job) -> str:
    """Let a child process do a job, and return its answer."""
    if find_spec("yt_dlp") is None:
        raise BadConfiguration(
            f"{PAGE_PREFIX}{job.address}: web pages need yt-dlp, which is not installed: .venv/bin/pip install -c constraints.txt -e '.[web]'; "
            "in containers set RETAKE_WORKER_EXTRAS=steps,web and run make build"
        )
    if not PAGE_ADDRESS.fullmatch(job.address):
        raise BadInput(f"{job.address!r} is no address of a page; write {PAGE_PREFIX}https://…, without a user and a password")
    max_bytes = job.options.max_video_mib << 20
    seconds = START_SECONDS + max_bytes / MIN_BYTES_PER_SECOND if job.folder else START_SECONDS
    status, text = run_child(
        [sys.executable, "-m", "tasks.data.clips.web_video", job.model_dump_json()],
        folder=PACKAGES,
        memory_bytes=CHILD_BYTES,
        time_limit_seconds=seconds,
        read=lambda stream: stream.read(),
        # Above what is taken, so that the reader itself stops a larger video and says so.
        max_file_bytes=2 * max_bytes,
        variables={"YTDLP_NO_PLUGINS": "1"} | {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ},
    )
    answer = text.rstrip("\n").rpartition("\n")[2]
    if status == 0:
        return answer
    if status == Unavailable.exit_code:
        raise Unavailable(answer)
    if status == BadInput.exit_code:
        raise BadInput(answer)
    reason = f"takes longer than {seconds:.0f} s" if status is None else f"fails ({answer})"
    raise BadInput(f"yt-dlp {reason}{BY_OTHER_MEANS}")


def main() -> int:
    """Answer as the child process of a `Job`."""
    job = Job.model_validate_json(sys.argv[1])
    # Its connections are made by a C library, past the check of addresses.
    sys.modules["curl_cffi"] = None  # type: ignore[assignment]
    if not job.allow_private:
        refuse_private_addresses()
    try:
        answer = answer_to(job)
    except RetakeError as error:
        sys.stdout.write(" ".join(str(error).split()))
        return error.exit_code
    sys.stdout.write(answer)
    return 0


def answer_to(job: Job) -> str:
    """List the videos of a page, or download its video, and return that as JSON.

    It is all ASCII: the caller reads by its own locale.

    Raises:
        BadInput: it cannot be read, or is refused.
        Unavailable: the disk is full.
    """
    with yt_dlp_for(job) as reader:
        if job.folder:
            return _downloaded(reader, job, job.folder).model_dump_json(ensure_ascii=True)
        info = reader.sanitize_info(reader.extract_info(job.address, download=False))
        return listing_of(info, job.address).model_dump_json(ensure_ascii=True)


def listing_of(info: Mapping[str, Any], address: str) -> Listing:
    """List the videos of a page by its metadata."""
    is_list = info.get("_type") in ("playlist", "multi_video")
    entries = [entry for entry in info.get("entries") or () if entry] if is_list else [info]
    return Listing(
        videos=tuple(
            ListedVideo(
                name=name_of(entry.get("id") or own),
                address=own,
                is_part=entry.get("start_time") is not None or entry.get("end_time") is not None,
            )
            for entry in entries
            # A tab lists a short by another address than that of its page.
            for own in [SHORT.sub("watch?v=", entry.get("webpage_url") or entry.get("url") or address)]
        )
    )


def _downloaded(downloader: Any, job: Job, folder: Path) -> Downloaded:  # noqa: ANN401 - yt-dlp has no types
    info = downloader.sanitize_info(downloader.extract_info(job.address, download=False), remove_private_keys=True)
    if reason := reason_to_refuse(info, job.options):
        raise BadInput(reason)
    folder.mkdir(parents=True, exist_ok=True)
    check_room(folder / "video", _size_bytes(info))
    downloader.params["ignore_no_formats_error"] = False
    try:
        done = downloader.process_ie_result(info, download=True)
    except TooLarge:
        # Only a download that may go on is kept.
        shutil.rmtree(folder)
        raise
    return Downloaded(page=page_of(info), file=done["requested_downloads"][0]["filepath"])


def reason_to_refuse(info: Mapping[str, Any], options: IngestOptions) -> str | None:
    """Say why the video of a page is not taken, by its metadata."""
    if info.get("_type", "video") != "video":
        return f"a page of several videos inside a list; name it as a source of its own, with {PAGE_PREFIX} before it"
    if not (_says_creative_commons(info) or _channels(info) & set(options.own_channels)):
        licence = f"its page names the licence {info['license']!r}" if info.get("license") else "its page names no licence"
        channels = listed(sorted(_channels(info)) or ["none that yt-dlp can tell"])
        return (
            f"{licence}, and only Creative Commons is taken: ask its author for the file and a permission, "
            f"or name its channel in own_channels if it is yours (here: {channels})"
        )
    if reason := LIVE.get(info.get("live_status") or ""):
        return reason
    if (info.get("duration") or 0) > options.max_video_minutes * 60:
        return f"{info['duration'] / 60:.0f} minutes long; at most {options.max_video_minutes} are allowed: raise max_video_minutes"
    if _size_bytes(info) > options.max_video_mib << 20:
        return _too_large(options)
    return None


def page_of(info: Mapping[str, Any]) -> WebPage:
    """Keep the credits of a video; of licences, only Creative Commons."""
    day = info.get("upload_date")
    return WebPage(
        address=info["webpage_url"],
        title=printable(info.get("title") or info["id"]),
        author=printable(info.get("channel") or info.get("uploader") or "") or None,
        published_on=datetime.strptime(day, "%Y%m%d").date() if day else None,
        licence=printable(info["license"]) if _says_creative_commons(info) else None,
    )


def _says_creative_commons(info: Mapping[str, Any]) -> bool:
    return bool(CREATIVE_COMMONS.search(info.get("license") or ""))


def _channels(info: Mapping[str, Any]) -> set[str]:
    """Name the channel of a video in all ways that nobody else can choose; a page of the own network belongs to its host."""
    channels = {info.get(key) for key in ("channel_id", "channel_url", "uploader_id", "uploader_url")}
    if str(info.get("extractor")).startswith(OWN_NETWORK):
        channels.add(urlsplit(info["webpage_url"]).netloc)
    return {channel for channel in channels if channel}


def _size_bytes(info: Mapping[str, Any]) -> int:
    return info.get("filesize") or info.get("filesize_approx") or 0


def _too_large(options: IngestOptions) -> str:
    return f"larger than {size(options.max_video_mib << 20)}; raise max_video_mib to take it"


class _Notes:
    """Keep yt-dlp's warnings for its error, and print nothing."""

    def __init__(self) -> None:
        self.last_warning = ""

    def debug(self, message: str) -> None:
        """Take a message that nobody needs."""

    def warning(self, message: str) -> None:
        """Keep a warning."""
        self.last_warning = message

    def error(self, message: str) -> None:
        """Take a message that the exception has, too."""


@contextmanager
def yt_dlp_for(job: Job) -> Iterator[Any]:
    """Yield a downloader; its failures become errors of ours."""
    import yt_dlp

    notes, max_bytes = _Notes(), job.options.max_video_mib << 20

    def limit(progress: Mapping[str, Any]) -> None:
        if (progress.get("downloaded_bytes") or 0) > max_bytes:
            raise TooLarge(_too_large(job.options))

    options = {
        "allowed_extractors": [*SITES, *([OWN_NETWORK] if job.allow_private else [])],
        "noplaylist": True,
        "extract_flat": "in_playlist",
        # The reason of a refusal is that of the metadata, even if nothing could be downloaded.
        "ignore_no_formats_error": True,
        "format": FORMAT,
        "format_sort": FORMAT_ORDER,
        "fixup": "never",
        "outtmpl": f"{job.folder}/%(id).50B.%(format_id).50B.%(ext)s",
        "cachedir": False,
        "proxy": "",
        "sleep_interval_requests": REQUEST_PAUSE_SECONDS,
        "socket_timeout": 60,
        "retries": 3,
        "progress_hooks": [limit],
        "logger": notes,
        "noprogress": True,
        "color": "never",
    }
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            yield downloader
    except (yt_dlp.utils.YoutubeDLError, OSError) as error:
        if full := full_disk(error):
            raise Unavailable(f"{job.folder}: the disk is full ({full.strerror}); make room there, or set RETAKE_CACHE_DIR") from error
        warned = f" ({notes.last_warning})" if notes.last_warning else ""
        raise BadInput(printable(f"{' '.join(str(error).removeprefix('ERROR:').split())}{warned}{BY_OTHER_MEANS}")) from error


def refuse_private_addresses() -> None:
    """Let this process connect to public addresses alone, each the one that was checked."""
    resolve = socket.getaddrinfo

    def resolve_public(host: str, *arguments: Any, **named: Any) -> list[Any]:  # noqa: ANN401 - as getaddrinfo
        infos = resolve(host, *arguments, **named)
        if not all(is_public(str(info[4][0])) for info in infos):
            raise socket.gaierror(socket.EAI_FAIL, f"{host} is a private address; set RETAKE_ALLOW_PRIVATE_ADDRESSES=true to allow it")
        return infos

    socket.getaddrinfo = resolve_public  # type: ignore[assignment]


if __name__ == "__main__":
    sys.exit(main())
