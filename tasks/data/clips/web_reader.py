"""List or download the videos of a web page by yt-dlp, as a child process."""

import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.data.clips.web_video import BY_OTHER_MEANS, PAGE_PREFIX, Downloaded, Job, ListedVideo, Listing, name_of
from tasks.disk import check_room, full_disk
from tasks.download import is_public
from tasks.errors import BadInput, RetakeError, TooLarge, Unavailable
from tasks.options import IngestOptions
from tasks.store.records.video import WebPage
from tasks.wording import listed, printable, size

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
    """Name the channel of a video in all ways that nobody else can choose."""
    channels = {info.get(key) for key in ("channel_id", "channel_url", "uploader_id", "uploader_url")}
    if str(info.get("extractor")).startswith(OWN_NETWORK):  # a page there belongs to its host
        channels.add(urlsplit(info["webpage_url"]).netloc)
    return {channel for channel in channels if channel}


def _size_bytes(info: Mapping[str, Any]) -> int:
    return info.get("filesize") or info.get("filesize_approx") or 0


def _too_large(options: IngestOptions) -> str:
    return f"larger than {size(options.max_video_mib << 20)}; raise max_video_mib to take it"


class _Notes:
    """Keep yt-dlp's last warning for its error, and print nothing."""

    last_warning = ""

    def warning(self, message: str) -> None:
        self.last_warning = message

    def debug(self, message: str) -> None:
        pass

    error = debug  # the exception has the message, too


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
