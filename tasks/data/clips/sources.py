"""List the files of the sources of an ingest: the inbox, buckets, web pages, recorders, addresses and local files."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tasks.data.clips.bucket_files import matching_objects, names_objects
from tasks.data.clips.frigate import is_frigate, recorded_hours
from tasks.data.clips.local_files import local_files
from tasks.data.clips.web_video import PAGE_PREFIX, is_page, listed_videos
from tasks.data.labels.formats import formats
from tasks.download import is_url
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.video import WebPage
from tasks.wording import without_secrets

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class IncomingFile:
    """A file to ingest.

    `etag` changes with the content. Objects and local files have one, so that no content is read twice; `folder`, without links, is that of
    local files, which must be inside it; `web_page` is there once the video of a page is downloaded.
    """

    name: str
    source: str
    etag: str
    size_bytes: int
    folder: Path | None = None
    web_page: WebPage | None = None

    @property
    def is_annotation(self) -> bool:
        """Check whether it may be an annotation file instead of a video."""
        return self.name.lower().endswith(formats().suffixes) and not is_page(self.source)


def incoming_files(sources: Sequence[str], store_uri: str, store: Store, *, only_settled: bool = False) -> Iterator[IncomingFile]:
    """Yield the files of `sources`, or of the inbox if there are none.

    A malformed address is yielded too: it fails alone, later. With `only_settled`, local files that changed within the last minute wait for
    a later ingest.

    Raises:
        BadInput: a file, a folder or a bucket does not exist, or is outside the permitted folder, or Frigate refuses.
        Unavailable: Frigate does not answer.
    """
    if not sources:
        inbox = Layout(store_uri).inbox
        for listed in store.list(inbox.folder_uri):
            yield IncomingFile(inbox.name_of(listed.uri), listed.uri, listed.etag, listed.size_bytes)
    for source in sources:
        if is_page(source):
            yield from (IncomingFile(video.name, PAGE_PREFIX + video.address, "", 0) for video in listed_videos(source))
        elif names_objects(source):
            for name, listed in matching_objects(source, store):
                yield IncomingFile(name, listed.uri, listed.etag, listed.size_bytes)
        elif is_frigate(source):
            hours = recorded_hours(source, allow_private=load(MachineSettings).allow_private_addresses)
            # An hour is known by camera and time, however its server is spelled.
            yield from (IncomingFile(hour.name, hour.source, hour.name, 0) for hour in hours)
        elif is_url(source):
            yield IncomingFile(_name_in(source), source, "", 0)
        else:
            for file in local_files(source, only_settled=only_settled):
                yield IncomingFile(file.name, str(file.path), file.etag, file.size_bytes, file.folder)


def _name_in(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return without_secrets(url)
    # Keep control characters percent-encoded: records, tables and the store cannot hold them.
    plain = path if CONTROL_CHARACTERS.search(unquote(path)) else unquote(path)
    return PurePosixPath(plain).name or without_secrets(url)
