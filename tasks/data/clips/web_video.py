"""List and download the videos of web pages, by a child process without keys."""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from tasks.data.video.child import run_child
from tasks.download import MIN_BYTES_PER_SECOND
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.options import IngestOptions
from tasks.settings import MachineSettings, load
from tasks.store.records.video import WebPage

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


class Job(BaseModel):
    """A page for the child process; without `folder` its videos are only listed."""

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
    """Make a file name of a video's id or address, without its perhaps secret query."""
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
        videos = Listing.model_validate_json(_answer(_job(address, None, IngestOptions()))).videos
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
        downloaded = Downloaded.model_validate_json(_answer(_job(address, folder, options)))
        shutil.move(downloaded.file, path)
        shutil.rmtree(folder)
    return downloaded.page


def _job(address: str, folder: Path | None, options: IngestOptions) -> Job:
    return Job(address=address, folder=folder, options=options, allow_private=load(MachineSettings).allow_private_addresses)


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
        [sys.executable, "-m", "tasks.data.clips.web_reader", job.model_dump_json()],
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
