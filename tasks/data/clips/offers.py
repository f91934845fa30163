"""List the files to ingest, from the inbox or from given folders, files and addresses."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tasks.data.clips.label_inputs import SUFFIXES
from tasks.download import is_url
from tasks.errors import BadInput
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.wording import without_secrets

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Offer:
    """A file to ingest.

    `etag` is set for inbox files, to avoid hashing their content twice; `folder`, without links, for local files, which must be inside it.
    """

    name: str
    source: str
    etag: str
    size_bytes: int
    folder: Path | None = None

    @property
    def is_annotation(self) -> bool:
        """Check whether it may be an annotation file instead of a video."""
        return self.name.lower().endswith(SUFFIXES)


def offers(sources: Sequence[str], store_uri: str, store: Store) -> Iterator[Offer]:
    """Yield the files of `sources`, or of the inbox if there are none. A malformed address is yielded too: it fails alone, later.

    Raises:
        BadInput: a file or folder does not exist, or is outside the permitted folder.
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
        return without_secrets(url)
    # Keep control characters percent-encoded: records, tables and the store cannot hold them.
    plain = path if CONTROL_CHARACTERS.search(unquote(path)) else unquote(path)
    return PurePosixPath(plain).name or without_secrets(url)


def _local_offers(source: str) -> Iterator[Offer]:
    path, root, real_root = _local_path(source)
    for file in [path] if root != path else sorted(filter(_may_be_file, path.rglob("*"))):
        relative = file.relative_to(root)
        if not any(part.startswith(".") for part in relative.parts):
            name = os.fsencode(relative.as_posix()).decode(errors="replace")
            yield Offer(name, str(file), "", _size_bytes(file), real_root)


def _local_path(source: str) -> tuple[Path, Path, Path]:
    """Find a file or a folder, and the folder that its names are relative to.

    The third path is that folder after resolving links.
    """
    only = load(MachineSettings).videos_dir
    try:
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"{source} does not exist on the machine that runs this step")
        root = path if path.is_dir() else path.parent
        real_root = root.resolve()
        if only and not real_root.is_relative_to(only.resolve()):
            raise BadInput(f"{source} is not in {only}, the only folder to take files from; put it there, or into inbox/ of the store")
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{source!r} cannot be accessed ({error}); name a folder or a file") from error
    return path, root, real_root


def _may_be_file(path: Path) -> bool:
    """Check whether to try it.

    Pipes, devices and links to folders are tried too, so that they are reported with a reason.
    """
    try:
        return path.is_symlink() or not path.is_dir()
    except OSError:
        return True


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
