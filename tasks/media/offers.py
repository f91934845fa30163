"""Lists the files on offer: those of the inbox, or of the folders, files and addresses that a person names."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tasks.download import is_url
from tasks.errors import BadInput
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Offer:
    """A file on offer.

    `etag` is known for files of the inbox, whose content need not be hashed twice; `folder` for local files, which must lie in it.
    """

    name: str
    source: str
    etag: str
    size_bytes: int
    folder: Path | None = None

    @property
    def is_annotation(self) -> bool:
        """Whether it holds labels rather than a video."""
        return self.name.lower().endswith(".csv")


def offers(sources: Sequence[str], store_uri: str, store: Store) -> Iterator[Offer]:
    """Every file of the inbox, or of the sources where there are any. A malformed address is an offer too, so that it costs itself alone.

    Raises:
        BadInput: a file or folder that does not exist, or lies where nothing may be taken from.
    """
    if not sources:
        inbox = Layout(store_uri).inbox
        for found in store.list(inbox.folder_uri):
            yield Offer(inbox.name_of(found.uri), found.uri, found.etag, found.size_bytes)
    for source in sources:
        if is_url(source):
            yield Offer(_name_in(source), source, "", 0)
        else:
            yield from _local_offers(source)


def _name_in(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return url
    # A control character stays as the address spells it: records, tables and the store have no other way to.
    plain = path if CONTROL_CHARACTERS.search(unquote(path)) else unquote(path)
    return PurePosixPath(plain).name or url


def _local_offers(source: str) -> Iterator[Offer]:
    path = _local_path(source)
    root = path if path.is_dir() else path.parent
    for file in sorted(filter(_may_be_file, path.rglob("*"))) if path.is_dir() else [path]:
        relative = file.relative_to(root)
        if not any(part.startswith(".") for part in relative.parts):
            name = os.fsencode(relative.as_posix()).decode(errors="replace")
            yield Offer(name, str(file), "", _size_bytes(file), root)


def _local_path(source: str) -> Path:
    only = load(MachineSettings).videos_dir
    try:
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"{source} does not exist on the machine that runs this step")
        if only and not lies_in(path, only):
            raise BadInput(f"{source} is not in {only}, and files are taken from there alone; put it there, or into inbox/ of the store")
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{source!r} cannot be looked at ({error}); name a folder or a file") from error
    return path


def lies_in(path: Path, folder: Path) -> bool:
    """Whether it does once every link is followed."""
    return path.resolve().is_relative_to(folder.resolve())


def _may_be_file(path: Path) -> bool:
    """Whether to try it, which tells why a pipe, a device or a link to a folder is not taken."""
    try:
        return path.is_symlink() or not path.is_dir()
    except OSError:
        return True


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
