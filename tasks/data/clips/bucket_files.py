"""Find the objects of a bucket that a source names by a pattern, such as `s3+nas://films/cam*/2026-*/**.mp4`."""

import re
from collections.abc import Iterator

from tasks.errors import BadInput
from tasks.store.objects import Store, StoredObject
from tasks.store.stored import connection_of, split_uri

_WILDCARD = re.compile(r"(\*\*/|\*\*|\*)")
_MEANINGS = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}


def names_objects(source: str) -> bool:
    """Check whether a source names objects of a bucket: by a pattern, a folder or a connection."""
    return bool(connection_of(source)) or (source.startswith("s3://") and ("*" in source or source.endswith("/")))


def matching_objects(source: str, store: Store) -> Iterator[tuple[str, StoredObject]]:
    """Yield the objects that a source means, each with its name.

    A name is the path behind the last folder before the first `*`. Only keys that begin like the pattern are listed, and they are not held
    in memory. Folders and files whose names begin with a dot are skipped, as on a disk.

    Raises:
        BadInput: the bucket does not exist, or its name is a pattern.
        BadConfiguration: the connection is not known, or its keys are refused.
        Unavailable: the server does not answer.
    """
    bucket, pattern = split_uri(source)
    if "*" in bucket:
        raise BadInput(f"{source}: the name of a bucket has no `*`; name each bucket as a source of its own")
    if not pattern or pattern.endswith("/"):
        pattern += "**"
    prefix, _, _ = source.partition("*")
    folder, _, _ = split_uri(prefix)[1].rpartition("/")
    matches = _expression(pattern).fullmatch
    num_listed = 0
    for listed in store.list(prefix):
        num_listed += 1
        _, key = split_uri(listed.uri)
        name = key[len(folder) :].removeprefix("/")
        if matches(key) and not key.endswith("/") and not name.startswith(".") and "/." not in name:
            yield name, listed
    if not num_listed and not store.has_bucket(source):
        raise BadInput(f"{source}: there is no such bucket; correct its name, or its connection")


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a pattern.

    `*` is any text within a folder, `**` any text, and `**/` any folders or none.
    """
    return re.compile("".join(_MEANINGS.get(part, re.escape(part)) for part in _WILDCARD.split(pattern)), re.DOTALL)
